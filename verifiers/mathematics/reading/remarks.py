"""Remarks behind a value that leave it as it is: how it was rounded, why it is so; and shares such as 5 out of 36.

A remark is dropped only where every word of it is understood: one that takes back, bounds or scales stays, and so
the answer is not read.
"""

from __future__ import annotations

from verifiers.patterns import linear
from verifiers.wording.vocabulary import changes

_TEXT = r"\\(?:text|mbox|textrm|textit|mathrm)\s?\{"
_ROOM = r"(?:[\s~,;]|\\[,;:! ]|\\q?quad)*"
_COUNT = r"(?:\d{1,2}|one|two|three|four|five|six)"
_DIGITS = (
    r"(?:d\.?\s?p\.?|s\.?\s?f\.?|decimals?(?:\s+places?)?|decimal\s+points?"
    r"|sig(?:nificant|\.)?\s+(?:fig(?:ure)?s?\.?|digits?))"
)
_ROUNDED = linear.compile(
    rf"{_ROOM}(?:{_TEXT}|\(\s*{_TEXT})?[\s,]*\(?\s*(?:(?:rounded|correct|accurate)(?:\s+off)?\s+)?to\s+(?:the\s+)?"
    rf"(?:nearest\s+[A-Za-z]{{3,12}}(?:\s+(?:place|number))?|{_COUNT}\s+{_DIGITS})[\s.)}}]*$",
    linear.IGNORECASE,
)
_REASON = linear.compile(rf"{_ROOM}\(?\s*(?:{_TEXT})?[\s,]*\(?\s*(?:since|because)(?:\s|\\)([^\n]{{1,200}})$")
_SHARE = linear.compile(
    rf"(\d{{1,9}}){_ROOM}(?:{_TEXT})?\s?(?:out of|in)\s?(?:every\s)?\}}?{_ROOM}(\d{{1,9}})", linear.IGNORECASE
)
_EXPONENT = linear.compile(rf"(\d){_ROOM}(?:{_TEXT}|\\rm\s?\{{)\s?[eE]\s?\}}\s?\{{\s?([+-]?\d{{1,3}})\s?\}}")


_NEGATIVE = linear.compile(
    rf"^\s*(?:{_TEXT}\s?(?:negative|minus)\s?\}}|(?:negative|minus)\s){_ROOM}(?=[\d.\\])", linear.IGNORECASE
)


def without_remarks(answer: str) -> str:
    """Returns an answer without what is said about it, and a share as a fraction."""
    if "to " in answer:
        found = _ROUNDED.search(answer)
        answer = _cut(answer, found) if found is not None and found.start() else answer
    if "since" in answer or "because" in answer:
        found = _REASON.search(answer)
        plain = found is not None and found.start() and not changes(found.group(1)) and _is_one(answer, found)
        answer = _cut(answer, found) if found is not None and plain else answer
    if ("in" in answer or "of" in answer) and answer.lstrip(" $")[:1].isdigit():
        share = _SHARE.fullmatch(answer.strip(" .$"))
        answer = f"{share.group(1)}/{share.group(2)}" if share is not None else answer
    if "ative" in answer or "inus" in answer:
        answer = _NEGATIVE.sub("-", answer)
    return _EXPONENT.sub(r"\1e\2", answer) if "e}" in answer or "E}" in answer else answer


def _is_one(answer: str, found: linear.Match) -> bool:
    """Tells whether the value is figures: the reason of a yes or a no is for whoever compares words."""
    return any(map(str.isdigit, answer[: found.start()])) or "\\" in answer[: found.start()]


def _cut(answer: str, found: linear.Match) -> str:
    """Returns what stands before a remark, with the braces that it closes."""
    open_ = answer[: found.start()].count("{") - answer[: found.start()].count("}")
    return answer[: found.start()] + "}" * max(open_, 0)
