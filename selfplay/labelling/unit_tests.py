"""Inputs that programs are tried on: those of the domain's seeds, or tests that a model writes one at a time."""

from __future__ import annotations

import random
from collections.abc import Sequence

from selfplay import formats
from selfplay.config.programs import TestKind, TestWriter
from selfplay.engines.base import Sample
from selfplay.labelling import trial_texts
from selfplay.labelling.consensus import TrialInput, Tried
from selfplay.labelling.unit_test_answers import WrittenTest
from selfplay.run.records import LabelledTask, Seed, UnitTest
from selfplay.run.seeding import content_id
from selfplay.stage.context import Context
from selfplay.stage.open_engine import OpenedEngine, samples_of
from verifiers.pool.readers import TextReader
from verifiers.pool.worker import WorkerOutcome

SEED = "seed"
CUT, NOT_READ = "cut at the token limit", "not read in time"
_TESTS = TextReader("selfplay.labelling.unit_test_answers:read_unit_test")

DESCRIPTION: dict[TestKind, str] = {
    "edge_case": "an edge case, at the limits of what the problem allows, such as the smallest or an empty input",
    "complex_scenario": "a complex scenario, in which several rules of the problem act together",
    "error_prone": "a condition in which programs are often wrong, such as ties, repeats, signs or overflow",
    "critical_path": "the critical path: an ordinary input of middle size that needs every step of a solution",
}


def seed_trials(context: Context, task: LabelledTask, seeds: Sequence[Seed]) -> list[TrialInput]:
    """Inputs of the domain's seed problems: the one format that its programs read."""
    # Sorted, since the order of a set is no order that a seed could draw from.
    known = sorted({trial_texts.input_of(t) for seed in seeds if seed.domain == task.domain for t in seed.task.tests})
    rng = random.Random(context.seed("labelling", "inputs", task.prompt_id))
    return [TrialInput(SEED, text) for text in rng.sample(known, min(context.recipe.labelling.tests, len(known)))]


def written_trials(
    context: Context, engine: OpenedEngine, tasks: Sequence[LabelledTask], number: int
) -> dict[str, list[TrialInput]]:
    """The tests that a model writes for each prompt, by its id; those that cannot be used carry the reason.

    Each is asked for on its own, and asked for again where the answer cannot be read.

    Raises:
        BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
    """
    writer = context.recipe.labelling.test_writer
    asked = [(task, kind, n) for task in tasks for kind in writer.kinds for n in range(writer.each)]
    found: dict[int, WrittenTest] = {}
    for attempt in range(writer.attempts):
        left = [place for place in range(len(asked)) if place not in found or found[place].fault]
        if not left:
            break
        context.listener.begin(f"labelling: tests for group {number + 1}", len(left))
        texts = [_question(writer, *asked[place]) for place in left]
        seed = context.seed("labelling", "tests", number, attempt)
        samples = samples_of(engine, texts, writer.sampling, seed, context.listener.advance)
        of_functions = [asked[place][0].task.entry_point is not None for place in left]
        found |= dict(zip(left, read_unit_tests(samples, of_functions), strict=True))
    trials: dict[str, list[TrialInput]] = {task.prompt_id: [] for task in tasks}
    for place, (task, kind, _) in enumerate(asked):
        trials[task.prompt_id].append(_trial(kind, found[place], trials[task.prompt_id]))
    return trials


def read_unit_tests(samples: Sequence[Sample], of_functions: Sequence[bool]) -> list[WrittenTest]:
    """The test of each answer, as `unit_test_answers` finds it, in processes that can be killed."""
    answers = zip(samples, of_functions, strict=True)
    outcomes = iter(_TESTS.read([(sample.text, of_function) for sample, of_function in answers if sample.complete]))
    return [_written(next(outcomes)) if sample.complete else WrittenTest(fault=CUT) for sample in samples]


def _written(outcome: WorkerOutcome) -> WrittenTest:
    return WrittenTest(*outcome.value) if outcome.status == "ok" else WrittenTest(fault=NOT_READ)


def _question(writer: TestWriter, task: LabelledTask, kind: TestKind, number: int) -> str:
    more = f"; number {number + 1} of its kind, unlike the others" if number else ""
    entry_point = task.task.entry_point
    if entry_point is None:
        return formats.fill(writer.template, problem=task.problem, kind=DESCRIPTION[kind] + more)
    values = {"problem": task.problem, "kind": DESCRIPTION[kind] + more, "entry_point": entry_point}
    return formats.fill(writer.function_template, **values)


def _trial(kind: str, written: WrittenTest, before: Sequence[TrialInput]) -> TrialInput:
    known = {" ".join(trial.input.split()) for trial in before if not trial.fault}
    again = not written.fault and " ".join(written.input.split()) in known
    return TrialInput(kind, written.input, written.output, "an input that is there already" if again else written.fault)


def unit_tests_of(task: LabelledTask, tried: Sequence[Tried], number: int = 0) -> list[UnitTest]:
    """The outcomes of a prompt's trials, for the table."""
    return [
        UnitTest(
            id=content_id("unit test", task.prompt_id, number, place),
            prompt_id=task.prompt_id,
            kind=item.trial.kind,
            input=item.trial.input,
            written=item.trial.written,
            output=item.output,
            agreement=item.agreement,
            outcome=item.outcome,
        )
        for place, item in enumerate(tried)
    ]
