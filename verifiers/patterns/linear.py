"""Patterns and their matches: the part of Python's `re` that the product uses, on RE2.

A pattern is translated and compiled when it is first used, since most processes use few of them; one that has no
linear-time translation is refused then, and a test uses every one. Every search reads a text once. A text that lacks
what every match must hold is not searched at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from re import DOTALL, IGNORECASE, MULTILINE, RegexFlag
from typing import Any

from re2 import _re2

from verifiers.patterns.alphabet import encoded
from verifiers.patterns.syntax import Captured, Mark, Node, Untranslatable, read
from verifiers.patterns.translate import Bound, choices, required
from verifiers.patterns.writing import Writer

__all__ = ["DOTALL", "IGNORECASE", "MULTILINE", "Match", "Pattern", "Untranslatable", "compile", "escape"]

Span = tuple[int, int]

_ANCHOR = _re2.RE2.Anchor
_NONE = (-1, -1)
_OPTIONS = _re2.RE2.Options()
_OPTIONS.encoding = _re2.RE2.Options.Encoding.LATIN1
_OPTIONS.log_errors = False

PATTERNS: list[Pattern] = []
"""All that this process has."""


class Match:
    """Where a pattern was found in `string`."""

    __slots__ = ("_names", "_spans", "string")

    def __init__(self, string: str, spans: list[Span], names: dict[str, int]) -> None:
        self.string, self._spans, self._names = string, spans, names

    def _span(self, group: int | str) -> Span:
        return self._spans[self._names[group] if isinstance(group, str) else group]

    def group(self, group: int | str = 0) -> str | Any:
        """Returns the text of a group, or None where it took no part."""
        start, end = self._span(group)
        return self.string[start:end] if start >= 0 else None

    def groups(self) -> tuple[str | Any, ...]:
        """Returns the texts of all groups."""
        return tuple(self.group(at) for at in range(1, len(self._spans)))

    def start(self, group: int | str = 0) -> int:
        """Returns where a group begins, or -1."""
        return self._span(group)[0]

    def end(self, group: int | str = 0) -> int:
        """Returns where a group ends, or -1."""
        return self._span(group)[1]

    @property
    def span(self) -> Span:
        """Where the match begins and ends."""
        return self._spans[0]

    @property
    def lastgroup(self) -> str | None:
        """The name of the last named group that took part."""
        taken = [name for name, at in self._names.items() if self._spans[at][0] >= 0]
        return taken[-1] if taken else None


class Compiled:
    """One compiled program of RE2, and what its groups are in the pattern."""

    __slots__ = ("_groups", "_least", "_match", "_plain")

    def __init__(self, text: str, groups: list[Captured | Mark], count: int) -> None:
        compiled = _re2.RE2(text.encode("latin-1"), _OPTIONS)
        if not compiled.ok():
            raise Untranslatable(f"RE2 refuses {text!r}: {compiled.error().decode('latin-1')}")
        self._match = compiled.Match
        self._groups = [(group.index, group.side if isinstance(group, Mark) else None) for group in groups]
        self._plain = self._groups == [(index, None) for index in range(1, count + 1)]
        self._least = count + 1

    def find(self, data: bytes, pos: int, anchor: object) -> list[Span] | None:
        """Returns the spans of the match and its groups."""
        spans: list[Span] = self._match(anchor, data, pos, len(data))
        if spans[0][0] < 0:
            return None
        return spans if self._plain else self._arranged(spans)

    def _arranged(self, spans: list[Span]) -> list[Span]:
        found = [_NONE] * self._least
        found[0] = spans[0]
        for (group, side), span in zip(self._groups, spans[1:], strict=True):
            if span[0] < 0:
                continue
            if side is None:
                found[group] = span
            else:
                found[group] = (span[0], found[group][1]) if side == 0 else (found[group][0], span[0])
        return found


_SHORT = 256
_last: tuple[str, bytes] = ("", b"")


def _data(text: str) -> bytes:
    """Returns the bytes of a text; those of the last long one are kept, since it is often searched again."""
    if len(text) < _SHORT:
        return encoded(text)
    global _last  # noqa: PLW0603 - one pair, replaced as a whole, so any thread may
    known, data = _last
    if known is not text:
        data = encoded(text)
        _last = (text, data)
    return data


class Pattern:
    """A pattern; its methods do what those of `re.Pattern` do."""

    def __init__(self, pattern: str, flags: int) -> None:
        self.pattern, self.flags = pattern, flags
        PATTERNS.append(self)

    def prepare(self) -> None:
        """Compiles it now, in its commonest form. Raises Untranslatable where RE2 can't do what it asks."""
        _ = self._needed, self._names, self._count, self._anywhere

    @cached_property
    def _read(self) -> tuple[Node, dict[str, int], int]:
        return read(self.pattern, self.flags)

    @cached_property
    def _choices(self) -> list[tuple[Bound, Node]]:
        return choices(self._read[0])

    @cached_property
    def _needed(self) -> tuple[str, ...]:
        return tuple(required(self._read[0]))

    @cached_property
    def _sees_before(self) -> bool:
        return any(before is not None for before, _ in self._choices)

    @cached_property
    def _names(self) -> dict[str, int]:
        return self._read[1]

    @cached_property
    def _count(self) -> int:
        return self._read[2]

    @cached_property
    def _anywhere(self) -> Compiled:
        return self._program(at_start=True, later=True)

    @cached_property
    def _at_start(self) -> Compiled:
        """Matches at the beginning of a text only."""
        return self._program(at_start=True) if self._sees_before else self._anywhere

    @cached_property
    def _later(self) -> Compiled:
        """Begins with the character before a match."""
        return self._program(later=True) if self._sees_before else self._anywhere

    @cached_property
    def _whole(self) -> Compiled:
        return self._program(at_start=True, whole=True)

    def _program(self, *, at_start: bool = False, later: bool = False, whole: bool = False) -> Compiled:
        writer = Writer(whole=whole)
        if self._sees_before:
            starts = [start for start, wanted in ((True, at_start), (False, later)) if wanted]
            text = "|".join(writer.alternatives(self._choices, at_start=start) for start in starts)
        else:
            text = writer.anywhere(self._choices)
        return Compiled(text, writer.groups, self._count)

    def _find(self, text: str, data: bytes, pos: int, anchor: object) -> Match | None:
        if not self._sees_before:
            spans = self._anywhere.find(data, pos, anchor)
        elif pos:
            spans = self._later.find(data, pos - 1, anchor)
        else:
            program = self._anywhere if anchor is _ANCHOR.UNANCHORED else self._at_start
            spans = program.find(data, 0, anchor)
        return None if spans is None else Match(text, spans, self._names)

    def _may_match(self, text: str) -> bool:
        """Whether a text has what every match holds; asked once a text, since this reads all of it."""
        for needed in self._needed:  # a loop, since a generator costs more than most searches
            if needed in text:
                return True
        return not self._needed

    def search(self, text: str, pos: int = 0) -> Match | None:
        """Returns the first match at or after a place, or None."""
        return self._find(text, _data(text), pos, _ANCHOR.UNANCHORED) if pos or self._may_match(text) else None

    def match(self, text: str, pos: int = 0) -> Match | None:
        """Returns the match at a place, or None."""
        return self._find(text, _data(text), pos, _ANCHOR.ANCHOR_START) if pos or self._may_match(text) else None

    def fullmatch(self, text: str) -> Match | None:
        """Returns the match of a whole text, or None."""
        spans = self._whole.find(encoded(text), 0, _ANCHOR.ANCHOR_BOTH) if self._may_match(text) else None
        return None if spans is None else Match(text, spans, self._names)

    def finditer(self, text: str, pos: int = 0) -> Iterator[Match]:
        """Yields the matches from left to right; the pattern must not match the empty text."""
        if not self._may_match(text):
            return
        data = _data(text)
        while (match := self._find(text, data, pos, _ANCHOR.UNANCHORED)) is not None:
            start, pos = match.span
            assert pos > start, self.pattern
            yield match

    def findall(self, text: str) -> list[str]:
        """Returns the first group of each match, or the match where there is none."""
        group = min(self._count, 1)
        return [match.group(group) or "" for match in self.finditer(text)]

    def sub(self, replacement: str | Callable[[Match], str], text: str, count: int = 0) -> str:
        """Returns the text with its matches (at most `count`, unless 0) replaced."""
        match = self._find(text, _data(text), 0, _ANCHOR.UNANCHORED) if self._may_match(text) else None
        if match is None:  # of most texts; a generator costs as much as the search
            return text
        made = _template(replacement) if isinstance(replacement, str) else replacement
        parts, at = [text[: match.start()], made(match)], match.end()
        for number, further in enumerate(self.finditer(text, at), 2) if count != 1 else ():
            parts += [text[at : further.start()], made(further)]
            at = further.end()
            if number == count:
                break
        return "".join([*parts, text[at:]])

    def split(self, text: str) -> list[str]:
        """Cuts a text at the matches; groups are kept between the parts."""
        parts, at = [], 0
        for match in self.finditer(text):
            parts += [text[at : match.start()], *match.groups()]
            at = match.end()
        return [*parts, text[at:]]


def _template(text: str) -> Callable[[Match], str]:
    """A replacement in which `\\1` stands for a group and `\\\\` for a backslash."""
    pieces = text.split("\\\\")
    if not any("\\" in piece for piece in pieces):
        constant = "\\".join(pieces)
        return lambda match: constant
    cut = [piece.split("\\") for piece in pieces]
    return lambda match: "\\".join(
        "".join([first, *((match.group(int(part[0])) or "") + part[1:] for part in others)]) for first, *others in cut
    )


def compile(pattern: str, flags: int | RegexFlag = 0) -> Pattern:
    """Returns a pattern in the syntax of Python's `re`; its first use raises Untranslatable where RE2 can't do the
    same."""
    return Pattern(pattern, int(flags))


def prepare_all() -> None:
    """Compiles all patterns of this process, for itself and what it forks."""
    for pattern in PATTERNS:
        pattern.prepare()


def escape(text: str) -> str:
    """Returns a pattern for a text as it stands."""
    return "".join(char if char.isalnum() or ord(char) > 0x7F else f"\\{char}" for char in text)
