"""Rows of CSV files as spreadsheets write them: commas, semicolons or tabs, with or without a byte order mark."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from verifiers.untrusted import files
from verifiers.untrusted.files import Told, open_file
from verifiers.untrusted.json_values import parse_json
from verifiers.untrusted.shown import shown

TEXT_FILES = (".csv", ".tsv")
NUMBERS = ("time_limit_s", "memory_mb", "float_tolerance")
"""Columns of ours that are no texts."""
BOMS_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
SEPARATORS = ",;\t"
SEPARATOR_LINE = "sep="
"""How the first line begins by which a file tells Excel its separator."""


def csv_rows(path: Path, told: Told) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a CSV file with a header, each with its place; an empty cell is one without a value.

    Raises `told` where a line is too long, is no text, or has more cells than the header.
    """
    lines = _text_lines(path, told)
    first, before = next(lines, ""), 0
    if not first:
        raise told(f"{shown(path)}: is empty; write a first line that names the columns, and a line a row below it")
    separator = _separator(path, first)
    if first.startswith(SEPARATOR_LINE):
        first, before = next(lines, ""), 1
    if "\r" in first.rstrip("\r\n"):
        raise told(f"{shown(path)}: its lines end as on old Macs; save it with the usual line ends, as 'CSV UTF-8'")
    # The module's limit is one for the whole process; the lines themselves are bounded.
    csv.field_size_limit(files.LONGEST_ROW)
    reader = csv.reader(chain([first], lines), delimiter=separator, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not any(header) or len(set(header)) < len(header):
            raise told(
                f"{shown(path)}, line {before + 1}: names no column, or one twice; the first line of a CSV file names "
                "each"
            )
        for cells in reader:
            where = f"{shown(path)}, line {reader.line_num + before}"
            if len(cells) > len(header):
                raise told(
                    f"{where}: has {len(cells)} cells, but the first line names {len(header)} columns; quote texts "
                    f"that hold a {separator!r}"
                )
            if any(cell.strip() for cell in cells):
                texts = (cell if cell.strip() else None for cell in cells)
                yield where, dict(zip_longest(header, texts))
    except csv.Error as error:
        raise told(
            f"{shown(path)}, line {reader.line_num + before}: is not CSV ({error}); quote texts with commas"
        ) from error


def _separator(path: Path, first: str) -> str:
    """The mark between cells: told by the file, or the one that the header has most of."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    told = first[len(SEPARATOR_LINE) :].rstrip("\r\n") if first.startswith(SEPARATOR_LINE) else ""
    unquoted = "".join(first.split('"')[::2])
    return told if len(told) == 1 else max(SEPARATORS, key=unquoted.count)


def _text_lines(path: Path, told: Told) -> Iterator[str]:
    """All lines, blank ones too, since a quoted text may have some."""
    with open_file(path, told) as file:
        mark = file.read(len(codecs.BOM_UTF16_LE))
        file.seek(0)
        # Excel's "Unicode text", whose line ends cannot be found among its bytes.
        wide = io.TextIOWrapper(file, "utf-16", newline="\n") if mark in BOMS_UTF16 else None
        number = 1
        while line := _line(wide or file, number, f"{shown(path)}, line {number}", told):
            yield line
            number += 1


def _line(file: BinaryIO | TextIO, number: int, where: str, told: Told) -> str:
    """The next line, or nothing at the end."""
    try:
        line = file.readline(files.LONGEST_ROW + 1)
        if len(line) > files.LONGEST_ROW:
            raise told(f"{where}: is longer than {files.LONGEST_ROW} bytes; shorten it")
        text = line if isinstance(line, str) else line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise told(
            f"{where}: is not UTF-8 ({error.reason}); save it as UTF-8, which Excel calls 'CSV UTF-8'"
        ) from error
    if "\0" in text:
        raise told(f"{where}: holds zero bytes, and so is no text; save it as CSV")
    return text


def of_texts(where: str, row: dict[str, Any], told: Told) -> dict[str, Any]:
    """A row of CSV, under our names, with lists and numbers where its cells say them.

    Concepts are a JSON list, or stand between semicolons.
    """
    found = dict(row)
    for name in (name for name in (*NUMBERS, "concepts") if name in row):
        if name == "concepts" and not row[name].lstrip().startswith("["):
            found[name] = [concept.strip() for concept in row[name].split(";") if concept.strip()]
            continue
        try:
            found[name] = parse_json(row[name], finite=False)
        except ValueError as error:
            raise told(f"{where}: `{name}` {error}") from error
    return found
