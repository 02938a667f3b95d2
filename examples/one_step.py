"""Word problems of one step with small numbers, for small real models: configs/seeds/one-step-*.jsonl are its output.

`python -m examples.one_step configs/seeds` writes both files. A split owns pairs of numbers under an
operation: a sum that is asked for in one file is not asked for in the other, whatever story tells it.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "heldout"]
COUNTS: dict[Split, int] = {"train": 200, "heldout": 100}
HELDOUT_SHARE = 3
"""One pair of numbers in so many is held out."""
SOURCE = "written for this project"

NAMES = ("Ada", "Bruno", "Clara", "Dario", "Elsa", "Farid", "Greta", "Hanna", "Ivan", "Jana", "Karim", "Lotte")


@dataclass(frozen=True, slots=True)
class OneStepOperation:
    """What is computed: its number pairs with their results, and the stories that ask for it."""

    sign: str
    pairs: tuple[tuple[int, int, int], ...]
    """First number, second number, result."""
    stories: tuple[str, ...]


OPERATIONS = (
    OneStepOperation(
        "+",
        tuple((a, b, a + b) for a in range(2, 13) for b in range(2, a + 1)),
        (
            "{name} has {a} apples and picks {b} more. How many apples does {name} have now?",
            "There are {a} red cups and {b} blue cups on a shelf. How many cups are there?",
            "{name} reads {a} pages on Monday and {b} pages on Tuesday. How many pages is that in all?",
            "A bus has {a} people on it. Then {b} people get on. How many people are on the bus?",
            "{name} walks {a} km before lunch and {b} km after lunch. How many km does {name} walk?",
        ),
    ),
    OneStepOperation(
        "-",
        tuple((a, b, a - b) for a in range(5, 16) for b in range(2, a - 1)),
        (
            "{name} has {a} coins and loses {b} of them. How many coins are left?",
            "A basket holds {a} eggs. {name} takes out {b}. How many eggs stay in the basket?",
            "{a} birds sit on a roof. {b} of them fly away. How many birds are still there?",
            "A rope is {a} metres long. {name} cuts off {b} metres. How many metres are left?",
            "{name} baked {a} rolls and ate {b}. How many rolls are left?",
        ),
    ),
    OneStepOperation(
        "*",
        tuple((a, b, a * b) for a in range(2, 10) for b in range(2, 10)),
        (
            "There are {a} boxes with {b} pens in each box. How many pens are there?",
            "{name} buys {a} tickets for {b} dollars each. How many dollars does {name} pay?",
            "{name} swims {b} laps a day. How many laps does {name} swim in {a} days?",
            "A hall has {a} rows of {b} chairs. How many chairs are in the hall?",
            "Each of {a} children draws {b} stars. How many stars do they draw?",
        ),
    ),
    OneStepOperation(
        "/",
        tuple((a * b, b, a) for a in range(2, 10) for b in range(2, 7)),
        (
            "{name} shares {a} nuts equally among {b} friends. How many nuts does each friend get?",
            "{a} plums are put into {b} bowls, the same number in each. How many plums are in each bowl?",
            "A ribbon of {a} cm is cut into {b} equal pieces. How many cm long is each piece?",
            "{name} pays {a} dollars for {b} equal toys. How many dollars does one toy cost?",
            "{a} players form {b} teams of the same size. How many players are in each team?",
        ),
    ),
)


def problems(split: Split, count: int) -> list[dict[str, str]]:
    """Distinct problems, the operations and their stories in turn; always the same ones.

    Raises:
        ValueError: there are not so many.
    """
    rng = random.Random(f"one-step/{split}")
    turns = [_told(operation, split, rng) for operation in OPERATIONS]
    found: list[dict[str, str]] = []
    while len(found) < count:
        row = next(turns[len(found) % len(turns)], None)
        if row is None:
            raise ValueError(f"there are fewer than {count} {split} problems")
        found.append(row)
    return found


def _told(operation: OneStepOperation, split: Split, rng: random.Random) -> Iterator[dict[str, str]]:
    """One operation's problems: its number pairs shuffled, again and again, each time under other stories."""
    pairs = owned(operation, split)
    rng.shuffle(pairs)
    for shift in range(len(operation.stories)):
        for turn, (a, b, result) in enumerate(pairs):
            story = operation.stories[(turn + shift) % len(operation.stories)]
            text = story.format(name=rng.choice(NAMES), a=a, b=b)
            yield {"problem": text, "answer": str(result), "source": SOURCE}


def owned(operation: OneStepOperation, split: Split) -> list[tuple[int, int, int]]:
    """The number pairs of a split; the order of factors and summands makes no difference."""
    unordered = sorted({_sorted(pair) for pair in operation.pairs})
    random.Random(f"one-step/{operation.sign}").shuffle(unordered)
    heldout = set(unordered[: len(unordered) // HELDOUT_SHARE])
    return [pair for pair in operation.pairs if (_sorted(pair) in heldout) == (split == "heldout")]


def _sorted(pair: tuple[int, int, int]) -> tuple[int, int]:
    first, second, _ = pair
    return min(first, second), max(first, second)


def main(folder: Path) -> None:
    """Writes both files."""
    for split, count in COUNTS.items():
        lines = "".join(json.dumps(row) + "\n" for row in problems(split, count))
        (folder / f"one-step-{split}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
