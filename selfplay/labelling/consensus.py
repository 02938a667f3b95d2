"""Labels of programming problems: inputs from the seeds, outputs by consensus of several programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sandbox.model import Program
from selfplay.labelling.answer_vote import Label
from selfplay.labelling_settings import Labelling
from selfplay.records import TestCase
from verifiers.extraction import code_block
from verifiers.program_runner import ProgramRunner, RawOutput

OK = "ok"


def label_by_consensus(
    runner: ProgramRunner, completions: Sequence[str], inputs: Sequence[str], settings: Labelling
) -> Label:
    """For each input, the output that most programs print; an input without enough agreement is no test.

    Args:
        runner: runs the programs in sandboxes.
        completions: the labeller's completions, each with a program in its last fenced block.
        inputs: standard inputs to try.
        settings: thresholds; the share is of all completions, so one without a program counts against.
    """
    sources = [code_block(completion).text for completion in completions]
    distinct = sorted({source for source in sources if source is not None})
    if not distinct:
        return Label(fault="no program")
    outputs = dict(zip(distinct, runner.outputs([Program(source) for source in distinct], inputs), strict=True))
    per_completion = [outputs[source] if source is not None else None for source in sources]
    kept: list[tuple[int, str, float]] = []
    for place in range(len(inputs)):
        printed = Counter(_output(result, place) for result in per_completion)
        winner, share = _majority(printed, len(completions))
        if winner is not None and share >= settings.min_agreement:
            kept.append((place, winner, share))
    if len(kept) < settings.min_tests:
        return Label(agreement=min((share for *_, share in kept), default=0.0), fault="too few tests agreed on")
    votes = tuple(all(_output(result, place) == winner for place, winner, _ in kept) for result in per_completion)
    tests = tuple(TestCase(inputs[place], winner) for place, winner, _ in kept)
    agreement = sum(votes) / len(votes)
    fault = "" if agreement >= settings.min_agreement else "agreement too low"
    return Label(None, tests, agreement, votes, fault)


def _output(results: Sequence[RawOutput] | None, place: int) -> str | None:
    """What a program printed for an input, its words in normal spacing; None where it failed."""
    if results is None or results[place].status != OK:
        return None
    return " ".join((results[place].text or "").split())


def _majority(printed: Counter[str | None], total: int) -> tuple[str | None, float]:
    ranked = sorted(((count, text) for text, count in printed.items() if text), key=lambda item: (-item[0], item[1]))
    if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        return None, 0.0
    return ranked[0][1], ranked[0][0] / total
