"""The base stage: the model that the policy, the prompt model and the rationale model start from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.config.section import PretrainedModel, ScratchModel
from selfplay.engines.base import ModelRef
from selfplay.engines.named_models import NamedModels
from selfplay.run.directory import Stage
from selfplay.run.records import Example, Seed
from selfplay.run.results import ScratchResult
from selfplay.run.tables import write_table
from selfplay.stage.context import Context, Training
from selfplay.trl_trainers.jobs import SFTJob
from selfplay.trl_trainers.model_folder import trained_model, write_fingerprint
from selfplay.trl_trainers.sft import train_sft


def base_stage(stage: Stage, context: Context, seeds: Sequence[Seed]) -> ScratchResult:
    """Trains a tiny base from scratch; a pretrained one needs nothing here."""
    settings = context.recipe.model
    if isinstance(settings, PretrainedModel):
        return ScratchResult(trained=0)
    return train_from_scratch(stage, context, settings, seeds)


def train_from_scratch(stage: Stage, context: Context, settings: ScratchModel, seeds: Sequence[Seed]) -> ScratchResult:
    """Makes a tiny model and trains it on the seeds' worked solutions; writes its folder into the stage."""
    untrained = stage.folder / "untrained"
    seed = context.seed(stage.name, "weights")
    context.workers.map(make_untrained, [ScratchJob(settings, texts_of(context.recipe, seeds), seed, untrained)])
    examples = stage.folder / "examples.parquet"
    solved = [seed for seed in seeds if seed.solution]
    domains = context.recipe.domains
    rows = (Example(formats.solver_input(domains[one.domain], one.task), (one.solution,)) for one in solved)
    write_table(examples, Example, rows)
    job = SFTJob(model=trained_model(untrained), examples=examples, args=settings.args, router="trained", loss="all")
    context.train(stage, [Training("model", train_sft, job)])
    return ScratchResult(trained=1, examples=len(solved))


def base_model(stage: Stage, recipe: Recipe, models: NamedModels) -> ModelRef:
    """The reference to the base (`chat` is the policy's affair)."""
    settings = recipe.model
    return scratch_model(stage) if isinstance(settings, ScratchModel) else _named(settings, models)


def scratch_model(stage: Stage) -> ModelRef:
    """The reference to a model that `train_from_scratch` made."""
    return trained_model(stage.folder / "model")


def generator_model(base: ModelRef, recipe: Recipe, models: NamedModels) -> ModelRef:
    """The start of p and q: a model of their own, or the base."""
    return base if recipe.generator is None else _named(recipe.generator, models)


def _named(settings: PretrainedModel, models: NamedModels) -> ModelRef:
    return dataclasses.replace(models.ref(settings), chat=False)


def texts_of(recipe: Recipe, seeds: Sequence[Seed]) -> list[str]:
    """Texts in the formats that the models will see, for the tokenizer."""
    texts = []
    for seed in seeds:
        domain = recipe.domains[seed.domain]
        texts.append(formats.solver_input(domain, seed.task) + seed.solution)
        texts.append(formats.rationale_input(domain, seed.concepts, seed.level, seed.problem) + seed.rationale)
    return texts


@dataclass(frozen=True, slots=True)
class ScratchJob:
    """A model to be made without training."""

    settings: ScratchModel
    texts: Sequence[str]
    """Texts of which the tokenizer makes its vocabulary."""
    seed: int
    """Of the weights."""
    output: Path


def make_untrained(job: ScratchJob) -> None:
    """Makes a tokenizer and random weights, inside a worker."""
    from selfplay.quickstart import tiny_model

    job.output.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_model.build_tokenizer(job.texts, job.settings.vocabulary)
    settings = job.settings
    sizes = (settings.hidden_size, settings.layers)
    network = tiny_model.build_model(tokenizer, job.seed, *sizes, experts=settings.experts)
    tiny_model.save(tokenizer, network, job.output)
    write_fingerprint(job.output, "float32")
