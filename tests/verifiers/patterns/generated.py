"""Texts that a pattern may match, made from the tree that Python's own parser gives of it."""

from __future__ import annotations

import importlib
import random
import re._constants as of  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
LOOPS = (of.MAX_REPEAT, of.MIN_REPEAT)
_OF_CATEGORY = {
    of.CATEGORY_DIGIT: "7",
    of.CATEGORY_NOT_DIGIT: "x-",
    of.CATEGORY_SPACE: " \n\t\u3000",
    of.CATEGORY_NOT_SPACE: "y.",
    of.CATEGORY_WORD: "aé_3Z中",
    of.CATEGORY_NOT_WORD: "- ",
}


def load_every_pattern() -> None:
    """Imports each module of the product that compiles a pattern."""
    for package in ("verifiers", "selfplay"):
        for file in sorted((ROOT / package).rglob("*.py")):
            if "linear.compile(" in file.read_text():
                importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))


def parsed(pattern: str, flags: int) -> Any:
    return parser.parse(pattern, flags)


def matching(items: Any, rng: random.Random) -> str:
    """Returns a text that the items may match; what they look around at is mostly there."""
    return "".join(_one(kind, value, rng) for kind, value in items)


def _one(kind: Any, value: Any, rng: random.Random) -> str:
    if kind is of.LITERAL:
        return chr(value)
    if kind in (of.NOT_LITERAL, of.ANY):
        return rng.choice("ab1 \\{}$\n")
    if kind is of.IN:
        return _member(value, rng)
    if kind is of.BRANCH:
        return matching(rng.choice(value[1]), rng)
    if kind is of.SUBPATTERN:
        return matching(value[3], rng)
    if kind in LOOPS:
        least, most, body = value
        times = rng.randint(least, min(int(most), least + 3)) if rng.random() < 0.8 else least
        return "".join(matching(body, rng) for _ in range(times))
    if kind in (of.ASSERT, of.ASSERT_NOT):
        return matching(value[1], rng) if rng.random() < (0.7 if kind is of.ASSERT else 0.3) else ""
    return ""


def _member(items: Any, rng: random.Random) -> str:
    kind, value = rng.choice(items)
    if items[0][0] is of.NEGATE:
        return rng.choice("ab1 .,\\A")
    if kind is of.LITERAL:
        return chr(value)
    return chr(rng.randint(*value)) if kind is of.RANGE else rng.choice(_OF_CATEGORY[value])


def pieces(items: Any) -> Iterator[Any]:
    """Yields the parts of a pattern, each a sequence that can be made a text of."""
    yield items
    for kind, value in items:
        if kind is of.BRANCH:
            for option in value[1]:
                yield from pieces(option)
        elif kind is of.SUBPATTERN:
            yield from pieces(value[3])
        elif kind in LOOPS:
            yield from pieces(value[2])
        elif kind in (of.ASSERT, of.ASSERT_NOT):
            yield from pieces(value[1])
