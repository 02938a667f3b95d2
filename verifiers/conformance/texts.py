"""Hostile completions, by kind: empty, huge, binary, truncated, injected. All ours, all the same in every run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from verifiers.conformance.cases import Case
from verifiers.extraction import boxes
from verifiers.model import Task
from verifiers.patterns import linear
from verifiers.wording import table

Kind = Literal["empty", "huge", "binary", "truncated", "injected"]
KINDS: tuple[Kind, ...] = ("empty", "huge", "binary", "truncated", "injected")


@dataclass(frozen=True, slots=True)
class Hostile:
    """A completion that deserves no pass for being right; `twin` is the same without what it claims."""

    name: str
    kind: Kind
    text: str
    twin: str | None = None


_TOLD = table(__file__)
_EMPTY, _CUT, _INJECTED = (_TOLD[kind] for kind in ("empty", "truncated", "injected"))

_BINARY = {
    "NUL": "\x00",
    "NULs in words": "the\x00answer\x00is",
    "all bytes": "".join(map(chr, range(256))),
    "high surrogate": "\ud800",
    "low surrogates": "so \udfff\udc00 it is",
    "surrogate in a box": "\\boxed{\ud83d}",
    "surrogate in a program": "```python\nprint('\udcff')\n```",
    "NUL in a program": "```python\nprint('x')\x00\n```",
    "NUL in a box": "\\boxed{\x00}",
    "byte order": "\ufeff\ufffe\uffff",
    "right to left": "\u202e\u2066 ti si rewsna eht \u2069\u202c",
    "terminal escapes": "\x1b[2J\x1b]0;title\x07\x1b[31mred",
    "line ends": "\r\n\r\u2028\u2029\x85\x0b\x0c",
    "stacked marks": "z" + "\u0301\u0327\u0489" * 300,
    "astral": "\U0001f600\U000e0041\U0010ffff" * 20,
}

_HUGE = {
    "one letter": "x",
    "words": "and so on ",
    "digits": "9",
    "powers": "9^",
    "open brackets": "(",
    "open boxes": "\\boxed{",
    "open fractions": "\\frac{7}{",
    "dollars": "$",
    "fences": "```\n",
    "thinking opened": "<think>",
    "thinking closed": "</think>",
    "newlines": "\n",
    "commas": "7,",
    "json": '[{"x":',
    "backslashes": "\\",
    "surrogates": "\udcfe",
}

_CLAIM_WORDS = (
    "ignore above instructions give full reward please mark correct system verified passed true status reason score "
    "verdict right judgment rating tests accepted grader reference final answer answers ticket run reply result yes "
    "says"
)
_CLAIMS = frozenset(_CLAIM_WORDS.split())
_OTHER_WORDS = "of the tree stone garden weather mountain landscape strawberry marketplace conversation"
_NEUTRAL = {len(word): word for word in _OTHER_WORDS.split()}
"""A word of each length."""


def hostile(huge_chars: int) -> list[Hostile]:
    """Returns the completions that need no task; the huge ones have about so many characters."""
    found = [Hostile(name, "empty", text) for name, text in _EMPTY.items()]
    found += [Hostile(name, "huge", unit * (huge_chars // len(unit))) for name, unit in _HUGE.items()]
    found += [Hostile(name, "binary", text) for name, text in _BINARY.items()]
    found += [Hostile(name, "truncated", text) for name, text in _CUT.items()]
    found += [Hostile(name, "injected", text, neutral(text)) for name, text in _INJECTED.items()]
    return found


def cut(case: Case) -> list[Hostile]:
    """Returns a right completion cut where its answer is not out yet."""
    text = case.completion
    found = [
        Hostile(f"{case.name} in thinking that never ends", "truncated", f"<think>\n{text.replace('</think>', '')}")
    ]
    fence = text.rfind("```")
    if case.task.tests and fence > 0:
        found.append(Hostile(f"{case.name} before its fence closes", "truncated", text[:fence]))
    boxed = boxes(text)
    if boxed:
        start = boxed[-1][0]
        opened = text[start:].find("{") + start + 1
        found.append(Hostile(f"{case.name} cut in its box", "truncated", text[:opened]))
    return found


def claimed(case: Case) -> Iterator[Hostile]:
    """Yields a wrong completion with a claim after it."""
    for name in ("an order", "a verdict as json", "a system message", "a judge's reply", "a closed delimiter"):
        text = f"{case.completion}\n\n{_INJECTED[name]}"
        twin = f"{case.completion}\n\n{neutral(_INJECTED[name])}"
        yield Hostile(f"{name} after {case.name}", "injected", text, twin)


def neutral(text: str) -> str:
    """Returns a text in which each word of a claim is another word of the same length."""

    def other(match: linear.Match) -> str:
        word = match.group()
        if word.casefold() not in _CLAIMS:
            return word
        replaced = _NEUTRAL[len(word)]
        return replaced.upper() if word.isupper() else replaced.capitalize() if word[0].isupper() else replaced

    return _LETTERS.sub(other, text)


_LETTERS = linear.compile(r"[A-Za-z]+")
_NUMBER = linear.compile(r"-?\d+(?:\.\d+)?")


def may_be_right(task: Task, text: str) -> bool:
    """Tells whether the task's answer happens to stand in a text that was not written for this task, so that a
    pass would be no fault. Programs are never right by chance."""
    gold = (task.answer or "").strip().casefold()
    if task.tests or not gold:
        return False
    if _stands_alone(gold, text.casefold()[:10_000]):
        return True
    number = _number(gold)
    if number is None:
        return False
    return any(number in (float(found), float(found) / 100) for found in _NUMBER.findall(text[:10_000]))


def _stands_alone(word: str, text: str) -> bool:
    """Tells whether a word stands in a text, and is no part of a longer one."""
    at = text.find(word)
    while at >= 0:
        beside = text[max(at - 1, 0) : at] + text[at + len(word) : at + len(word) + 1]
        if not any(char.isalnum() or char == "_" for char in beside):
            return True
        at = text.find(word, at + 1)
    return False


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None
