"""Answers that are said twice: \\frac{3}{8} (or 37.5\\%), [0, 1), i.e. 0 <= x < 1, 36\\pi cm^3 (about 113.1 cm^3).

Both are read, and the answer is right only if they agree. Words are left to the readers of words.
"""

from dataclasses import replace
from typing import NamedTuple

from verifiers.mathematics.reading.form import Form
from verifiers.patterns import linear
from verifiers.wording.unit_names import DEGREE, RADIAN

_ROOM = r"(?:[\s,;~$]|\\[,;:! ()\[\]]|\\q?quad)*"
_TEXT = r"(?:\\(?:text|mbox|textrm|mathrm|textit)\s?\{[\s,;]*)?"
_SAME = r"i\.\s?e\.|that is|or equivalently|equivalently|namely|in other words"
_ROUGHLY = r"(?:or |which is |i\.e\.,? )?(?:about|approximately|approx\.?|roughly|around)"
_JOINT = linear.compile(
    rf"{_ROOM}(?P<before>\((?:\s|\\[,;: ])*)?{_TEXT}(?P<open>\(\s*)?"
    rf"(?:(?P<same>{_SAME})|(?P<roughly>{_ROUGHLY})|(?P<in_brackets>or|=|equal to))(?:[,:\s}}$~]|\\[,;:! (\[])+",
    linear.IGNORECASE,
)
_MEASURES = linear.compile(r"([^()]{0,80}\d[^()]{0,20}[A-Za-z}]\$?)\s*\(([^()]{0,40}\d[^()]{0,20}[A-Za-z}]\$?)\)[.\s]*")
_ROUGH_MEASURES = linear.compile(r"([^()]{1,120}(?:[A-Za-z]|\}(?:\^\{?\d\}?)?))\s?(?:\\approx(?![a-z])|≈)([^()]{1,80})")
_ENDS_IN_DEGREES = linear.compile(r"(?:\^\s?\{?\s?\\circ\s?\}?|°|\bdegrees|\{\s?degrees\s?\})[\s.]*$")
_MARKS = (
    "or",
    ".e.",
    "about",
    "round",
    "rough",
    "that is",
    "namely",
    "valent",
    "equal",
    "in other",
    "(=",
    "\\approx",
    "≈",
    ") ",
    " (",
)
_ENDS = " .$,;~"
_LONGEST = 400


class Twice(NamedTuple):
    """An answer, the same said again, whether only roughly, and whether both must be measures."""

    value: str
    again: str
    roughly: bool
    measured: bool = False


def said_again(answer: str) -> Twice | None:
    """Returns the two spellings of an answer that is said twice; None for any other."""
    if "pi" in answer and "=" in answer and len(answer) <= _LONGEST:
        turned = _in_degrees_and_radians(answer)
        if turned is not None:
            return turned
    if len(answer) > _LONGEST or not any(mark in answer for mark in _MARKS):
        return None
    for joint in _JOINT.finditer(answer):
        bracketed = bool(joint.group("before") or joint.group("open"))
        if not joint.start() or not (bracketed or joint.group("same")):
            continue
        value, again = answer[: joint.start()], answer[joint.end() :].rstrip(_ENDS)
        if bracketed:
            closed = again.rstrip("}) $\\")
            if ")" not in again[len(closed) :] and not again.endswith(")"):
                continue
            again = _without_closing(again)
        if not any(char.isdigit() or char == "\\" for char in again):
            continue
        return Twice(_balanced(value), _balanced(again), bool(joint.group("roughly")))
    measures = _MEASURES.fullmatch(answer) or _ROUGH_MEASURES.fullmatch(answer)
    if measures is None:
        return None
    return Twice(_balanced(measures.group(1)), _balanced(measures.group(2)), roughly=True, measured=True)


def in_radians(form: Form, other: Form) -> Form:
    """Returns a multiple of pi as radians, where it says an angle in degrees again."""
    turned = form.unit is None and other.unit == DEGREE and "pi" in form.text
    return replace(form, unit=RADIAN) if turned else form


def _in_degrees_and_radians(answer: str) -> Twice | None:
    """Returns the two spellings of an angle: 60^\\circ = \\frac{\\pi}{3}, with a name before them perhaps."""
    *names, first, second = answer.split("=")
    in_degrees = [_ENDS_IN_DEGREES.search(side) is not None for side in (first, second)]
    in_radians = ["pi" in side for side in (first, second)]
    if len(names) > 1 or sum(in_degrees) != 1 or in_degrees != in_radians[::-1]:
        return None
    return Twice("=".join((*names, first)), second, roughly=False)


def _without_closing(text: str) -> str:
    """Drops the bracket that closes behind a text, beside braces and delimiters."""
    at = text.rindex(")")
    return text[:at].rstrip("\\") + text[at + 1 :].replace("\\)", "").replace("$", "")


def _balanced(text: str) -> str:
    """Drops the closing braces of a command that began before the text, and closes those that it opens."""
    text = text.strip(_ENDS)
    gap = text.count("}") - text.count("{") - (text.count("\\}") - text.count("\\{"))
    while gap > 0 and text.endswith("}"):
        text, gap = text[:-1].rstrip(), gap - 1
    return text + "}" * max(-gap, 0)
