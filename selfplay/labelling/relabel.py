"""Labels and difficulty before a later round, by the policy that the round before made.

The policy solves every prompt again. That measures the pass rate anew, and its answers are votes: a label that most of
them contradict is flagged and voted on again, with the votes of all rounds.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from selfplay.config.labelling import Difficulty, Labeller, Labelling, Relabelling
from selfplay.engines.base import ModelRef
from selfplay.labelling import trial_texts
from selfplay.labelling.answer_vote import Label, label_by_answers
from selfplay.labelling.consensus import RAN, Consensus, TrialInput
from selfplay.labelling.difficulty import decide, limits_of
from selfplay.labelling.filters import statement_fault
from selfplay.labelling.label import VotedTask, label_by_votes, program_runner, vote_row, write_votes
from selfplay.labelling.tasks import counts_of, with_decision, with_label
from selfplay.labelling.votes import WeighedCompletion, open_voters, votes_of, weights_of
from selfplay.rollouts.rollout import agreement, verdicts_of
from selfplay.rollouts.waves import Waves
from selfplay.run.directory import Stage
from selfplay.run.records import LabelledTask, Rollout, UnitTest, Vote
from selfplay.run.results import LabellingResult
from selfplay.stage.context import Context
from verifiers.answers import answer_reader
from verifiers.programs.runner import ProgramRunner

KEPT, CHANGED, LOST, FOUND = "kept", "changed", "lost", "found"


def relabelling_stage(
    stage: Stage, context: Context, number: int, policy: ModelRef, earlier: Sequence[Stage]
) -> LabellingResult:
    """Writes `tasks` for round `number`, and the new votes: `completions`, `votes`, and `unit_tests`.

    Args:
        context: the run; its recipe has `labelling.relabelling`.
        number: of the round that comes next, from 2.
        policy: what the round before made.
        earlier: the labelling stage and the relabellings since, oldest first.
    """
    tasks = earlier[-1].read("tasks", LabelledTask)
    votes = _grouped(earlier, "votes", Vote)
    trials = {key: [TrialInput(t.kind, t.input, t.written) for t in rows] for key, rows in _trials(earlier[0]).items()}
    waves = Waves(stage, "completions")
    looked = look_again(waves, context, number, policy, tasks)
    with closing(program_runner(context)) as runner:
        found = [_judged(context, runner, number, one, votes, trials) for one in looked]
    final = {before.id: case for before, (_, case) in zip(tasks, found, strict=True) if case is not None}

    def finish(row: Rollout) -> Rollout:
        case = final[row.task_id]
        agrees = case.label.agrees[row.index] if case.label.agrees else None
        return vote_row(row, case.task, number, row.index, agrees, case.label)

    renewed = [task for task, _ in found]
    count = waves.merge(tasks, finish)
    stage.write("tasks", LabelledTask, renewed)
    write_votes(stage, number, list(final.values()))
    return LabellingResult(**counts_of(renewed), completions=count, **_what_changed(renewed))


def look_again(
    waves: Waves, context: Context, number: int, policy: ModelRef, tasks: Sequence[LabelledTask]
) -> list[VotedTask]:
    """The new policy's votes on each task that may be trained on, drawn in waves until no more is needed.

    Its completions go to the waves; `label.agrees` says of each whether it passes under the task's label; None where
    that could not be found out, or there is no label.
    """
    settings = context.recipe.labelling
    again = settings.relabelling
    assert again is not None
    how = _rollouts(settings, again)
    limits = limits_of(settings)
    found = {task.id: VotedTask(task, label=_label_of(task)) for task in tasks}
    means: dict[str, list[float | None]] = {task.id: [] for task in tasks}
    left = [task for task in tasks if _has_a_chance(task, settings, again)]
    drawn = 0
    while left and drawn < again.samples:
        wave = min(how.wave, again.samples - drawn)
        fresh = _wave(context, number, policy, left, wave, drawn)
        rows = (one.completion.judged(agreement(None)) for completions in fresh for one in completions)
        outcomes = _outcomes(context, left, fresh)
        waves.add(rows, ())
        for task, completions, agrees in zip(left, fresh, outcomes, strict=True):
            before, cast = found[task.id], votes_of(context, task, completions, number)
            label = _label_of(task, before.label.agrees + agrees)
            found[task.id] = VotedTask(task, votes=(*before.votes, *cast), label=label)
            means[task.id] += [one.mean for one in completions]
        drawn += wave
        left = [
            task
            for task in left
            if not decide(found[task.id].label.agrees, limits, how).sure
            or _may_be_contradicted(found[task.id], settings)
        ]
    # The waves of a prompt were weighed each by itself.
    return [_weighed(found[task.id], weights_of(means[task.id], 1.0, settings.sharpness)) for task in tasks]


def _weighed(one: VotedTask, weights: Sequence[float]) -> VotedTask:
    votes = (dataclasses.replace(vote, weight=weight) for vote, weight in zip(one.votes, weights, strict=True))
    return dataclasses.replace(one, votes=tuple(votes))


def _rollouts(settings: Labelling, again: Relabelling) -> Difficulty:
    """How the completions of the new policy are drawn, as `difficulty` says where there is one."""
    own = settings.difficulty or Difficulty(stop="never", wave=again.samples)
    return own.model_copy(update={"rollouts": again.samples, "sampling": again.sampling})


def _has_a_chance(task: LabelledTask, settings: Labelling, again: Relabelling) -> bool:
    if statement_fault(task.problem, settings):
        return False
    return again.revive or not task.dropped


def _may_be_contradicted(one: VotedTask, settings: Labelling) -> bool:
    """Whether the completions that are left could still make the label one to vote on again."""
    again = settings.relabelling
    assert again is not None
    # One completion alone may outweigh all others where they weigh by their likelihood.
    if again.votes == "all" or settings.votes == "likelihood" or not one.task.has_label:
        return True
    left = again.samples - len(one.label.agrees)
    against = sum(agreed is not True for agreed in one.label.agrees)
    return against + left >= again.contradiction * again.samples


def _wave(
    context: Context, number: int, policy: ModelRef, tasks: Sequence[LabelledTask], wave: int, drawn: int
) -> list[list[WeighedCompletion]]:
    again = context.recipe.labelling.relabelling
    assert again is not None
    labeller = Labeller(sampling=again.sampling, samples=wave)
    what = f"relabelling {number}: solving from {drawn + 1} on"
    with open_voters(context, {"": labeller}, policy) as voters:
        return voters.draw(tasks, what, number, "relabelling", number, drawn, first=drawn)


def _outcomes(
    context: Context, tasks: Sequence[LabelledTask], fresh: Sequence[Sequence[WeighedCompletion]]
) -> list[tuple[bool | None, ...]]:
    """Whether each completion passes under the label of its task; None where there is none, or nobody knows."""
    labelled = [one.completion for task, drawn in zip(tasks, fresh, strict=True) if task.has_label for one in drawn]
    verdicts = iter(verdicts_of(context.judge, labelled))
    return [
        tuple(next(verdicts).passed if task.has_label else None for _ in drawn)
        for task, drawn in zip(tasks, fresh, strict=True)
    ]


def _judged(
    context: Context,
    runner: ProgramRunner,
    number: int,
    one: VotedTask,
    votes: Mapping[str, Sequence[Vote]],
    trials: Mapping[str, Sequence[TrialInput]],
) -> tuple[LabelledTask, VotedTask | None]:
    """The task as it goes into the round, and its new votes; none where it was not looked at."""
    settings = context.recipe.labelling
    again = settings.relabelling
    assert again is not None
    if not one.votes:
        return one.task, None
    fresh = one.votes
    contradicted = one.task.has_label and contradicts(context, runner, one.task, fresh, again.contradiction)
    task, label, agrees = one.task, one.label, one.label.agrees
    if contradicted or again.votes == "all" or not task.has_label:
        old = [_aged(vote, number, again.decay) for vote in votes.get(task.prompt_id, ())]
        case = VotedTask(task, votes=(*old, *fresh), trials=tuple(trials.get(task.prompt_id, ())))
        label = label_by_votes(context, runner, case).label
        agrees = label.agrees[len(old) :]
        task = with_label(context, task, label)
    flag = _flag(one.task, task, contradicted, number)
    if not label.fault:
        decision = decide(agrees, limits_of(settings), _rollouts(settings, again))
        task = with_decision(task, decision, settings)
    task = dataclasses.replace(task, flag=flag or one.task.flag)
    return task, VotedTask(task, votes=fresh, label=dataclasses.replace(label, agrees=agrees))


def contradicts(
    context: Context, runner: ProgramRunner, task: LabelledTask, votes: Sequence[Vote], share: float
) -> bool:
    """Whether at least this share of the votes agrees on something else than the label.

    For programs: whether they agree on another output of one of its tests.
    """
    settings = context.recipe.labelling.model_copy(update={"min_agreement": share, "ties": "drop", "min_tests": 1})
    reader = answer_reader(context.judge.verifiers[task.domain])
    answers, weights = [vote.answer for vote in votes], [vote.weight for vote in votes]
    if reader is not None:
        found = label_by_answers(reader, answers, weights, settings.model_copy(update={"filters": ()}))
        return found.answer is not None and not reader.equal(found.answer, task.task.answer or "")
    if task.task.checker is not None:
        # It takes many outputs: that votes agree on another one contradicts nothing.
        return False
    trials = [TrialInput("", trial_texts.input_of(test), trial_texts.output_of(test)) for test in task.task.tests]
    _, tried = Consensus(runner, task.task, answers, weights, trials).label(settings)
    return any(item.kept and item.output != trial_texts.normal(task.task, item.trial.written) for item in tried)


def _aged(vote: Vote, number: int, decay: float) -> Vote:
    """The vote as it counts before round `number`: its policy is one round older for each round since."""
    policy_of = max(vote.round - 1, 0)
    return dataclasses.replace(vote, weight=vote.weight * decay ** (number - 1 - policy_of))


def _flag(before: LabelledTask, after: LabelledTask, contradicted: bool, number: int) -> str:
    if not contradicted:
        return f"{FOUND} before round {number}" if after.has_label and not before.has_label else ""
    became = LOST if not after.has_label else KEPT if before.task == after.task else CHANGED
    return f"contradicted before round {number}: {became}"


def _label_of(task: LabelledTask, agrees: tuple[bool | None, ...] = ()) -> Label:
    """The label that a task has."""
    return Label(task.task.answer, task.task.tests, task.agreement, agrees)


def _grouped(stages: Sequence[Stage], table: str, record: type[Any]) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {}
    for stage in stages:
        for row in stage.stream(table, record):
            rows.setdefault(row.prompt_id, []).append(row)
    return rows


def _trials(stage: Stage) -> dict[str, list[UnitTest]]:
    """The tests of the first labels, by prompt, less those that were never run."""
    if not (stage.folder / "unit_tests.parquet").exists():
        return {}
    rows = _grouped([stage], "unit_tests", UnitTest)
    return {key: list(_run(tests)) for key, tests in rows.items()}


def _run(tests: Sequence[UnitTest]) -> Iterator[UnitTest]:
    seen: set[str] = set()
    for test in tests:
        if test.outcome in RAN and test.input not in seen:
            seen.add(test.input)
            yield test


def _what_changed(tasks: Sequence[LabelledTask]) -> dict[str, Any]:
    flags = Counter(task.flag for task in tasks if task.flag)
    agreement = [task.agreement for task in tasks if not task.dropped and task.agreement is not None]
    return {
        "flags": dict(sorted(flags.items())),
        "agreement": sum(agreement) / len(agreement) if agreement else None,
    }
