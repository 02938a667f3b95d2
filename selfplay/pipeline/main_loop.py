"""The stages of a run, in order. Each stage is done once; a run that was cut off goes on where it stopped.

seeds         problems to start from, with concepts, rationale, and answer or tests
annotation    annotators give them the concepts and rationales they lack (only where the recipe names annotators)
base          the model that everything starts from (trained here only when the recipe makes one from scratch)
cold_start    maximum likelihood of the prompt model p and the rationale model q on the seeds
em_N          E-step: q learns the best of K rationales; M-step: p learns from the rationales of the new q
synthesis     new prompts from p, on new combinations of concepts
curation      duplicates and contaminated prompts are set aside
labelling     the policy solves each prompt k times; the majority is the label
evaluation_0  held-out accuracy of the base
selfplay_N    a round of grpo, dpo or rft on the labelled prompts, or of SFT on a teacher's traces
evaluation_N  held-out accuracy of the policy after it

Recipes whose prompts are all external, or that learn from files of traces, leave out what they don't need, and some
rounds begin with new prompts or labels: `selfplay.stage.plan` names each recipe's stages, `selfplay.pipeline.rounds`
tells the rounds.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from selfplay.concepts.choice import choice_files
from selfplay.curation.benchmarks import benchmark_contents
from selfplay.curation.gates import curation_stage
from selfplay.engines.base import ModelRef
from selfplay.evaluation.evaluate import choose_problems
from selfplay.labelling.label import labelling_stage
from selfplay.pipeline.rounds import SYNTHESIS_SETTINGS, Problems, SelfPlay, Synthesised, kept_prompts, unlabelled_tasks
from selfplay.pipeline.stage_runner import StageRunner
from selfplay.run.directory import Stage
from selfplay.run.records import LabelledTask, Seed
from selfplay.seeds.stage import seed_files, seeds_stage
from selfplay.stage.context import Context
from selfplay.stage.plan import scratch_teacher, synthesises
from selfplay.synthesis.annotation import annotation_stage
from selfplay.synthesis.cold_start import ModelPair, cold_start_stage, models_of
from selfplay.synthesis.em import em_stage, measured_pairs, round_models
from selfplay.synthesis.em_watch import stop_decision
from selfplay.synthesis.generate import synthesis_stage
from selfplay.synthesis.measures import Row, measure
from selfplay.training.base_model import base_model, base_stage, generator_model, scratch_model, train_from_scratch

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
    recipe = context.recipe
    stages = StageRunner(context, until)
    seeds = stages.run_stage("seeds", ["domains"], lambda stage: seeds_stage(stage, recipe), seed_files(recipe))
    if synthesises(recipe) and recipe.cold_start.annotators:
        unannotated = seeds
        seeds = stages.run_stage(
            "annotation", ANNOTATION_SETTINGS, lambda stage: annotation_stage(stage, context, unannotated)
        )
    problems = _problems(context, seeds)

    base_done = stages.run_stage("base", ["model", "engine"], lambda stage: base_stage(stage, context, problems.train))
    base = base_model(base_done, recipe)
    policy = dataclasses.replace(base, chat=context.chat)
    made: Synthesised | None = None
    labelled: list[Stage] = []
    tasks: list[LabelledTask] = []
    if synthesises(recipe):
        made = _prompts(stages, base, problems)
        labelled, tasks = _labels(stages, policy, made.curated[1], problems)
    teacher = _teacher(stages, problems.train)
    SelfPlay(stages, problems, made, teacher, labelled).play(policy, tasks)
    return stages.end()


def _problems(context: Context, seeds: Stage) -> Problems:
    recipe = context.recipe
    heldout = choose_problems(context, _seeds(context, seeds, recipe.evaluation.split))
    development = _seeds(context, seeds, "dev")
    # What ends the loop is a choice, and choices are made on development problems.
    observed = development if recipe.em.decides else heldout
    selection = recipe.training.selection
    return Problems(
        train=_seeds(context, seeds, "train"),
        measured=heldout,
        development=choose_problems(context, development, selection.problems) if selection else [],
        reserved=_seeds(context, seeds, "heldout") + development,
        # An annotator may have found no concepts for some; they are evaluated on, but make no pair.
        pairs=measured_pairs(context, [seed for seed in observed if seed.concepts]),
    )


def _prompts(stages: StageRunner, base: ModelRef, problems: Problems) -> Synthesised:
    context, recipe, train = stages.context, stages.context.recipe, list(problems.train)
    pair = expectation_maximisation(stages, generator_model(base, recipe), train, list(problems.pairs))
    made = stages.run_stage(
        "synthesis",
        SYNTHESIS_SETTINGS,
        lambda stage: synthesis_stage(stage, context, pair.p, train, problems.reserved, base),
        choice_files(recipe),
    )
    curated = stages.run_stage(
        "curation",
        ["curation"],
        lambda stage: curation_stage(stage, context, made, train, problems.reserved),
        benchmark_contents(recipe.curation),
    )
    return Synthesised(pair, base, {1: curated})


def _labels(
    stages: StageRunner, policy: ModelRef, curated: Stage, problems: Problems
) -> tuple[list[Stage], list[LabelledTask]]:
    """The stage that labels the prompts, where the update rule needs that, and the tasks."""
    context, kept = stages.context, kept_prompts(curated)
    if not context.recipe.training.needs_labels:
        return [], unlabelled_tasks(kept)
    done = stages.run_stage(
        "labelling", ["labelling"], lambda stage: labelling_stage(stage, context, policy, kept, problems.train)
    )
    return [done], done.read("tasks", LabelledTask)


def _teacher(stages: StageRunner, train: Sequence[Seed]) -> ModelRef | None:
    """A teacher that the run trains itself, where the recipe says so."""
    context, recipe = stages.context, stages.context.recipe
    settings = scratch_teacher(recipe)
    if settings is None:
        return None
    done = stages.run_stage(
        "teacher", ["training.sft.teacher.engine"], lambda stage: train_from_scratch(stage, context, settings, train)
    )
    return scratch_model(done)


def expectation_maximisation(stages: StageRunner, base: ModelRef, train: list[Seed], measured: list[Seed]) -> ModelPair:
    """The cold start and the rounds; returns the models of the round that is kept."""
    context = stages.context

    def cold_start(stage: Stage) -> dict[str, Any]:
        counts = cold_start_stage(stage, context, base, train)
        return counts | {"row": measure(context, 0, models_of(stage, base), measured)}

    done = stages.run_stage("cold_start", COLD_START_SETTINGS, cold_start)
    pairs = [models_of(done, base)]
    rows = [done.manifest["counts"]["row"]]
    outcome = stop_decision(context.recipe.em, rows)
    for number in range(1, context.recipe.em.rounds + 1):
        work = functools.partial(_em_round, context, number, pairs[-1], train, measured, rows)
        done = stages.run_stage(f"em_{number}", ["em"], work)
        pairs.append(round_models(done, pairs[-1]))
        rows.append(done.manifest["counts"]["row"])
        outcome = stop_decision(context.recipe.em, rows)
        if outcome.reason:
            context.listener.note(outcome.sentence)
            stages.pass_over([f"em_{later}" for later in range(number + 1, context.recipe.em.rounds + 1)])
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
    outcome = stop_decision(context.recipe.em, [*rows, counts["row"]])
    return counts | ({"stopped": outcome.sentence} if outcome.reason else {})


def _seeds(context: Context, stage: Stage, split: str) -> list[Seed]:
    return [seed for domain in context.recipe.domains for seed in stage.read(f"{domain}-{split}", Seed)]
