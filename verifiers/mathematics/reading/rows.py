"""Cuts lists where their parts are more than what a comma parts: points by name, marked parts, members left out."""

from __future__ import annotations

from itertools import pairwise

from verifiers.mathematics.reading.labels import is_name
from verifiers.mathematics.reading.progressions import DOTS
from verifiers.mathematics.reading.spelling import AND, OR
from verifiers.mathematics.reading.split import split
from verifiers.patterns import linear

_MARK = linear.compile(r"\"?\(?([a-j])\)\"?[:.]?(?=[\s\d\\\\$(-])")
_MARK_INSIDE = linear.compile(r"\(([a-j])\)\"?[:.]?")
_WHOLE = linear.compile(r"-?\d{1,9}")
_MOST_MEMBERS = 100
_FOR_ALL = linear.compile(
    r"(?P<main>[A-Za-z]\((?P<argument>[a-z])\)=[^,;]{1,200}?)[,;]?"
    r"(?:\"(?:for|,)*(?:all|every|any|each)?(?:real|integer|positive|rational|complex)?(?:numbers?|integers?)?\"?"
    r"|\\forall ?)+(?P<quantified>[a-z])?"
    r"(?:\\in ?\\(?:reals|integers|naturals|rationals|complexes) ?(?:\^\{?\+\}?|_\{?[^{}]{1,6}\}?)?)?\"?"
)


def named_rows(text: str) -> list[str] | None:
    """Reads "x = 1, y = 2; x = 3, y = 4" as points, each in the order of the names; None for any other text."""
    rows = [[part.strip() for part in split(row, ",")] for row in split(text, f";{OR}{AND}")]
    names = [tuple(part.partition("=")[0].strip() for part in row) for row in rows]
    if len(rows) < 2 or len(set(map(frozenset, names))) != 1 or not all(map(is_name, names[0])):
        return None
    single = all(part.count("=") == 1 for row in rows for part in row)
    if not single or not all(len(set(row)) == len(row) > 1 for row in names):
        return None
    return [f"({','.join(sorted(row))})" for row in rows]


def without_marks(parts: list[str]) -> list[str] | None:
    """Returns parts that are marked (a), (b) and so on without their marks; None where they aren't."""
    marks = [_MARK.match(part.strip()) for part in parts]
    letters = "".join(mark.group(1) for mark in marks if mark is not None)
    if len(letters) != len(parts) or letters != "abcdefghij"[: len(parts)]:
        return None
    return [part.strip()[mark.end() :] for part, mark in zip(parts, marks, strict=True) if mark is not None]


def marked_parts(text: str) -> list[str] | None:
    """Cuts "(a) 3 (b) 5" at its marks; None where the letters are no marks, as in (a)(b)."""
    marks = list(_MARK_INSIDE.finditer(text))
    letters = "".join(mark.group(1) for mark in marks)
    if len(marks) < 2 or marks[0].start() or letters != "abcdefghij"[: len(marks)]:
        return None
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    parts = [text[mark.end() : end].strip(f" ,;.{OR}{AND}") for mark, end in zip(marks, ends, strict=True)]
    return parts if all(parts) else None


def with_all_members(parts: list[str]) -> list[str]:
    """Writes out 1, 2, ..., 10, as far as it is not long; other lists stay."""
    if len(parts) < 4 or parts[-2].strip() != DOTS:
        return parts
    known = [part.strip() for part in (*parts[:-2], parts[-1])]
    if not all(map(_WHOLE.fullmatch, known)):
        return parts
    *first, last = map(int, known)
    step = first[1] - first[0]
    if step == 0 or (last - first[0]) % step or not len(first) <= (last - first[0]) // step < _MOST_MEMBERS:
        return parts
    if any(after - before != step for before, after in pairwise(first)):
        return parts
    return [str(value) for value in range(first[0], last + (1 if step > 0 else -1), step)]


def without_domain(text: str) -> str:
    """Drops "for all x" after f(x) = x, which says no more; where another letter is meant, it stays."""
    found = _FOR_ALL.fullmatch(text)
    if found is None or found.group("quantified") not in {None, found.group("argument")}:
        return text
    return found.group("main")
