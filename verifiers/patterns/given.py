"""Patterns that a person or a data set gives, in RE2's own syntax, over UTF-8."""

from __future__ import annotations

from collections.abc import Callable

from re2 import _re2

from verifiers.patterns import linear

_REPEATED = linear.compile(r"\{([0-9]*),?([0-9]*)\}")
_MOST_DIGITS = 4
_ANCHOR = _re2.RE2.Anchor
_MOST_INSTRUCTIONS = 5_000
"""A text of 10,000 characters costs half a second at most with as many."""


def _compiled(pattern: str) -> _re2.RE2:
    """Raises ValueError for what is no pattern, or one of more instructions than a match has time for."""
    options = _re2.RE2.Options()
    options.log_errors = False
    try:
        compiled = _re2.RE2(pattern.encode(), options)
    except UnicodeEncodeError as error:
        raise ValueError("it is no valid text") from error
    if not compiled.ok():
        raise ValueError(compiled.error().decode(errors="replace"))
    if compiled.ProgramSize() > _MOST_INSTRUCTIONS:
        raise ValueError("it is too large")
    return compiled


def whole_match(pattern: str) -> Callable[[str], bool]:
    """Returns whether a text matches a pattern as a whole. Raises ValueError for what RE2 can't do."""
    for least, most in (found.groups() for found in _REPEATED.finditer(pattern)):
        # RE2 would take these for the characters that they are.
        if (most and not least) or max(len(least), len(most)) > _MOST_DIGITS:
            raise ValueError("a repetition is written {n}, {n,} or {n,m}, with numbers up to 1000")
    compiled = _compiled(pattern)

    def matches(text: str) -> bool:
        data = text.encode(errors="replace")
        return bool(compiled.Match(_ANCHOR.ANCHOR_BOTH, data, 0, len(data))[0][0] == 0)

    return matches


def foreign_to(scripts: tuple[str, ...]) -> Callable[[str], str]:
    """Returns what finds the first character of another script, "" for none.

    Raises ValueError where Unicode knows no such script.
    """
    names = ["_".join(part.capitalize() for part in name.split("_")) for name in ("Common", "Inherited", *scripts)]
    compiled = _compiled("[^" + "".join(rf"\p{{{name}}}" for name in names) + "]")

    def first(text: str) -> str:
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            return text[error.start]
        start, end = compiled.Match(_ANCHOR.UNANCHORED, data, 0, len(data))[0]
        return data[start:end].decode() if start >= 0 else ""

    return first
