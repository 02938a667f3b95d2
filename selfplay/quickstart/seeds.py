"""Seed problems for the quickstart: distinct, reproducible, and held out by construction.

A split owns concept combinations and number patterns (for programs: test inputs), by hash. So no problem,
number pattern or concept combination of one split occurs in another, whatever the seeds and counts.

About half of the worked solutions carry one slip, on purpose (`slip_rate`): a model trained on them can
solve the problems but often doesn't, which leaves self-play something to improve. Figures made with such a
base say how well self-play finds what the base knows, and nothing about what real models gain.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from selfplay.config.domains import Domain as DomainSettings
from selfplay.config.seeds import QuickstartSeeds
from selfplay.quickstart import list_programs, word_problems
from selfplay.quickstart.seed_problem import DEFAULT_SLIP_RATE, SPLITS, Domain, SeedProblem, Split, distinct
from verifiers.model import Task

__all__ = ["DEFAULT_SLIP_RATE", "SPLITS", "Domain", "SeedProblem", "Split", "generate"]

_SOURCES = {"math": word_problems.sample, "code": list_programs.sample}
_ATTEMPTS_A_PROBLEM = 50


def generate(
    domain: Domain, count: int, seed: int, split: Split = "train", slip_rate: float = DEFAULT_SLIP_RATE
) -> list[SeedProblem]:
    """`count` problems with distinct statements; the same arguments always give the same list.

    Example:
        >>> [problem.domain for problem in generate("math", 2, seed=0)]
        ['math', 'math']
    """
    if domain not in _SOURCES:
        raise ValueError(f"no seeds for domain {domain!r}; there are: {', '.join(_SOURCES)}")
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; there are: {', '.join(SPLITS)}")
    if not 0.0 <= slip_rate <= 1.0:
        raise ValueError(f"slip_rate is a share, from 0 to 1, not {slip_rate}")
    rng = random.Random(f"{domain}/{split}/{seed}")
    drawn = (_SOURCES[domain](rng, split, slip_rate) for _ in range(count * _ATTEMPTS_A_PROBLEM))
    return distinct(drawn, count, f"the {domain} grammar", split)


def exact_solver(domain: DomainSettings) -> Callable[[Task], bool] | None:
    """A check of a task's label, where the source's problems can be solved exactly; for measurement only.

    A problem outside the source's grammar has no right label, so any label of it is wrong.
    """
    source = domain.seeds
    if not isinstance(source, QuickstartSeeds):
        return None
    return _math_label_right if source.grammar == "math" else _code_label_right


def _math_label_right(task: Task) -> bool:
    true = word_problems.solve(task.problem)
    return true is not None and true == task.answer


def _code_label_right(task: Task) -> bool:
    program = list_programs.solve(task.problem)
    try:
        return program is not None and all(program(test.input).split() == test.output.split() for test in task.tests)
    except ValueError:  # a model wrote the input
        return False
