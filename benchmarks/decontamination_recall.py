"""How many planted leaks decontamination finds, and how many real problems it drops that are none.

`python -m benchmarks decontamination_recall --data FOLDER`, where FOLDER has `math/` and `code/` with JSON lines that
have a `problem` (or `prompt`, `statement`, `text`): GSM8K, MATH-500, AIME, HumanEval, MBPP. The problems themselves are
no part of this tree. Each is planted in every disguise; of each set, the others' problems must not be dropped.

before  runs of 13 words, marks counted as words, as it was
words   runs of 13 words without marks
both    these, shingles of letters, and short problems as sentences: the default
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from selfplay.config.curation import Curation
from selfplay.curation.decontamination import LeakIndex
from selfplay.curation.words import words
from verifiers.untrusted.files import json_rows

SETS = {
    "gsm8k": "math/gsm8k.jsonl",
    "math500": "math/math500.jsonl",
    "aime24": "math/aime2024.jsonl",
    "aime25": "math/aime2025.jsonl",
    "humaneval": "code/humaneval.jsonl",
    "mbpp": "code/mbpp_func.jsonl",
}
COLUMNS = ("problem", "prompt", "statement", "text")
SENTENCES = (
    "Explain each step of your reasoning.",
    "Give your final answer in a box.",
    "Here is a problem about school.",
)
Disguise = Callable[[str, random.Random], str]


def _commas(text: str, rng: random.Random) -> str:
    return " ".join(word + "," if rng.random() < 0.3 else word for word in text.split())


def _markdown(text: str, rng: random.Random) -> str:
    marks = ("**{}**", "*{}*", "`{}`", "__{}__")
    return "> " + " ".join(rng.choice(marks).format(word) if rng.random() < 0.3 else word for word in text.split())


def _full_width(text: str, rng: random.Random) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


def _replaced(text: str, rng: random.Random) -> str:
    return " ".join("thing" if rng.random() < 0.1 else word for word in text.split())


def _renumbered(text: str, rng: random.Random) -> str:
    return "".join(rng.choice("23456789") if char.isdigit() else char for char in text)


DISGUISES: dict[str, Disguise] = {
    "verbatim": lambda text, rng: text,
    "other spacing and case": lambda text, rng: text.upper().replace(" ", "  \n"),
    "inserted commas": _commas,
    "full-width letters": _full_width,
    "soft hyphens": lambda text, rng: "".join(char + "\u00ad" if rng.random() < 0.2 else char for char in text),
    "Markdown": _markdown,
    "a sentence after it": lambda text, rng: f"{text} {rng.choice(SENTENCES)}",
    "a sentence before it": lambda text, rng: f"{rng.choice(SENTENCES)} {text}",
    "all of these": lambda text, rng: (
        f"{rng.choice(SENTENCES)} " + _full_width(_markdown(_commas(text, rng), rng), rng)
    ),
    "a word in ten replaced": _replaced,
    "other digits": _renumbered,
}
"""The last two make another problem, or nearly; they are told beside the leaks, not among them."""


class Before:
    """Runs of 13 words and marks, and whole problems: the index as it was."""

    def __init__(self, problems: Mapping[str, Mapping[str, str]]) -> None:
        texts = [words(text) for items in problems.values() for text in items.values()]
        self._runs = {run for tokens in texts for run in zip(*(tokens[start:] for start in range(13)), strict=False)}
        self._whole = set(map(tuple, texts))

    def find(self, text: str) -> Any:
        tokens = words(text)
        runs = zip(*(tokens[start:] for start in range(13)), strict=False)
        return tuple(tokens) in self._whole or any(run in self._runs for run in runs) or None


ARMS: dict[str, Callable[[Mapping[str, Mapping[str, str]]], Any]] = {
    "before": Before,
    "words": lambda problems: LeakIndex(problems, Curation(decontamination_characters=0)),
    "both": lambda problems: LeakIndex(problems, Curation()),
}


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Measures and returns the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks decontamination_recall", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with math/ and code/")
    asked = parser.parse_args(arguments)
    sets = {name: _problems(asked.data / file) for name, file in SETS.items()}
    return {
        "problems": {name: len(texts) for name, texts in sets.items()},
        "recall": {arm: _recall(make, sets) for arm, make in ARMS.items()},
        "dropped_of_other_sets": {arm: _dropped(make, sets) for arm, make in ARMS.items()},
    }


def _problems(file: Path) -> list[str]:
    rows = [row for _, row in json_rows(file)]
    return [next(str(row[column]) for column in COLUMNS if row.get(column)) for row in rows]


def _recall(make: Callable[..., Any], sets: Mapping[str, Sequence[str]]) -> dict[str, float]:
    index = make({name: dict(enumerate(texts)) for name, texts in sets.items()})
    everything = [text for texts in sets.values() for text in texts]
    return {
        name: round(
            sum(index.find(disguise(text, random.Random(place))) is not None for place, text in enumerate(everything))
            / len(everything),
            4,
        )
        for name, disguise in DISGUISES.items()
    }


def _dropped(make: Callable[..., Any], sets: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Of each set, how many of its problems are dropped where all other sets must stay unseen, and a few of them."""
    found: dict[str, Any] = {}
    for name, texts in sets.items():
        index = make({other: dict(enumerate(theirs)) for other, theirs in sets.items() if other != name})
        dropped = [text for text in texts if index.find(text) is not None]
        found[name] = {"dropped": len(dropped), "of": len(texts), "first": [text[:200] for text in dropped[:3]]}
    return found
