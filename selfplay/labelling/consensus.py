"""Labels of programming problems: tests whose outputs are the consensus of several programs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.model import Execution, Program, Status
from selfplay.config.labelling import Labelling
from selfplay.labelling import trial_texts
from selfplay.labelling.answer_vote import Label
from verifiers.model import Task
from verifiers.programs.runner import ProgramRunner, RawOutput
from verifiers.voting import SAME_SIZE, reaches

GIVEN, CONFIRMED, MENDED = "given", "confirmed", "mended"
NOT_RUN = "dropped: the sandbox could not run it"
NO_OUTPUT = "dropped: no output that programs agree on"
TOO_FEW = "dropped: too few programs agree"
DIFFER = "programs print different outputs"
"""Why a problem has no label where its programs ran and would have been enough: it may have many right outputs."""
RAN = (GIVEN, CONFIRMED, MENDED, NOT_RUN, NO_OUTPUT, TOO_FEW)
"""Outcomes of inputs that could be tried again with other programs."""


NOTHING = RawOutput(str(Status.RUNTIME_ERROR), reason="no program")
"""The output of a vote without a program."""


@dataclass(frozen=True, slots=True)
class TrialInput:
    """An input to try programs on."""

    kind: str
    """The kind that its writer was asked for, or `seed`."""
    input: str = ""
    """The text that programs read, or the JSON text of a function's arguments."""
    written: str = ""
    """The output, or the JSON text of the value, that its writer expects; empty where nobody does."""
    fault: str = ""
    """Why it is no input at all; such a trial is only kept for the record."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial with the outcome that the programs gave it."""

    trial: TrialInput
    output: str = ""
    agreement: float = 0.0
    outcome: str = ""
    """`given`, `confirmed`, `mended`, or `dropped: ` and why."""
    place: int = -1
    """Of its input among those that were run."""

    @property
    def kept(self) -> bool:
        """Whether it is a test."""
        return self.outcome in (GIVEN, CONFIRMED, MENDED)


class Consensus:
    """The programs of a prompt's votes, run on its trials.

    A program that fails on an input votes for nothing there, and counts against. Where the sandbox itself failed, the
    vote counts neither way.
    """

    def __init__(
        self,
        runner: ProgramRunner,
        task: Task,
        programs: Sequence[str | None],
        weights: Sequence[float],
        trials: Sequence[TrialInput],
    ) -> None:
        """Runs every distinct program on every input.

        Args:
            task: says what programs they are.
            programs: the program of each vote, None where it has none.
            trials: the inputs; those with a fault are not run.
        """
        self.task = task
        self.programs, self.weights, self.trials = programs, weights, trials
        self.inputs = [trial.input for trial in trials if not trial.fault]
        distinct = sorted({program for program in programs if program is not None})
        found = _outputs(runner, task, distinct, self.inputs) if self.inputs else []
        self._printed = dict(zip(distinct, found, strict=True)) if self.inputs else {}

    def label(self, settings: Labelling) -> tuple[Label, list[Tried]]:
        """The tests that enough votes agree on, or why there is no label; and what became of each trial."""
        tried = self._tried(settings)
        if not any(self.programs):
            return Label(agreement=0.0, fault="no program"), tried
        kept = [item for item in tried if item.kept]
        if len(kept) < settings.min_tests:
            fault = DIFFER if self._would_be_enough(settings) else "too few tests agreed on"
            return Label(agreement=_short_of_a_label(tried), fault=fault), tried
        agrees = tuple(self._agrees(program, kept) for program in self.programs)
        agreement = self.share(agrees)
        fault = "" if reaches(agreement, settings.min_agreement) else "agreement too low"
        tests = tuple(trial_texts.test_of(self.task, item.trial.input, item.output) for item in kept)
        label = Label(None, tests, agreement, agrees)
        return (label.missing(fault) if fault else label), tried

    def share(self, outcomes: Sequence[bool | None]) -> float:
        """The weight of the votes with a true outcome, as a share of those whose outcome is known."""
        known = [(one, weight) for one, weight in zip(outcomes, self.weights, strict=True) if one is not None]
        total = math.fsum(weight for _, weight in known)
        return math.fsum(weight for one, weight in known if one) / total if total else 0.0

    def raw(self, program: str | None, place: int) -> RawOutput:
        """The output of a program for the input at a place."""
        return NOTHING if program is None else self._printed[program][place]

    def _would_be_enough(self, settings: Labelling) -> bool:
        """Whether on enough inputs enough votes have some output, if not the same."""
        shares = [
            self.share([None if text is None else bool(text) for text in self._seen(place)])
            for place in range(len(self.inputs))
        ]
        return sum(share > 0 and reaches(share, settings.min_agreement) for share in shares) >= settings.min_tests

    def _seen(self, place: int) -> list[str | None]:
        return [self._output(program, place) for program in self.programs]

    def _tried(self, settings: Labelling) -> list[Tried]:
        places = itertools.count()
        return [
            Tried(trial, outcome=f"dropped: {trial.fault}")
            if trial.fault
            else self._outcome(trial, next(places), settings)
            for trial in self.trials
        ]

    def _outcome(self, trial: TrialInput, place: int, settings: Labelling) -> Tried:
        seen = self._seen(place)
        winner, share = self._majority(seen)
        if winner is None:
            return Tried(trial, outcome=NOT_RUN if any(text is None for text in seen) else NO_OUTPUT)
        if not reaches(share, settings.min_agreement):
            return Tried(trial, winner, share, TOO_FEW)
        if not trial.written:
            return Tried(trial, winner, share, GIVEN, place)
        as_written = trial_texts.normal(self.task, trial.written) == winner
        return Tried(trial, winner, share, CONFIRMED if as_written else MENDED, place)

    def _majority(self, seen: Sequence[str | None]) -> tuple[str | None, float]:
        """The output that most weight stands behind, and its share; none where two tie, or all are empty."""
        known = [(text, weight) for text, weight in zip(seen, self.weights, strict=True) if text is not None]
        sizes = {text: math.fsum(w for other, w in known if other == text) for text, _ in known if text}
        ranked = sorted(((size, text) for text, size in sizes.items()), key=lambda item: (-item[0], item[1]))
        tied = len(ranked) > 1 and math.isclose(ranked[0][0], ranked[1][0], rel_tol=SAME_SIZE)
        if not ranked or tied:
            return None, 0.0
        return ranked[0][1], min(ranked[0][0] / math.fsum(weight for _, weight in known), 1.0)

    def _output(self, program: str | None, place: int) -> str | None:
        """The output of a program for an input, in normal spacing; empty where it failed, None where nobody knows."""
        return printed(self.task, self.raw(program, place))

    def _agrees(self, program: str | None, kept: Sequence[Tried]) -> bool | None:
        seen = [(self._output(program, item.place), item.output) for item in kept]
        if any(output is not None and output != expected for output, expected in seen):
            return False
        return None if any(output is None for output, _ in seen) else True


def _short_of_a_label(tried: Sequence[Tried]) -> float | None:
    """The agreement where too few inputs became tests: the least on one that did, else the most on any that ran."""
    ran = [item for item in tried if item.outcome in (GIVEN, CONFIRMED, MENDED, NO_OUTPUT, TOO_FEW)]
    kept = [item.agreement for item in ran if item.kept]
    return min(kept) if kept else max((item.agreement for item in ran), default=None)


def printed(task: Task, result: RawOutput) -> str | None:
    """The output of a run in normal form; empty where it failed, None where the sandbox did."""
    if result.status == Status.SANDBOX_ERROR:
        return None
    return trial_texts.normal(task, result.text or "") if result.status == Status.OK else ""


def _outputs(runner: ProgramRunner, task: Task, sources: Sequence[str], inputs: Sequence[str]) -> list[list[RawOutput]]:
    """The output of each program, or the JSON text of what its function returns, for each input."""
    programs = [Program(source, task.language) for source in sources]
    if task.entry_point is None:
        return runner.outputs(programs, inputs)
    calls = runner.values(programs, task.entry_point, [trial_texts.arguments(text) for text in inputs])
    return [[_returned(execution) for execution in _padded(own, len(inputs))] for own in calls]


def _returned(execution: Execution) -> RawOutput:
    text = trial_texts.of_value(execution.value) if execution.status is Status.OK else None
    return RawOutput(str(execution.status), text, execution.reason)


def _padded(executions: Sequence[Execution], count: int) -> list[Execution]:
    """A batch that ended early has its last fault for the calls left."""
    last = executions[-1] if executions else Execution(Status.SANDBOX_ERROR)
    left = last if last.status is not Status.OK else Execution(Status.SANDBOX_ERROR, reason="the batch ended early")
    return [*executions, *[left] * (count - len(executions))]
