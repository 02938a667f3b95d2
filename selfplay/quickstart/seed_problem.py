"""The seed record shared by all sources, and the rule which keeps the splits apart."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Domain = Literal["math", "code"]
Split = Literal["train", "dev", "heldout"]

SPLITS: tuple[Split, ...] = ("train", "dev", "heldout")
DEFAULT_SLIP_RATE = 0.5
_TRAIN_SHARE, _DEV_SHARE = 0.70, 0.15


@dataclass(frozen=True, slots=True)
class SeedProblem:
    """One problem as a seed set gives it: what it is about, how it was designed, and how it is solved."""

    domain: Domain
    concepts: tuple[str, ...]
    """Distinct names, sorted: the same ideas in another order are the same combination."""
    level: str
    rationale: str
    """A designer's thinking that leads from the concepts to the problem."""
    problem: str
    answer: str | None
    """The right answer of a math problem; None for code."""
    tests: tuple[tuple[str, str], ...]
    """Input and right output of a program; empty for math."""
    solution: str
    """A worked solution, without leading blanks. Wrong exactly when `slipped` is true."""
    slipped: bool


def split_of(key: str) -> Split:
    """The split that owns this key (a concept combination, a number pattern), decided by its hash alone."""
    position = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) / 2**64
    if position < _TRAIN_SHARE:
        return "train"
    return "dev" if position < _TRAIN_SHARE + _DEV_SHARE else "heldout"


def combination_split(concepts: Sequence[str]) -> Split:
    """The split that owns a concept combination."""
    return split_of("concepts:" + "|".join(sorted(concepts)))


def numbers_split(numbers: Sequence[int]) -> Split:
    """The split that owns a number pattern: the numbers of a statement, or of a test's input, in order."""
    return split_of("numbers:" + ",".join(map(str, numbers)))


def distinct(problems: Iterable[SeedProblem], count: int, source: str, split: Split) -> list[SeedProblem]:
    """The first problems with distinct statements. Raises ValueError where there are fewer than `count`."""
    found: dict[str, SeedProblem] = {}
    # Not one more is drawn than is wanted.
    for problem in problems if count else ():
        found.setdefault(problem.problem, problem)
        if len(found) == count:
            break
    if len(found) < count:
        raise ValueError(f"{source} has too few {split} problems for {count}: found {len(found)}")
    return list(found.values())


def describe_design(rng: random.Random, plan: str, outline: str, gist: str) -> str:
    """A rationale by one of three imagined annotators, from full plan to bare gist.

    Real annotators differ in quality too; the choice among rationales is what EM has to learn.
    """
    return rng.choices((plan, outline, gist), weights=(5, 3, 2))[0]
