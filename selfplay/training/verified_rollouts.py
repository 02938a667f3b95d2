"""Rollouts of the policy with their verdicts, for the rules that learn from finished rollouts."""

from __future__ import annotations

import dataclasses
import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from selfplay import formats
from selfplay.engines.base import ModelRef
from selfplay.rollouts.completions import Completion, Origin, complete
from selfplay.rollouts.mode_collapse import ModeCollapse
from selfplay.rollouts.rollout import judged
from selfplay.run.directory import Stage
from selfplay.run.records import TOKENS, LabelledTask, Rollout
from selfplay.stage.context import Context
from selfplay.training.validity import ValidForm, fault
from verifiers.composite import component_rewards
from verifiers.model import Verdict

TABLE = "rollouts"


def solver_prompt(context: Context, task: LabelledTask) -> str:
    """The policy's prompt for a task."""
    return formats.solver_input(context.recipe.domains[task.domain], task.task)


def write_rollouts(
    stage: Stage, context: Context, number: int, policy: ModelRef, tasks: Sequence[LabelledTask], k: int
) -> int:
    """Writes `rollouts`, k of each task with their own verdicts, and says how many there are."""
    context.listener.begin(f"selfplay {number}: {TABLE}", len(tasks) * k)
    how = context.recipe.training.sampling
    completions = complete(
        context.engine(policy),
        tasks,
        how,
        k,
        context.seed("selfplay", number, TABLE),
        domains=context.recipe.domains,
        origin=Origin(("rollout", number), number, f"T={how.temperature}"),
        on_progress=context.listener.advance,
    )
    heard = Heard(context)
    count = stage.write(TABLE, Rollout, chain.from_iterable(judged(context.judge, completions, heard)))
    context.listener.log(f"selfplay_{number}", heard.metrics())
    return count


def taught_by(stage: Stage, context: Context, number: int) -> Iterator[Rollout]:
    """The rollouts as a rule learns from them, less their tokens.

    For the control their verdicts are permuted; the table, which is exported, keeps those that verifiers gave.
    """

    def rows() -> Iterator[Rollout]:
        return stage.stream(TABLE, Rollout, leave_out=TOKENS)

    training = context.recipe.training
    if training.rewards != "shuffled":
        return rows()
    form = ValidForm.of(context.recipe)
    verdicts = permuted(rows(), form, context.seed("selfplay", number, "shuffle"))
    return with_verdicts(rows(), form, verdicts)


class Heard:
    """Metrics of a round's rollouts."""

    def __init__(self, context: Context) -> None:
        self._sums: dict[str, float] = {"reward": 0.0}
        self._counts = Counter[str]()
        self._collapse = ModeCollapse(context.judge.verifiers, window=None)

    def __call__(self, completions: Sequence[Completion], verdicts: Sequence[Verdict]) -> None:
        """Takes in some rollouts."""
        for one, verdict in zip(completions, verdicts, strict=True):
            self._collapse.add(one.task.domain, one.task.id, one.text, verdict.passed)
            parts = {f"reward/{name}": reward for name, reward in component_rewards(verdict).items()}
            for name, reward in ({"reward": verdict.reward} | parts).items():
                if reward is not None:
                    self._sums[name] = self._sums.get(name, 0.0) + reward
                    self._counts[name] += 1

    def metrics(self) -> dict[str, float]:
        """Mean rewards, of components too, and the share of the most frequent wrong answer."""
        means = {name: value / (self._counts[name] or math.nan) for name, value in self._sums.items()}
        return {f"rollouts/{name}": value for name, value in (means | self._collapse.metrics()).items()}


VerdictRow = tuple[bool | None, float | None, str]
"""Whether a rollout passed, its reward, and its status."""


def permuted(rows: Iterable[Rollout], form: ValidForm, seed: int) -> list[VerdictRow]:
    """The verdicts of those rollouts that may teach, shuffled, so that a reward says nothing about its completion.

    Args:
        rows: rollouts with their verdicts.
        form: of a completion that may teach.
    """
    # Verdicts are many and few of them differ: one object stands for all that are alike.
    alike: dict[VerdictRow, VerdictRow] = {}
    verdicts = [(row.passed, row.reward, row.status) for row in rows if not fault(row, form)]
    verdicts = [alike.setdefault(verdict, verdict) for verdict in verdicts]
    random.Random(seed).shuffle(verdicts)
    return verdicts


def with_verdicts(rows: Iterable[Rollout], form: ValidForm, verdicts: Iterable[VerdictRow]) -> Iterator[Rollout]:
    """The rollouts under other verdicts, one for each that may teach.

    Those that may not keep their own: the control, too, is to leave out what was cut or has no answer.
    """
    left = iter(verdicts)
    for row in rows:
        if fault(row, form):
            yield row
            continue
        passed, reward, status = next(left)
        yield dataclasses.replace(row, passed=passed, reward=reward, status=status)
