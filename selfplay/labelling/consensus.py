"""Labels of programming problems: tests whose outputs are the consensus of several programs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.model import Program, Status
from selfplay.config.labelling import Labelling
from selfplay.labelling.answer_vote import Label
from verifiers.model import Test
from verifiers.programs.runner import ProgramRunner, RawOutput
from verifiers.voting import SAME_SIZE

GIVEN, CONFIRMED, MENDED = "given", "confirmed", "mended"
NOT_RUN = "dropped: the sandbox could not run it"
NO_OUTPUT = "dropped: no output that programs agree on"
TOO_FEW = "dropped: too few programs agree"
RAN = (GIVEN, CONFIRMED, MENDED, NOT_RUN, NO_OUTPUT, TOO_FEW)
"""Outcomes of inputs that could be tried again with other programs."""


@dataclass(frozen=True, slots=True)
class TrialInput:
    """An input to try programs on."""

    kind: str
    """The kind that its writer was asked for, or `seed`."""
    input: str = ""
    written: str = ""
    """The output that its writer expects; empty where nobody does."""
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
        programs: Sequence[str | None],
        weights: Sequence[float],
        trials: Sequence[TrialInput],
    ) -> None:
        """Runs every distinct program on every input.

        Args:
            runner: runs them in sandboxes.
            programs: the program of each vote, None where it has none.
            weights: what each vote counts.
            trials: the inputs; those with a fault are not run.
        """
        self._runner = runner
        self.programs, self._weights, self._trials = programs, weights, trials
        self._inputs = [trial.input for trial in trials if not trial.fault]
        distinct = sorted({program for program in programs if program is not None})
        found = runner.outputs([Program(source) for source in distinct], self._inputs) if self._inputs else []
        self._printed = dict(zip(distinct, found, strict=True)) if self._inputs else {}

    def label(self, settings: Labelling) -> tuple[Label, list[Tried]]:
        """The tests that enough votes agree on, or why there is no label; and what became of each trial."""
        tried = self._tried(settings)
        if not any(self.programs):
            return Label(fault="no program"), tried
        kept = [item for item in tried if item.kept]
        if len(kept) < settings.min_tests:
            least = min((item.agreement for item in kept), default=0.0)
            return Label(agreement=least, fault="too few tests agreed on"), tried
        agrees = tuple(self._agrees(program, kept) for program in self.programs)
        known = [(agreed, weight) for agreed, weight in zip(agrees, self._weights, strict=True) if agreed is not None]
        total = math.fsum(weight for _, weight in known)
        agreement = math.fsum(weight for agreed, weight in known if agreed) / total if total else 0.0
        fault = "" if agreement >= settings.min_agreement else "agreement too low"
        tests = tuple(Test(item.trial.input, item.output) for item in kept)
        label = Label(None, tests, agreement, agrees)
        return (label.missing(fault) if fault else label), tried

    def _tried(self, settings: Labelling) -> list[Tried]:
        places = itertools.count()
        return [
            Tried(trial, outcome=f"dropped: {trial.fault}")
            if trial.fault
            else self._outcome(trial, next(places), settings)
            for trial in self._trials
        ]

    def _outcome(self, trial: TrialInput, place: int, settings: Labelling) -> Tried:
        seen = [self._output(program, place) for program in self.programs]
        winner, share = self._majority(seen)
        if winner is None:
            return Tried(trial, outcome=NOT_RUN if any(text is None for text in seen) else NO_OUTPUT)
        if share < settings.min_agreement:
            return Tried(trial, winner, share, TOO_FEW)
        outcome = GIVEN if not trial.written else CONFIRMED if _words(trial.written) == winner else MENDED
        return Tried(trial, winner, share, outcome, place)

    def _majority(self, seen: Sequence[str | None]) -> tuple[str | None, float]:
        """The output that most weight stands behind, and its share; none where two tie, or all are empty."""
        known = [(text, weight) for text, weight in zip(seen, self._weights, strict=True) if text is not None]
        sizes = {text: math.fsum(w for other, w in known if other == text) for text, _ in known if text}
        ranked = sorted(((size, text) for text, size in sizes.items()), key=lambda item: (-item[0], item[1]))
        tied = len(ranked) > 1 and math.isclose(ranked[0][0], ranked[1][0], rel_tol=SAME_SIZE)
        if not ranked or tied:
            return None, 0.0
        return ranked[0][1], min(ranked[0][0] / math.fsum(weight for _, weight in known), 1.0)

    def _output(self, program: str | None, place: int) -> str | None:
        """The output of a program for an input, in normal spacing; empty where it failed, None where nobody knows."""
        if program is None:
            return ""
        return printed(self._printed[program][place])

    def _agrees(self, program: str | None, kept: Sequence[Tried]) -> bool | None:
        seen = [(self._output(program, item.place), item.output) for item in kept]
        if any(output is not None and output != expected for output, expected in seen):
            return False
        return None if any(output is None for output, _ in seen) else True


def printed(result: RawOutput) -> str | None:
    """The output of a run, in normal spacing; empty where it failed, None where the sandbox did."""
    if result.status == Status.SANDBOX_ERROR:
        return None
    return _words(result.text or "") if result.status == Status.OK else ""


def _words(text: str) -> str:
    return " ".join(text.split())
