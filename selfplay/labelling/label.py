"""The labelling stage: every labeller solves each prompt k times, and the majority gives the label."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

from selfplay import formats
from selfplay.engines.base import ModelRef
from selfplay.labelling.answer_vote import Label, label_by_answers
from selfplay.labelling.checker_writer import outcomes_of, write_checkers
from selfplay.labelling.checkers import ACCEPTED, try_checker
from selfplay.labelling.consensus import DIFFER, Consensus, TrialInput, Tried
from selfplay.labelling.filters import statement_fault
from selfplay.labelling.pass_rates import measure_pass_rates
from selfplay.labelling.tasks import counts_of, with_decision, with_label
from selfplay.labelling.unit_tests import seed_trials, unit_tests_of, written_trials
from selfplay.labelling.verification import reweighed
from selfplay.labelling.votes import WeighedCompletion, open_voters, votes_of
from selfplay.rollouts.judge import sandbox_opener
from selfplay.rollouts.rollout import AHEAD, agreement
from selfplay.run.directory import Stage
from selfplay.run.records import LabelledTask, Prompt, Rollout, Seed, UnitTest, Vote, WrittenChecker
from selfplay.run.results import LabellingResult
from selfplay.run.seeding import content_id
from selfplay.stage.context import Context
from selfplay.stage.open_engine import OpenedEngine
from verifiers.answers import answer_reader, judges_programs
from verifiers.model import Verifier
from verifiers.programs.runner import ProgramRunner

GROUP = 256
"""Prompts that are solved together while the group before is voted on."""


@dataclasses.dataclass(frozen=True, slots=True)
class VotedTask:
    """A task with the votes on its label, and the label once they are counted."""

    task: LabelledTask
    """As it was before."""
    completions: tuple[WeighedCompletion, ...] = ()
    """Only until they are written to their table."""
    votes: tuple[Vote, ...] = ()
    trials: tuple[TrialInput, ...] = ()
    """Inputs that programs are tried on, where answers are programs."""
    label: Label = dataclasses.field(default_factory=Label)
    tried: tuple[Tried, ...] = ()
    """The outcomes of the trials."""
    checkers: tuple[WrittenChecker, ...] = ()
    """Written since its programs print different outputs."""
    differs: bool = False
    """Whether they do, so that no output has enough votes."""


def labelling_stage(
    stage: Stage, context: Context, policy: ModelRef, prompts: Sequence[Prompt], seeds: Sequence[Seed], number: int = 0
) -> LabellingResult:
    """Writes `tasks` (every kept prompt, with its label or why it has none), `completions` and `votes` (the votes).

    Also `unit_tests` where tests are part of labels, and `rollouts` where the recipe measures difficulty by them.

    Args:
        policy: what votes where the recipe names nobody else.
        prompts: those that curation kept, and others, which are passed over.
        seeds: training seeds, whose inputs programs are tried on.
        number: of the round that comes next where it is not the first, else 0.

    Raises:
        BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
    """
    settings = context.recipe.labelling
    # By id, so that groups are the same whatever order curation wrote.
    left = sorted((prompt for prompt in prompts if not prompt.dropped), key=lambda prompt: prompt.id)
    domains = context.recipe.domains
    kept = [LabelledTask.unlabelled(one, formats.new_task(domains[one.domain], one.problem)) for one in left]
    faults = {task.prompt_id: statement_fault(task.problem, settings) for task in kept}
    sound = [task for task in kept if not faults[task.prompt_id]]
    found: dict[str, LabelledTask] = {}
    cases: list[VotedTask] = []

    def completions() -> Iterator[Rollout]:
        for case in _labelled(context, policy, sound, seeds, number):
            task = found[case.task.prompt_id] = with_label(context, case.task, case.label)
            # The texts are about to be in their table: only the votes are held.
            cases.append(dataclasses.replace(case, completions=()))
            yield from _rows(case, task, number)

    stage.write("completions", Rollout, completions())
    unfit = {key: Label(fault=fault) for key, fault in faults.items() if fault}
    tasks = [found.get(t.prompt_id) or with_label(context, t, unfit[t.prompt_id]) for t in kept]
    spent: dict[str, Any] = {}
    if settings.difficulty is not None:
        labelled = [task for task in tasks if task.has_label]
        decisions = measure_pass_rates(stage, context, policy, labelled, settings.difficulty, number)
        rated = {t.id: with_decision(t, one, settings) for t, one in zip(labelled, decisions, strict=True)}
        tasks = [rated.get(task.id, task) for task in tasks]
        spent = {"difficulty_rollouts": sum(1 for _ in stage.columns("rollouts", Rollout, ("index",)))}
    stage.write("tasks", LabelledTask, tasks)
    write_votes(stage, number, cases)
    return LabellingResult(**counts_of(tasks), **spent, **_of_programs(context, stage, cases))


def _of_programs(context: Context, stage: Stage, cases: Sequence[VotedTask]) -> dict[str, Any]:
    """How often programs print different outputs, and what became of the checkers that were written for those."""
    of_code = [case for case in cases if _is_code(context.judge.verifiers[case.task.domain])]
    if not of_code:
        return {}
    differing = sum(case.differs for case in of_code)
    found: dict[str, Any] = {"programs": len(of_code), "differing": differing}
    written = [row for case in of_code for row in case.checkers]
    if context.recipe.labelling.checkers is not None:
        stage.write("checkers", WrittenChecker, written)
        found["checkers"] = outcomes_of(written)
    if differing:
        mended = found.get("checkers", {}).get(ACCEPTED, 0)
        context.listener.note(
            f"labelling: the programs of {differing} of {len(of_code)} programming problems print different outputs; "
            f"{mended} of these have a checker now"
        )
    return found


def _labelled(
    context: Context, policy: ModelRef, tasks: Sequence[LabelledTask], seeds: Sequence[Seed], round_number: int
) -> Iterator[VotedTask]:
    """The labels of tasks; one group is voted on while the next is solved, by id, so that domains are mixed."""
    groups = [tasks[start : start + GROUP] for start in range(0, len(tasks), GROUP)]
    with ExitStack() as stack:
        voters = stack.enter_context(open_voters(context, context.recipe.labelling.voters, policy))
        writer, checker, of_checkers = _helpers(context, policy, stack)
        runner = stack.enter_context(closing(program_runner(context)))
        voting = stack.enter_context(ThreadPoolExecutor(1))
        pending: deque[Future[list[VotedTask]]] = deque()
        for number, group in enumerate(groups):
            what = f"labelling: solving group {number + 1}"
            completions = voters.draw(group, what, round_number, "labelling", number)
            votes = [votes_of(context, t, drawn, round_number) for t, drawn in zip(group, completions, strict=True)]
            if checker is not None:
                votes = reweighed(context, checker, group, completions, votes, "labelling", number)
            trials = _trials(context, writer, group, seeds, number)
            cases = [
                VotedTask(task, tuple(completions[place]), tuple(votes[place]), tuple(trials.get(task.prompt_id, ())))
                for place, task in enumerate(group)
            ]
            pending.append(voting.submit(_label_all, context, runner, cases))
            while pending and (len(pending) > AHEAD or pending[0].done()):
                yield from _with_checkers(context, of_checkers, runner, pending.popleft().result())
        while pending:
            yield from _with_checkers(context, of_checkers, runner, pending.popleft().result())


def _with_checkers(
    context: Context, engine: OpenedEngine | None, runner: ProgramRunner, cases: Sequence[VotedTask]
) -> list[VotedTask]:
    """The cases of a group, where those whose programs differ have a checker if an accepted one was written."""
    # A checker reads what a program printed: there is none for the values of functions.
    places = [at for at, case in enumerate(cases) if case.differs and case.task.task.entry_point is None]
    found = list(cases)
    if engine is None or not places:
        return found
    problems = [(cases[at].task, _programs(runner, cases[at])) for at in places]
    # Groups are told apart by what is in them: each has its own seeds.
    written = write_checkers(context, engine, runner, problems, cases[0].task.prompt_id)
    for at, (rows, trial) in zip(places, written, strict=True):
        found[at] = dataclasses.replace(found[at], checkers=tuple(rows))
        if trial is not None:
            found[at] = dataclasses.replace(found[at], label=trial.label, tried=trial.tried)
    return found


def _helpers(context: Context, policy: ModelRef, stack: ExitStack) -> list[OpenedEngine | None]:
    """The engines that write tests, take a second look, and write checkers; None for what the recipe has no use for."""
    settings, code = context.recipe.labelling, any(map(_is_code, context.judge.verifiers.values()))
    wanted = {
        "test_writer": settings.test_writer if code and settings.inputs == "generated" else None,
        "verification": settings.verification,
        "checkers": settings.checkers if code else None,
    }
    return [
        None
        if one is None
        else stack.enter_context(context.open_engine(one.engine, f"labelling.{field}", policy=policy))
        for field, one in wanted.items()
    ]


def _is_code(verifier: Verifier) -> bool:
    return answer_reader(verifier) is None and judges_programs(verifier)


def _trials(
    context: Context, writer: OpenedEngine | None, tasks: Sequence[LabelledTask], seeds: Sequence[Seed], number: int
) -> dict[str, list[TrialInput]]:
    code = [task for task in tasks if _is_code(context.judge.verifiers[task.domain])]
    if writer is not None:
        return written_trials(context, writer, code, number)
    return {task.prompt_id: seed_trials(context, task, seeds) for task in code}


def _label_all(context: Context, runner: ProgramRunner, cases: Sequence[VotedTask]) -> list[VotedTask]:
    return [label_by_votes(context, runner, case) for case in cases]


def label_by_votes(context: Context, runner: ProgramRunner, case: VotedTask) -> VotedTask:
    """The task with the label that its votes give it."""
    settings = context.recipe.labelling
    reader = answer_reader(context.judge.verifiers[case.task.domain])
    if reader is not None:
        answers, weights = [vote.answer for vote in case.votes], [vote.weight for vote in case.votes]
        return dataclasses.replace(case, label=label_by_answers(reader, answers, weights, settings))
    programs = _programs(runner, case)
    if case.task.task.checker is not None:
        trial = try_checker(runner, case.task.task.checker, programs, settings)
        return dataclasses.replace(case, label=trial.label, tried=trial.tried)
    label, tried = programs.label(settings)
    return dataclasses.replace(case, label=label, tried=tuple(tried), differs=label.fault == DIFFER)


def _programs(runner: ProgramRunner, case: VotedTask) -> Consensus:
    answers = [vote.answer for vote in case.votes]
    return Consensus(runner, case.task.task, answers, [vote.weight for vote in case.votes], case.trials)


def program_runner(context: Context) -> ProgramRunner:
    """Runs programs as the recipe says."""
    return ProgramRunner(workers=context.recipe.sandbox.workers, open_sandbox=sandbox_opener(context.recipe))


def write_votes(stage: Stage, number: int, cases: Sequence[VotedTask]) -> None:
    """Writes what the labels were found from: `votes`, and `unit_tests` where there are any."""
    stage.write("votes", Vote, (vote for case in cases for vote in case.votes))
    if any(case.tried for case in cases):
        tests = (test for case in cases for test in unit_tests_of(case.task, case.tried, number))
        stage.write("unit_tests", UnitTest, tests)


def _rows(case: VotedTask, task: LabelledTask, number: int) -> Iterator[Rollout]:
    outcomes = case.label.agrees or (None,) * len(case.completions)
    for place, (one, agrees) in enumerate(zip(case.completions, outcomes, strict=True)):
        yield vote_row(one.completion.judged(agreement(None)), task, number, place, agrees, case.label)


def vote_row(row: Rollout, task: LabelledTask, number: int, place: int, agrees: bool | None, label: Label) -> Rollout:
    """A completion of a prompt as a rollout that agrees with the label or not, under the labelled task."""
    verdict = agreement(agrees, label.fault)
    return dataclasses.replace(
        row,
        id=content_id("vote", task.id, number, place),
        task_id=task.id,
        index=place,
        passed=verdict.passed,
        reward=verdict.reward,
        status=verdict.status,
        reason=verdict.reason,
    )
