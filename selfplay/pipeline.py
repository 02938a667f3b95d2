"""The story of a run, in order. Each stage is done once; a run that was cut off goes on where it stopped.

seeds         problems to start from, with concepts, rationale, and answer or tests
annotation    annotators give them the concepts and rationales they lack (only where the recipe names annotators)
base          the model that everything starts from (trained here only when the recipe makes one from scratch)
cold_start    maximum likelihood of the prompt model p and the rationale model q on the seeds
em_N          E-step: q learns the best of K rationales; M-step: p learns from the rationales of the new q
synthesis     new prompts from p, on new combinations of concepts
curation      duplicates and contaminated prompts are set aside
labelling     the policy solves each prompt k times; the majority is the label
evaluation_0  held-out accuracy of the base
selfplay_N    a round of grpo, dpo or rft on the labelled prompts
evaluation_N  held-out accuracy of the policy after it
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

from selfplay.base_model import base_model, base_stage, generator_model
from selfplay.clock import START_UP
from selfplay.concepts.choice import choice_files
from selfplay.context import Context
from selfplay.curation.benchmarks import benchmark_contents
from selfplay.curation.gates import curation_stage
from selfplay.engines.base import ModelRef
from selfplay.evaluation.evaluate import choose_problems, evaluation_stage
from selfplay.labelling.label import labelling_stage
from selfplay.plan import planned_stages
from selfplay.records import LabelledTask, Prompt, Seed
from selfplay.run import Stage
from selfplay.seed_problems import seed_files, seeds_stage
from selfplay.summary import summarise
from selfplay.synthesis.annotation import annotation_stage
from selfplay.synthesis.cold_start import ModelPair, cold_start_stage, models_of
from selfplay.synthesis.em import em_stage, measured_pairs, round_models
from selfplay.synthesis.em_watch import judge
from selfplay.synthesis.generate import synthesis_stage
from selfplay.synthesis.measures import Row, measure
from selfplay.training.rounds import round_policy, selfplay_stage

ANNOTATION_SETTINGS = ("cold_start.annotators", "cold_start.annotation", "em.rationales")
COLD_START_SETTINGS = (
    "generator",
    "generator_lora",
    "cold_start",
    "em.rationales",
    "em.sampling",
    "em.heldout_pairs",
    "em.bound_samples",
    "synthesis.sampling",
    "evaluation.problems",
    "evaluation.split",
)
"""What training and measuring the first models depends on."""


def run_pipeline(context: Context, until: str | None = None) -> dict[str, Any]:
    """Runs every stage that is not done; returns the summary.

    Raises:
        Reached: the stage `until` is done.
    """
    story = Story(context, until)
    seeds = story.tell(
        "seeds", ["domains"], lambda stage: seeds_stage(stage, context.recipe), seed_files(context.recipe)
    )
    if context.recipe.cold_start.annotators:
        bare = seeds
        seeds = story.tell("annotation", ANNOTATION_SETTINGS, lambda stage: annotation_stage(stage, context, bare))
    train = _seeds(context, seeds, "train")
    heldout = choose_problems(context, _seeds(context, seeds, context.recipe.evaluation.split))
    reserved = _seeds(context, seeds, "heldout") + _seeds(context, seeds, "dev")

    base_done = story.tell("base", ["model", "engine"], lambda stage: base_stage(stage, context, train))
    base = base_model(base_done, context.recipe)
    # What ends the loop is a choice, and choices are made on development problems.
    observed = _seeds(context, seeds, "dev") if context.recipe.em.decides else heldout
    generator = generator_model(base, context.recipe)
    # An annotator may have found no concepts for some; they are evaluated on, but make no pair.
    measured = measured_pairs(context, [seed for seed in observed if seed.concepts])
    pair = expectation_maximisation(story, generator, train, measured)

    made = story.tell(
        "synthesis",
        ["synthesis"],
        lambda stage: synthesis_stage(stage, context, pair.p, train, reserved, base),
        choice_files(context.recipe),
    )
    curated = story.tell(
        "curation",
        ["curation"],
        lambda stage: curation_stage(stage, context, made, train, reserved),
        benchmark_contents(context.recipe.curation),
    )
    kept = [row for batch in curated.batches("prompts", Prompt, only_kept=True) for row in batch]
    policy = dataclasses.replace(base, chat=context.chat)
    tasks = story.tell(
        "labelling", ["labelling"], lambda stage: labelling_stage(stage, context, policy, kept, train)
    ).read("tasks", LabelledTask)

    story.tell("evaluation_0", ["evaluation"], lambda stage: evaluation_stage(stage, context, 0, policy, heldout))
    for number in range(1, context.recipe.training.rounds + 1):
        policy = _round(story, number, policy, tasks, train, heldout)
    return story.end()


def expectation_maximisation(story: Story, base: ModelRef, train: list[Seed], measured: list[Seed]) -> ModelPair:
    """The cold start and the rounds; returns the models of the round that is kept."""
    context = story.context

    def cold_start(stage: Stage) -> dict[str, Any]:
        counts = cold_start_stage(stage, context, base, train)
        return counts | {"row": measure(context, 0, models_of(stage, base), measured)}

    done = story.tell("cold_start", COLD_START_SETTINGS, cold_start)
    pairs = [models_of(done, base)]
    rows = [done.manifest["counts"]["row"]]
    outcome = judge(context.recipe.em, rows)
    for number in range(1, context.recipe.em.rounds + 1):
        work = functools.partial(_em_round, context, number, pairs[-1], train, measured, rows)
        done = story.tell(f"em_{number}", ["em"], work)
        pairs.append(round_models(done, pairs[-1]))
        rows.append(done.manifest["counts"]["row"])
        outcome = judge(context.recipe.em, rows)
        if outcome.reason:
            context.listener.note(outcome.sentence)
            story.pass_over([f"em_{later}" for later in range(number + 1, context.recipe.em.rounds + 1)])
            break
    return pairs[outcome.kept]


def _em_round(
    context: Context,
    number: int,
    before: ModelPair,
    train: list[Seed],
    measured: list[Seed],
    rows: list[Row],
    stage: Stage,
) -> dict[str, Any]:
    counts = em_stage(stage, context, number, before, train, measured)
    outcome = judge(context.recipe.em, [*rows, counts["row"]])
    return counts | ({"stopped": outcome.sentence} if outcome.reason else {})


def _round(
    story: Story,
    number: int,
    policy: ModelRef,
    tasks: list[LabelledTask],
    train: list[Seed],
    heldout: list[Seed],
) -> ModelRef:
    context = story.context
    done = story.tell(
        f"selfplay_{number}",
        ["training"],
        lambda stage: selfplay_stage(stage, context, number, policy, tasks, train),
    )
    after = round_policy(done, context)
    story.tell(f"evaluation_{number}", [], lambda stage: evaluation_stage(stage, context, number, after, heldout))
    return after


def _seeds(context: Context, stage: Stage, split: str) -> list[Seed]:
    return [seed for domain in context.recipe.domains for seed in stage.read(f"{domain}-{split}", Seed)]


class Reached(Exception):
    """The stage after which the run was asked to stop is done."""


class Story:
    """Runs stages one after the other, tells the listener, and keeps the time."""

    def __init__(self, context: Context, until: str | None) -> None:
        self.context = context
        self._until = until
        self._planned = planned_stages(context.recipe)
        self._done: list[Stage] = []
        if context.run.stage(self._planned[-1]).done:
            context.clock.skip()
        else:
            context.clock.mark(START_UP)

    def tell(
        self, name: str, sections: Sequence[str], work: Callable[[Stage], dict[str, Any]], contents: str = ""
    ) -> Stage:
        """Runs one stage unless it is done; `contents` stands for files that it reads."""
        done = self.context.run.stage(name).done
        self.context.listener.stage(name, self._planned.index(name) + 1, len(self._planned), done)
        stage = self.context.run.do(name, sections, work, contents)
        self._done.append(stage)
        if done:
            self.context.clock.skip()
        else:
            self.context.clock.mark(name)
            self.context.end_stage()
        self._end_if_reached(name)
        return stage

    def pass_over(self, names: Sequence[str]) -> None:
        """Says that stages will not take place."""
        for name in names:
            self._end_if_reached(name)

    def _end_if_reached(self, name: str) -> None:
        if name == self._until:
            raise Reached(name)

    def end(self) -> dict[str, Any]:
        """Writes the summary."""
        return summarise(self.context.run, self._done, self.context.clock)
