"""Whether a label is right, where the seeds' source can solve its own problems. Only to measure, never to train."""

from __future__ import annotations

from collections.abc import Callable

from selfplay.config.recipe import Domain
from selfplay.config.seeds import QuickstartSeeds
from selfplay.quickstart import list_programs, word_problems
from verifiers.model import Task


def exact_solver(domain: Domain) -> Callable[[Task], bool] | None:
    """Where the source's problems can be solved exactly: whether a task's label is right. For measurement only.

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
    return program is not None and all(program(test.input).split() == test.output.split() for test in task.tests)
