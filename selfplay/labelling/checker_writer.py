"""Checkers that a model writes for problems whose programs print different outputs, tried until one is accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from selfplay import formats
from selfplay.config.programs import CheckerWriter
from selfplay.engines.base import Sample
from selfplay.labelling.checkers import ACCEPTED, CheckerTrial, outputs_of, try_checker
from selfplay.labelling.consensus import Consensus
from selfplay.run.records import LabelledTask, WrittenChecker
from selfplay.run.seeding import content_id
from selfplay.stage.context import Context
from selfplay.stage.open_engine import OpenedEngine, samples_of
from verifiers.programs.runner import ProgramRunner
from verifiers.programs.verifier import Unread, program_in

SHOWN = 3
"""Different outputs that the writer sees."""
LONGEST_SHOWN = 2_000
"""Characters of the input, and of each output, that it sees."""
LONGEST_CHECKER = 1 << 16

Wanting = tuple[LabelledTask, Consensus]
"""A problem whose programs print different outputs, and those programs."""


def write_checkers(
    context: Context, engine: OpenedEngine, runner: ProgramRunner, problems: Sequence[Wanting], group: str
) -> list[tuple[list[WrittenChecker], CheckerTrial | None]]:
    """For each problem the checkers that were written, and the trial of the one that was accepted.

    Raises:
        BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
    """
    settings = context.recipe.labelling
    assert settings.checkers is not None
    rows: list[list[WrittenChecker]] = [[] for _ in problems]
    accepted: list[CheckerTrial | None] = [None] * len(problems)
    for attempt in range(settings.checkers.attempts):
        left = [place for place, trial in enumerate(accepted) if trial is None]
        if not left:
            break
        context.listener.begin("labelling: checkers", len(left))
        texts = [_question(settings.checkers, *problems[place]) for place in left]
        seed = context.seed("labelling", "checkers", group, attempt)
        samples = samples_of(engine, texts, settings.checkers.sampling, seed, context.listener.advance)
        for place, sample in zip(left, samples, strict=True):
            task, programs = problems[place]
            source, fault = _source(sample)
            trial = try_checker(runner, source, programs, settings) if not fault else None
            rows[place].append(_row(task, attempt, source, fault, trial))
            accepted[place] = trial if trial is not None and trial.outcome == ACCEPTED else None
    return list(zip(rows, accepted, strict=True))


def _question(writer: CheckerWriter, task: LabelledTask, programs: Consensus) -> str:
    """The writer sees the input for which there are most outputs."""
    outputs = [outputs_of(programs, place) for place in range(len(programs.inputs))]
    place = max(range(len(outputs)), key=lambda at: len(outputs[at]))
    shown = "\n\n".join(f"<output>\n{text[:LONGEST_SHOWN]}\n</output>" for text in outputs[place][:SHOWN])
    return formats.fill(
        writer.template, problem=task.problem, input=programs.inputs[place][:LONGEST_SHOWN], outputs=shown
    )


def _source(sample: Sample) -> tuple[str, str]:
    """The program of an answer, or why there is none."""
    if not sample.complete:
        return "", "refused: cut at the token limit"
    try:
        found = program_in(sample.text)
    except Unread:
        return "", "refused: not read in time"
    if found.text is None:
        return "", "refused: no program"
    return ("", "refused: too long") if len(found.text) > LONGEST_CHECKER else (found.text, "")


def _row(task: LabelledTask, attempt: int, source: str, fault: str, trial: CheckerTrial | None) -> WrittenChecker:
    return WrittenChecker(
        id=content_id("checker", task.prompt_id, attempt),
        prompt_id=task.prompt_id,
        attempt=attempt,
        source=source,
        outcome=trial.outcome if trial else fault,
        share=trial.share if trial else 0.0,
        rejected=trial.rejected if trial else 0.0,
    )


def outcomes_of(rows: Iterable[WrittenChecker]) -> dict[str, int]:
    """How many checkers were accepted, and how many refused by reason."""
    return dict(sorted(Counter(row.outcome for row in rows).items()))
