"""Patterns that a person or a data set gives, in RE2's own syntax, over UTF-8."""

from __future__ import annotations

from collections.abc import Callable

from re2 import _re2

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
    if "{," in pattern:
        # To RE2 this is no repetition but these characters.
        raise ValueError("`{,n}` has to be written `{0,n}`")
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
