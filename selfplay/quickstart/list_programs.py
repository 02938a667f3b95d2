"""Small stdin/stdout programming problems over one line of integers, with an exact interpreter.

Input format, the same for all: one line of 1 to 8 integers from -9 to 9, separated by blanks. Output: one
integer, or one line of integers (empty when none are left). A problem is one or two operations on the list
and a way to print it; each is defined for every list, the empty one included, so none can be ill-posed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from selfplay.quickstart.list_operations import CONCEPTS, OUTPUTS, STEPS, Action, ListOperation
from selfplay.quickstart.seed_problem import (
    DEFAULT_SLIP_RATE,
    SeedProblem,
    Split,
    combination_split,
    describe_design,
    numbers_split,
)
from verifiers.patterns import linear

__all__ = ["CONCEPTS", "ListProgram", "inputs", "parse", "reference_solution", "render", "sample", "solve"]

SMALLEST, LARGEST, LONGEST = -9, 9, 8
LARGEST_CONSTANT = 6
TESTS = 4
MOST_OPERATIONS = 8
"""Of a statement; those of the seeds have three. A number that is squared again and again has soon no end."""
_OPENING = "Given one line of integers: "
_READ = "v=list(map(int,input().split()))"

Tests = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ListProgram:
    """A parsed problem: operations with their constants (0 where there is none), the output last."""

    operations: tuple[tuple[ListOperation, int], ...]

    @property
    def concepts(self) -> tuple[str, ...]:
        """The names of its operations, sorted."""
        return tuple(sorted(operation.concept for operation, _ in self.operations))

    def run(self, line: str) -> str:
        """The right output for an input line. Raises ValueError where that is none of integers, or has more digits than
        Python writes."""
        return _run([(operation.apply, number) for operation, number in self.operations], line)


def render(program: ListProgram) -> str:
    """The statement."""
    return _OPENING + ", then ".join(op.phrase.format(n=n) for op, n in program.operations) + "."


def parse(statement: str) -> ListProgram | None:
    """The program that a statement asks for, or None when the grammar does not contain it."""
    statement = statement.strip()
    if not (statement.startswith(_OPENING) and statement.endswith(".")):
        return None
    phrases = statement[len(_OPENING) : -1].split(", then ", MOST_OPERATIONS)
    if len(phrases) > MOST_OPERATIONS:
        return None
    parsed = [_parse_phrase(phrase, STEPS) for phrase in phrases[:-1]] + [_parse_phrase(phrases[-1], OUTPUTS)]
    known = tuple(operation for operation in parsed if operation is not None)
    return ListProgram(known) if len(known) == len(parsed) else None


def solve(statement: str) -> Callable[[str], str] | None:
    """The right output as a function of the input line, or None outside the grammar. For measurement only."""
    program = parse(statement)
    return None if program is None else program.run


def inputs(rng: random.Random, count: int = TESTS) -> list[str]:
    """Input lines for any problem, from the published format alone.

    The first has one element, the second a negative number, the third a repeated one.
    """
    return [" ".join(map(str, _values(rng, kind))) for kind in range(count)]


def reference_solution(program: ListProgram) -> str:
    """A right program in the seeds' style."""
    return _solution([operation.code.format(n=n) for operation, n in program.operations])


def slipped_solution(rng: random.Random, program: ListProgram, tests: Tests) -> str | None:
    """A program with exactly one wrong line that some test catches, or None when no mistake is caught."""
    slips = [(at, slip) for at, (op, n) in enumerate(program.operations) for slip in op.slips_for(n)]
    rng.shuffle(slips)
    for at, slip in slips:
        actions = [(operation.apply, n) for operation, n in program.operations]
        actions[at] = (slip.apply, actions[at][1])
        if any(_run(actions, given) != expected for given, expected in tests):
            lines = [operation.code.format(n=n) for operation, n in program.operations]
            return _solution([*lines[:at], slip.code, *lines[at + 1 :]])
    return None


def sample(rng: random.Random, split: Split, slip_rate: float = DEFAULT_SLIP_RATE) -> SeedProblem:
    """A random problem whose concept combination and test inputs all belong to the split."""
    program = _sample_program(rng, split)
    tests = tuple((line, program.run(line)) for line in _inputs_of_split(rng, split))
    slipped = slipped_solution(rng, program, tests) if rng.random() < slip_rate else None
    return SeedProblem(
        domain="code",
        concepts=program.concepts,
        level=level_of(program),
        rationale=_rationale(rng, program),
        problem=render(program),
        answer=None,
        tests=tests,
        solution=slipped or reference_solution(program),
        slipped=slipped is not None,
    )


def level_of(program: ListProgram) -> str:
    """Easy: one operation before the output; medium: two with at most one constant; hard: two constants."""
    if len(program.operations) <= 2:
        return "easy"
    return "hard" if sum(operation.has_number for operation, _ in program.operations) > 1 else "medium"


def _sample_program(rng: random.Random, split: Split) -> ListProgram:
    while True:
        steps = rng.sample(STEPS, rng.choice((1, 2, 2)))
        operations = [*steps, rng.choice(OUTPUTS)]
        if combination_split([operation.concept for operation in operations]) == split:
            return ListProgram(
                tuple((op, rng.randint(2, LARGEST_CONSTANT) if op.has_number else 0) for op in operations)
            )


def _inputs_of_split(rng: random.Random, split: Split) -> list[str]:
    lines = []
    for kind in range(TESTS):
        values = _values(rng, kind)
        while numbers_split(values) != split:
            values = _values(rng, kind)
        lines.append(" ".join(map(str, values)))
    return lines


def _values(rng: random.Random, kind: int) -> list[int]:
    length = 1 if kind == 0 else rng.randint(5, LONGEST)
    values = [rng.randint(SMALLEST, LARGEST) for _ in range(length)]
    if kind == 1:
        values[0] = rng.randint(SMALLEST, -1)
    if kind == 2:
        values[-1] = values[0]
    return values


def _parse_phrase(phrase: str, allowed: tuple[ListOperation, ...]) -> tuple[ListOperation, int] | None:
    for operation in allowed:
        match = _pattern(operation).fullmatch(phrase)
        if match is not None:
            return operation, int(match.group(1)) if operation.has_number else 0
    return None


@cache
def _pattern(operation: ListOperation) -> linear.Pattern:
    return linear.compile(linear.escape(operation.phrase).replace(r"\{n\}", "([1-9][0-9]{0,8})"))


def _run(actions: list[tuple[Action, int]], line: str) -> str:
    values = [int(word) for word in line.split()]
    for apply, number in actions:
        values = apply(values, number)
    return " ".join(map(str, values))


def _solution(lines: list[str]) -> str:
    return "```python\n" + "\n".join([_READ, *lines]) + "\n```"


def _rationale(rng: random.Random, program: ListProgram) -> str:
    phrases = ", ".join(op.phrase.format(n=n) for op, n in program.operations)
    names = ", then ".join(op.concept for op, _ in program.operations)
    return describe_design(rng, f"Go in this order: {phrases}.", f"First {names}.", "A short list task.")
