"""A second source of seeds: the chain sums of the `reasoning-gym` package, as the same records.

Needs the extra `promptcot[procedural]`. The questions and their answers are the package's; concepts, level,
rationale and worked solution are derived here from the expression it publishes with each.
"""

from __future__ import annotations

import random
import re
from typing import Any

from selfplay.quickstart.seed_problem import (
    DEFAULT_SLIP_RATE,
    SPLITS,
    SeedProblem,
    Split,
    combination_split,
    describe_design,
    distinct,
    numbers_split,
)

_SHORTEST, _LONGEST = 3, 8
_ATTEMPTS_A_PROBLEM = 400


def generate(count: int, seed: int, split: Split = "train", slip_rate: float = DEFAULT_SLIP_RATE) -> list[SeedProblem]:
    """`count` distinct chain sums; the same arguments and package version always give the same list.

    The concepts of a sum are its length and the order of its operations, so that a split owns concept
    combinations and number patterns here too.
    """
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; there are: {', '.join(SPLITS)}")
    rng = random.Random(f"chain_sum/{split}/{seed}")
    rows = _chain_sums(count * _ATTEMPTS_A_PROBLEM, rng.randrange(2**31))
    own = (row for row in rows if _belongs(row["metadata"]["expression"], split))
    drawn = (_problem(rng, row["question"], row["answer"], row["metadata"]["expression"], slip_rate) for row in own)
    return distinct(drawn, count, "chain_sum", split)


def _chain_sums(size: int, seed: int) -> Any:
    try:
        import reasoning_gym
    except ImportError as error:
        raise ImportError(
            "this source of problems needs the package reasoning-gym: pip install 'promptcot[procedural]'"
        ) from error
    return reasoning_gym.create_dataset(
        "chain_sum", seed=seed, size=size, min_terms=_SHORTEST, max_terms=_LONGEST, min_digits=1, max_digits=1
    )


def _terms(expression: str) -> list[tuple[str, int]]:
    """Sign and size of every term, in order."""
    pairs = re.findall(r"([+-]?) ?(\d+)", expression)
    return [(sign or "+", int(number)) for sign, number in pairs]


def _concepts(expression: str) -> tuple[str, ...]:
    signs = [sign for sign, _ in _terms(expression)[1:]]
    order = " ".join("plus" if sign == "+" else "minus" for sign in signs)
    return tuple(sorted((f"{len(signs) + 1} terms", order)))


def _belongs(expression: str, split: Split) -> bool:
    numbers = [number for _, number in _terms(expression)]
    return combination_split(_concepts(expression)) == split and numbers_split(numbers) == split


def _problem(rng: random.Random, question: str, answer: str, expression: str, slip_rate: float) -> SeedProblem:
    terms = _terms(expression)
    slip_at = rng.randrange(1, len(terms)) if rng.random() < slip_rate else None
    length = len(terms)
    return SeedProblem(
        domain="math",
        concepts=_concepts(expression),
        level="easy" if length <= 4 else "medium" if length <= 6 else "hard",
        rationale=describe_design(
            rng,
            f"Chain {length} small numbers: {expression}.",
            f"Chain {length} small numbers by plus and minus.",
            "A sum.",
        ),
        problem=question,
        answer=answer,
        tests=(),
        solution=_worked_solution(terms, slip_at, rng.choice((-1, 1))),
        slipped=slip_at is not None,
    )


def _worked_solution(terms: list[tuple[str, int]], slip_at: int | None, slip: int) -> str:
    """Term by term; at `slip_at` the result is off by `slip`, which no later term can undo."""
    value, lines = terms[0][1], []
    for index, (sign, number) in enumerate(terms[1:], 1):
        result = value + (number if sign == "+" else -number) + (slip if index == slip_at else 0)
        lines.append(f"{value} {sign} {number} = {result}")
        value = result
    return "; ".join([*lines, rf"\boxed{{{value}}}"])
