"""Word problems of two or three steps, with an exact solver for their grammar.

A problem names a holder, a place and a first count, then changes the count step by step and asks for the
last one. Every step is defined for every count (halves and shares are rounded down, giving away stops at
zero), and every statement says so: a problem that the grammar accepts has exactly one right answer. That
matters more than any training setting, because a model that learns to write such problems would otherwise
write ill-posed ones, and no vote can label those.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from selfplay.quickstart.seed_problem import (
    DEFAULT_SLIP_RATE,
    SeedProblem,
    Split,
    combination_split,
    describe_design,
    numbers_split,
)
from verifiers.patterns import linear

HOLDERS = ("Mia", "Tom", "Ana", "Ben", "Eva", "Leo", "Zoe", "Max")
PLACES = {
    "a beach": "shells",
    "a bakery": "buns",
    "a farm": "eggs",
    "a library": "books",
    "a garden": "plums",
    "an office": "pens",
    "a harbour": "crabs",
    "a workshop": "nails",
}
LARGEST = 24
_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class StoryOperation:
    """One kind of step: how it is named, told, computed and written down."""

    concept: str
    sentence: str
    plan: str
    ranges: tuple[tuple[int, int], ...]
    apply: Callable[[int, tuple[int, ...]], int]
    working: str
    rounds: bool = False
    """Whether the rule rounds or cuts off, which makes the step a harder one."""


OPERATIONS = (
    StoryOperation("addition", "Then {0} more arrive.", "add {0}", ((2, 9),), lambda v, n: v + n[0], "{v} + {0}"),
    StoryOperation(
        "subtraction",
        "Then {0} are given away, or all if there are fewer.",
        "give away {0}",
        ((2, 9),),
        lambda v, n: max(v - n[0], 0),
        "{v} - {0}",
    ),
    StoryOperation("doubling", "The number doubles.", "double", (), lambda v, n: v * 2, "{v} * 2"),
    StoryOperation("tripling", "The number triples.", "triple", (), lambda v, n: v * 3, "{v} * 3"),
    StoryOperation("halving", "Only half are kept, rounded down.", "halve", (), lambda v, n: v // 2, "{v} / 2", True),
    StoryOperation(
        "sharing",
        "They are split into {0} equal shares, rounded down, and one is kept.",
        "share by {0}",
        ((3, 5),),
        lambda v, n: v // n[0],
        "{v} / {0}",
        True,
    ),
    StoryOperation(
        "limit",
        "There is room for {0} only, the rest is lost.",
        "room for {0}",
        ((5, 15),),
        lambda v, n: min(v, n[0]),
        "{v} to {0}",
        True,
    ),
)
CONCEPTS = (*(operation.concept for operation in OPERATIONS), *PLACES)
_SENTENCE = linear.compile(r"[^.?]+[.?]")
_OPENING = linear.compile(r"At (an? [a-z]+), ([A-Za-z]+) has ([0-9]{1,9}) ([a-z]+)\.")
_MOST_SENTENCES = 100
"""Of a statement that is read; the grammar's own have a few. What each says may double what there is."""
_QUESTION = "How many are there now?"


@dataclass(frozen=True, slots=True)
class StoryStep:
    """An operation with its numbers."""

    operation: StoryOperation
    numbers: tuple[int, ...]

    def apply(self, value: int) -> int:
        return self.operation.apply(value, self.numbers)


@dataclass(frozen=True, slots=True)
class WordProblem:
    """A parsed problem."""

    place: str
    who: str
    item: str
    start: int
    steps: tuple[StoryStep, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """Every number of the statement, in order."""
        return (self.start, *(number for step in self.steps for number in step.numbers))

    @property
    def concepts(self) -> tuple[str, ...]:
        return tuple(sorted((self.place, *(step.operation.concept for step in self.steps))))

    def values(self) -> list[int]:
        """The count at the start and after every step."""
        values = [self.start]
        for step in self.steps:
            values.append(step.apply(values[-1]))
        return values


def render(problem: WordProblem) -> str:
    """The statement."""
    told = [step.operation.sentence.format(*step.numbers) for step in problem.steps]
    opening = f"At {problem.place}, {problem.who} has {problem.start} {problem.item}."
    return " ".join([opening, *told, _QUESTION])


def parse(statement: str) -> WordProblem | None:
    """The problem that a statement tells, or None when the grammar does not contain it."""
    sentences = _SENTENCE.findall(statement.strip())
    if not 3 <= len(sentences) <= _MOST_SENTENCES or "".join(sentences) != statement.strip():
        return None
    opening = _OPENING.fullmatch(sentences[0])
    if opening is None or sentences[-1].strip() != _QUESTION:
        return None
    place, who, start, item = opening.groups()
    if place not in PLACES or item not in PLACES.values() or who not in HOLDERS:
        return None
    steps = [_parse_step(sentence.strip()) for sentence in sentences[1:-1]]
    known = tuple(step for step in steps if step is not None)
    return WordProblem(place, who, item, int(start), known) if len(known) == len(steps) else None


def solve(statement: str) -> str | None:
    """The right answer of a statement, or None when it is not in the grammar. For measurement only."""
    problem = parse(statement)
    return None if problem is None else str(problem.values()[-1])


@cache
def _pattern(operation: StoryOperation) -> linear.Pattern:
    return linear.compile(linear.escape(operation.sentence).replace(r"\{0\}", "([0-9]{1,9})"))


def _parse_step(sentence: str) -> StoryStep | None:
    for operation in OPERATIONS:
        match = _pattern(operation).fullmatch(sentence)
        if match is not None:
            numbers = tuple(int(number) for number in match.groups())
            # Nobody can make zero shares: the one way in which a sentence of the grammar could be ill-posed.
            return None if operation.concept == "sharing" and numbers[0] == 0 else StoryStep(operation, numbers)
    return None


def level_of(problem: WordProblem) -> str:
    """Easy: two steps; medium: two steps of which one rounds or cuts off; hard: three steps."""
    if len(problem.steps) >= 3:
        return "hard"
    return "medium" if any(step.operation.rounds for step in problem.steps) else "easy"


def worked_solution(problem: WordProblem, slip_at: int | None = None, slip: int = 0) -> str:
    """The working, step by step; at `slip_at` the result is off by `slip`, and later steps go on from it."""
    value, lines = problem.start, []
    for index, step in enumerate(problem.steps):
        result = step.apply(value) + (slip if index == slip_at else 0)
        lines.append(f"{step.operation.working.format(*step.numbers, v=value)} = {result}")
        value = result
    return "; ".join([*lines, rf"\boxed{{{value}}}"])


def slipped_solution(rng: random.Random, problem: WordProblem, answer: str) -> str | None:
    """A working with exactly one off-by-one slip that changes the answer, or None when none of them does."""
    slips = [(at, slip) for at in range(len(problem.steps)) for slip in (-1, 1)]
    rng.shuffle(slips)
    for at, slip in slips:
        before = problem.values()[at]
        text = worked_solution(problem, at, slip)
        if problem.steps[at].apply(before) + slip >= 0 and not text.endswith(rf"\boxed{{{answer}}}"):
            return text
    return None


def sample(rng: random.Random, split: Split, slip_rate: float = DEFAULT_SLIP_RATE) -> SeedProblem:
    """A random problem whose concept combination and number pattern both belong to the split."""
    problem = _sample_problem(rng, split)
    answer = str(problem.values()[-1])
    slipped = slipped_solution(rng, problem, answer) if rng.random() < slip_rate else None
    return SeedProblem(
        domain="math",
        concepts=problem.concepts,
        level=level_of(problem),
        rationale=_rationale(rng, problem),
        problem=render(problem),
        answer=answer,
        tests=(),
        solution=slipped or worked_solution(problem),
        slipped=slipped is not None,
    )


def _sample_problem(rng: random.Random, split: Split) -> WordProblem:
    while True:
        place, operations = rng.choice(list(PLACES)), rng.sample(OPERATIONS, rng.choice((2, 2, 3)))
        if combination_split((place, *(operation.concept for operation in operations))) != split:
            continue
        for _ in range(_ATTEMPTS):
            steps = tuple(StoryStep(op, tuple(rng.randint(*span) for span in op.ranges)) for op in operations)
            problem = WordProblem(place, rng.choice(HOLDERS), PLACES[place], rng.randint(4, LARGEST), steps)
            if _is_natural(problem) and numbers_split(problem.numbers) == split:
                return problem


def _is_natural(problem: WordProblem) -> bool:
    """Small counts, and no step without effect: the solver needs neither, readers like both."""
    values = problem.values()
    return all(1 <= value <= LARGEST for value in values) and all(before != after for before, after in pairwise(values))


def _rationale(rng: random.Random, problem: WordProblem) -> str:
    place = problem.place
    plans = [step.operation.plan.format(*step.numbers) for step in problem.steps]
    names = [step.operation.concept for step in problem.steps]
    plan = f"Set it at {place} with {problem.start} {problem.item}: {', then '.join(plans)}."
    outline = f"Set it at {place}: {', then '.join(names)}."
    return describe_design(rng, plan, outline, f"A short story at {place}.")
