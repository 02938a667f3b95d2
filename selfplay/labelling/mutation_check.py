"""Whether tests tell an accepted program from its mutants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sandbox.model import Limits, Program
from selfplay.config.labelling import Mutation
from selfplay.labelling.answer_vote import Label
from selfplay.labelling.consensus import printed
from selfplay.labelling.mutants import mutants
from verifiers.model import Test
from verifiers.programs.runner import ProgramRunner

LIMITS = Limits(cpu_s=2.0, wall_s=5.0)
"""Of one run: many mutants never end."""


def checked(runner: ProgramRunner, label: Label, programs: Sequence[str | None], settings: Mutation) -> Label:
    """The label with its kill rate, or without tests where they reject too few mutants.

    Args:
        runner: runs the mutants in sandboxes.
        label: with tests, and a vote for each program.
        programs: the programs that voted.
        settings: how many mutants, and how many of them must be rejected.
    """
    program = None if label.fault else accepted_program(label, programs)
    if program is None:
        return label
    rate = kill_rate(runner, program, label.tests, settings.mutants)
    found = Label(label.answer, label.tests, label.agreement, label.agrees, kill_rate=rate)
    if rate is not None and rate < settings.min_kill_rate:
        return found.missing(f"tests reject too few mutants ({rate:.0%})")
    return found


def accepted_program(label: Label, programs: Sequence[str | None]) -> str | None:
    """The commonest program that passes all tests, the first by its text among equals."""
    passed = Counter(p for p, vote in zip(programs, label.agrees, strict=True) if vote and p is not None)
    return min(passed, key=lambda program: (-passed[program], program)) if passed else None


def kill_rate(
    runner: ProgramRunner, program: str, tests: Sequence[Test], most: int, limits: Limits = LIMITS
) -> float | None:
    """Share of a program's mutants that fail a test, be it by another output, an error or no end.

    It is a lower bound of what it stands for: a mutant that does what the program does cannot be rejected, and counts
    as one that got through. None where there is no mutant that could be run.
    """
    changed = mutants(program, most)
    inputs = [test.input for test in tests]
    outputs = runner.outputs([Program(mutant.source) for mutant in changed], inputs, limits) if changed else []
    killed = []
    for results in outputs:
        seen = [(printed(result), " ".join(test.output.split())) for result, test in zip(results, tests, strict=True)]
        if any(text is not None and text != expected for text, expected in seen):
            killed.append(True)
        elif all(text is not None for text, _ in seen):
            killed.append(False)
    return sum(killed) / len(killed) if killed else None
