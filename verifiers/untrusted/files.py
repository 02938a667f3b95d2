"""Files that somebody else named or wrote: regular ones only, opened without waiting, and read within bounds.

Every function takes `told`, the error that it raises, which gets one sentence: the file, the place, and the remedy.
"""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from verifiers.untrusted.json_values import parse_json
from verifiers.untrusted.shown import shown

LARGEST = 1 << 26
"""Most bytes of a file that is read at once: 64 MiB."""
LONGEST_ROW = 1 << 24
"""Most bytes of a line of JSON lines."""
BLOCK = 1 << 20
REMEDY = "give another file"
NOUNS = {
    stat.S_IFDIR: "is a folder",
    stat.S_IFIFO: "is a pipe",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
}

Told = Callable[[str], Exception]
"""Makes the error of a sentence."""


class UnusableFile(ValueError):
    """A file from outside that cannot be used; the message names it, the place and the remedy."""


class Digest(Protocol):
    """A hash that is being computed, as `hashlib` makes them."""

    def update(self, data: bytes, /) -> None:
        """Takes in more bytes."""
        ...


def open_file(
    path: Path | str, told: Told = UnusableFile, remedy: str = REMEDY, flags: int = os.O_RDONLY, name: str = ""
) -> BinaryIO:
    """A regular file, open; whatever else bears the name is refused, and nothing is waited for.

    Args:
        path: the file; a link is followed unless `flags` say not to.
        remedy: the end of its sentence.
        flags: to read it, unless they say otherwise.
        name: of whatever names the file, in place of its path.
    """
    where = shown(name or path)
    try:
        handle = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o666)
    except (OSError, ValueError) as error:
        # A pipe that nobody reads, a socket, and a folder that was to be written, are found out here.
        reason = error.strerror if isinstance(error, OSError) else "its name holds a NUL"
        done = "read" if flags & os.O_ACCMODE == os.O_RDONLY else "written"
        raise told(f"{where}: cannot be {done} ({reason}); {remedy}") from error
    kind = stat.S_IFMT(os.fstat(handle).st_mode)
    if kind != stat.S_IFREG:
        os.close(handle)
        raise told(f"{where}: cannot be read ({NOUNS.get(kind, 'is no file')}); {remedy}")
    if flags & os.O_ACCMODE == os.O_RDONLY:
        return io.BufferedReader(_ToldFile(handle, "rb", where, told, remedy), BLOCK)
    return io.BufferedRandom(_ToldFile(handle, "rb+", where, told, remedy), BLOCK)


class _ToldFile(io.FileIO):
    """A file that may be open, and yet not be read: a failing disk, or a file of the kernel's own."""

    def __init__(self, handle: int, mode: str, where: str, told: Told, remedy: str) -> None:
        super().__init__(handle, mode)
        self._sentence = f"{where}: cannot be read ({{}}); {remedy}"
        self._error = told

    def readinto(self, buffer: Any) -> int:
        """Reads a block."""
        try:
            return super().readinto(buffer) or 0
        except OSError as error:
            raise self._error(self._sentence.replace("{}", error.strerror or "no reason given")) from error


def demand_file(path: Path | str, told: Told = UnusableFile, remedy: str = REMEDY) -> None:
    """Raises `told` where a library that will read the file by itself would meet no regular file."""
    open_file(path, told, remedy).close()


def demand_folder(path: Path | str, told: Told = UnusableFile, remedy: str = REMEDY) -> None:
    """Raises `told` where a library that will read a folder would meet something else than files and folders in it."""
    for entry in sorted(Path(path).iterdir()):
        if not entry.is_dir():
            demand_file(entry, told, remedy)


def read_bytes(path: Path | str, told: Told = UnusableFile, remedy: str = REMEDY, most: int = LARGEST) -> bytes:
    """The content of a file of at most so many bytes."""
    with open_file(path, told, remedy) as file:
        # By blocks: one read of so many bytes would take the memory for all of them first.
        content = _blocks(file, most + 1)
    if len(content) > most:
        raise told(f"{shown(path)}: is larger than {most} bytes; {remedy}")
    return content


def _blocks(file: BinaryIO, most: int) -> bytes:
    content = bytearray()
    while len(content) < most and (block := file.read(min(BLOCK, most - len(content)))):
        content += block
    return bytes(content)


def read_text(path: Path | str, told: Told = UnusableFile, remedy: str = REMEDY, most: int = LARGEST) -> str:
    """The text of a file in UTF-8."""
    try:
        return read_bytes(path, told, remedy, most).decode("utf-8")
    except UnicodeDecodeError as error:
        place = f"{error.reason} at byte {error.start + 1}"
        raise told(f"{shown(path)}: is not UTF-8 text ({place}); {remedy}") from error


def read_json(path: Path | str, told: Told = UnusableFile, remedy: str = REMEDY, *, finite: bool = True) -> Any:
    """The value that a JSON file holds."""
    content = read_bytes(path, told, remedy)
    try:
        return parse_json(content, finite=finite)
    except ValueError as error:
        raise told(f"{shown(path)}: {error}; {remedy}") from error


def lines_of(path: Path | str, longest: int, told: Told = UnusableFile) -> Iterator[tuple[int, bytes]]:
    """Each line of a file that is not blank, with its number, from 1."""
    with open_file(path, told) as file:
        number = 0
        while line := file.readline(longest + 1):
            number += 1
            if len(line) > longest:
                raise told(f"{shown(path)}, line {number}: is longer than {longest} bytes; shorten it")
            if line.strip():
                yield number, line


def json_rows(
    path: Path | str, told: Told = UnusableFile, remedy: str = "", longest: int = LONGEST_ROW
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSON lines file, with their places (`FILE, line 3`); NaN passes, since programs return it."""
    for number, line in lines_of(path, longest, told):
        where = f"{shown(path)}, line {number}"
        yield where, json_object(line, where, told, remedy)


def json_object(line: str | bytes, where: str, told: Told = UnusableFile, remedy: str = "") -> dict[str, Any]:
    """The object that a line holds, all of whose texts a file can hold."""
    try:
        row = parse_json(line, finite=False)
    except ValueError as error:
        raise told(f"{where}: {error}{remedy}") from error
    escaped = b"\\u" in line if isinstance(line, bytes) else "\\u" in line
    return storable_object(row, where, told, remedy) if escaped else _object(row, where, told, remedy)


def storable_object(row: Any, where: str, told: Told = UnusableFile, remedy: str = "") -> dict[str, Any]:
    """A JSON value, if it is an object all of whose texts a file can hold."""
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise told(f"{where}: is not JSON in UTF-8 (half of a character){remedy}") from error
    return _object(row, where, told, remedy)


def _object(row: Any, where: str, told: Told, remedy: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise told(f"{where}: is not a JSON object{remedy}")
    return row


def add_file(digest: Digest, path: Path | str, told: Told = UnusableFile) -> None:
    """Adds a file's content to a hash."""
    with open_file(path, told) as file:
        while block := file.read(BLOCK):
            digest.update(block)
