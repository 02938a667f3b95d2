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
from selfplay.labelling.answer_vote import Label, label_by_answers
from selfplay.labelling.consensus import RAN, Consensus, TrialInput
from selfplay.labelling.difficulty import decide, limits_of
from selfplay.labelling.filters import statement_fault
from selfplay.labelling.label import Case, Labelled, label_case, program_runner, write_votes
from selfplay.labelling.tasks import counts_of, has_label, task_of_label, with_decision
from selfplay.labelling.votes import Completion, Problem, ballots_of, open_voters, weighed
from selfplay.rollouts.judge import Item, task_of
from selfplay.run.directory import Stage
from selfplay.run.records import Ballot, LabelledTask, UnitTest
from selfplay.stage.context import Context
from verifiers.answer_reader import answer_reader
from verifiers.programs.runner import ProgramRunner

KEPT, CHANGED, LOST, FOUND = "kept", "changed", "lost", "found"


@dataclasses.dataclass(frozen=True, slots=True)
class Looked:
    """What the new policy made of a task."""

    task: LabelledTask
    completions: tuple[Completion, ...] = ()
    outcomes: tuple[bool | None, ...] = ()
    """Whether each agrees with the task's label; None where that could not be found out, or there is no label."""


def relabelling_stage(
    stage: Stage, context: Context, number: int, policy: ModelRef, earlier: Sequence[Stage]
) -> dict[str, Any]:
    """Writes `tasks` for round `number`, and the new votes: `completions`, `ballots`, and `unit_tests`.

    Args:
        stage: what is written to.
        context: the run; its recipe has `labelling.relabelling`.
        number: of the round that comes next, from 2.
        policy: what the round before made.
        earlier: the labelling stage and the relabellings since, oldest first.
    """
    tasks = earlier[-1].read("tasks", LabelledTask)
    votes = _grouped(earlier, "ballots", Ballot)
    trials = {key: [TrialInput(t.kind, t.input, t.written) for t in rows] for key, rows in _trials(earlier[0]).items()}
    looked = look_again(context, number, policy, tasks)
    with closing(program_runner(context)) as runner:
        found = [_judged(context, runner, number, one, votes, trials) for one in looked]
    renewed = [task for task, _ in found]
    again = [labelled for _, labelled in found if labelled is not None]
    stage.write("tasks", LabelledTask, renewed)
    write_votes(stage, number, again, {task.prompt_id: task for task in renewed})
    return counts_of(renewed) | _what_changed(renewed, looked)


def look_again(context: Context, number: int, policy: ModelRef, tasks: Sequence[LabelledTask]) -> list[Looked]:
    """The new policy's completions of each task that may be trained on, drawn in waves until no more are needed."""
    settings = context.recipe.labelling
    again = settings.relabelling
    assert again is not None
    how = _rollouts(settings, again)
    limits = limits_of(settings)
    wanted = [_has_a_chance(task, settings, again) for task in tasks]
    found = [Looked(task) for task in tasks]
    left = [place for place, chance in enumerate(wanted) if chance]
    drawn = 0
    while left and drawn < again.samples:
        wave = min(how.wave, again.samples - drawn)
        fresh = _wave(context, number, policy, [tasks[place] for place in left], wave, drawn)
        for place, (completions, outcomes) in zip(left, fresh, strict=True):
            before = found[place]
            found[place] = Looked(before.task, before.completions + completions, before.outcomes + outcomes)
        drawn += wave
        left = [
            place
            for place in left
            if not decide(found[place].outcomes, limits, how).sure or _may_be_contradicted(found[place], settings)
        ]
    # The waves of a prompt were weighed each by itself.
    return [
        dataclasses.replace(one, completions=tuple(weighed(one.completions, 1.0, settings.sharpness))) for one in found
    ]


def _rollouts(settings: Labelling, again: Relabelling) -> Difficulty:
    """How the completions of the new policy are drawn, as `difficulty` says where there is one."""
    own = settings.difficulty or Difficulty(stop="never", wave=again.samples)
    return own.model_copy(update={"rollouts": again.samples, "sampling": again.sampling})


def _has_a_chance(task: LabelledTask, settings: Labelling, again: Relabelling) -> bool:
    if statement_fault(task.problem, settings):
        return False
    return again.revive or not task.dropped


def _may_be_contradicted(one: Looked, settings: Labelling) -> bool:
    """Whether the completions that are left could still make the label one to vote on again."""
    again = settings.relabelling
    assert again is not None
    # One completion alone may outweigh all others where they weigh by their likelihood.
    if again.votes == "all" or settings.votes == "likelihood" or not has_label(one.task):
        return True
    left = again.samples - len(one.outcomes)
    against = sum(outcome is not True for outcome in one.outcomes)
    return against + left >= again.contradiction * again.samples


def _wave(
    context: Context, number: int, policy: ModelRef, tasks: Sequence[LabelledTask], wave: int, drawn: int
) -> list[tuple[tuple[Completion, ...], tuple[bool | None, ...]]]:
    again = context.recipe.labelling.relabelling
    assert again is not None
    labeller = Labeller(sampling=again.sampling, samples=wave)
    problems = [_problem(task) for task in tasks]
    what = f"relabelling {number}: solving from {drawn + 1} on"
    with open_voters(context, {"": labeller}, policy) as voters:
        given = voters.draw(problems, what, "relabelling", number, drawn)
    shifted = [[dataclasses.replace(c, index=drawn + c.index) for c in completions] for completions in given]
    items: list[Item] = [
        (task.domain, task_of(task.answer, task.tests, prompt=task.problem), completion.text)
        for task, completions in zip(tasks, shifted, strict=True)
        if has_label(task)
        for completion in completions
    ]
    verdicts = iter(context.judge.judge(items))
    return [
        (tuple(completions), tuple(next(verdicts).passed if has_label(task) else None for _ in completions))
        for task, completions in zip(tasks, shifted, strict=True)
    ]


def _judged(
    context: Context,
    runner: ProgramRunner,
    number: int,
    one: Looked,
    votes: Mapping[str, Sequence[Ballot]],
    trials: Mapping[str, Sequence[TrialInput]],
) -> tuple[LabelledTask, Labelled | None]:
    """The task as it goes into the round, and its new votes; none where it was not looked at."""
    settings = context.recipe.labelling
    again = settings.relabelling
    assert again is not None
    if not one.completions:
        return one.task, None
    problem = _problem(one.task)
    fresh = ballots_of(context, problem, one.completions, number)
    contradicted = has_label(one.task) and contradicts(context, runner, one.task, fresh, again.contradiction)
    task, outcomes = one.task, one.outcomes
    label = Label(task.answer, task.tests, task.agreement, outcomes)
    if contradicted or again.votes == "all" or not has_label(task):
        old = [_aged(ballot, number, again.decay) for ballot in votes.get(task.prompt_id, ())]
        case = Case(problem, (), (*old, *fresh), tuple(trials.get(task.prompt_id, ())))
        label = label_case(context, runner, case).label
        outcomes = label.votes[len(old) :] if label.votes else ()
        task = task_of_label(context, problem, label)
    flag = _flag(one.task, task, contradicted, number)
    if not label.fault:
        decision = decide(outcomes, limits_of(settings), _rollouts(settings, again))
        task = with_decision(task, decision, settings)
    task = dataclasses.replace(task, flag=flag or one.task.flag)
    shown = dataclasses.replace(label, votes=outcomes if label.votes else ())
    return task, Labelled(Case(problem, one.completions, tuple(fresh), ()), shown)


def contradicts(
    context: Context, runner: ProgramRunner, task: LabelledTask, ballots: Sequence[Ballot], share: float
) -> bool:
    """Whether at least this share of the ballots agrees on something else than the label.

    For programs: whether they agree on another output of one of its tests.
    """
    settings = context.recipe.labelling.model_copy(update={"min_agreement": share, "ties": "drop", "min_tests": 1})
    reader = answer_reader(context.judge.verifiers[task.domain])
    answers, weights = [ballot.answer for ballot in ballots], [ballot.weight for ballot in ballots]
    if reader is not None:
        found = label_by_answers(reader, answers, weights, settings.model_copy(update={"filters": ()}))
        return found.answer is not None and not reader.equal(found.answer, task.answer or "")
    trials = [TrialInput("", test.input, test.output) for test in task.tests]
    _, tried = Consensus(runner, answers, weights, trials).label(settings)
    return any(item.kept and item.output != " ".join(item.trial.written.split()) for item in tried)


def _aged(ballot: Ballot, number: int, decay: float) -> Ballot:
    """The ballot as it counts before round `number`: its policy is one round older for each round since."""
    policy_of = max(ballot.round - 1, 0)
    return dataclasses.replace(ballot, weight=ballot.weight * decay ** (number - 1 - policy_of))


def _flag(before: LabelledTask, after: LabelledTask, contradicted: bool, number: int) -> str:
    if not contradicted:
        return f"{FOUND} before round {number}" if has_label(after) and not has_label(before) else ""
    same = (before.answer, before.tests) == (after.answer, after.tests)
    became = LOST if not has_label(after) else KEPT if same else CHANGED
    return f"contradicted before round {number}: {became}"


def _problem(task: LabelledTask) -> Problem:
    return Problem(task.prompt_id, task.domain, task.problem)


def _grouped(stages: Sequence[Stage], table: str, record: type[Any]) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {}
    for stage in stages:
        for batch in stage.batches(table, record):
            for row in batch:
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


def _what_changed(tasks: Sequence[LabelledTask], looked: Sequence[Looked]) -> dict[str, Any]:
    flags = Counter(task.flag for task in tasks if task.flag)
    agreement = [task.agreement for task in tasks if not task.dropped]
    return {
        "flags": dict(sorted(flags.items())),
        "completions": sum(len(one.completions) for one in looked),
        "agreement": sum(agreement) / len(agreement) if agreement else None,
    }
