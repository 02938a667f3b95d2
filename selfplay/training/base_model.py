"""The base stage: the model that the policy, the prompt model and the rationale model start from."""

from __future__ import annotations

from collections.abc import Sequence

from selfplay import formats
from selfplay.compute.workers import Job
from selfplay.config.models import PretrainedModel, ScratchModel
from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef
from selfplay.run.directory import Stage
from selfplay.run.records import Seed
from selfplay.run.results import ScratchResult
from selfplay.stage.context import Context, TrainingJob
from selfplay.trl_trainers.model_folder import trained_model, write_fingerprint
from selfplay.trl_trainers.sft import Example, train_sft, write_examples


def base_stage(stage: Stage, context: Context, seeds: Sequence[Seed]) -> ScratchResult:
    """Trains a tiny base from scratch; a pretrained one needs nothing here."""
    settings = context.recipe.model
    if isinstance(settings, PretrainedModel):
        return ScratchResult(trained=0)
    return train_from_scratch(stage, context, settings, seeds)


def train_from_scratch(stage: Stage, context: Context, settings: ScratchModel, seeds: Sequence[Seed]) -> ScratchResult:
    """Makes a tiny model and trains it on the seeds' worked solutions; writes its folder into the stage."""
    untrained = stage.folder / "untrained"
    job = {
        "model": settings,
        "texts": texts_of(context.recipe, seeds),
        "seed": context.seed(stage.name, "weights"),
        "output": str(untrained),
    }
    context.workers.map(make_untrained, [job])
    examples = stage.folder / "examples.parquet"
    solved = [seed for seed in seeds if seed.solution]
    write_examples(examples, [_solution(context.recipe, seed) for seed in solved])
    start = trained_model(untrained)
    training = TrainingJob(
        "model", train_sft, {"model": start, "examples": str(examples), "args": settings.args, "loss": "all"}
    )
    context.train(stage, [training])
    return ScratchResult(trained=1, examples=len(solved))


def base_model(stage: Stage, recipe: Recipe) -> ModelRef:
    """The reference to the base (`chat` is the policy's affair)."""
    settings = recipe.model
    return scratch_model(stage) if isinstance(settings, ScratchModel) else _named(settings)


def scratch_model(stage: Stage) -> ModelRef:
    """The reference to a model that `train_from_scratch` made."""
    return trained_model(stage.folder / "model")


def generator_model(base: ModelRef, recipe: Recipe) -> ModelRef:
    """What p and q start from: a model of their own, or the base."""
    return base if recipe.generator is None else _named(recipe.generator)


def _named(settings: PretrainedModel) -> ModelRef:
    name = f"{settings.name}@{settings.revision or 'main'}"
    return ModelRef(settings.name, name, settings.revision, settings.dtype)


def _solution(recipe: Recipe, seed: Seed) -> Example:
    return Example(formats.solver_input(recipe.domains[seed.domain], seed.task), (seed.solution,))


def texts_of(recipe: Recipe, seeds: Sequence[Seed]) -> list[str]:
    """Texts in the formats that the models will see, for the tokenizer."""
    texts = []
    for seed in seeds:
        domain = recipe.domains[seed.domain]
        texts.append(formats.solver_input(domain, seed.task) + seed.solution)
        texts.append(formats.rationale_input(domain, seed.concepts, seed.level, seed.problem) + seed.rationale)
    return texts


def make_untrained(job: Job) -> None:
    """Makes a tokenizer and random weights, inside a worker. Job: model (ScratchModel), texts, seed, output."""
    from pathlib import Path

    from selfplay.quickstart import tiny_model

    settings: ScratchModel = job["model"]
    folder = Path(job["output"])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_model.build_tokenizer(job["texts"], settings.vocabulary)
    network = tiny_model.build_model(tokenizer, job["seed"], settings.hidden_size, settings.layers)
    tiny_model.save(tokenizer, network, folder)
    write_fingerprint(folder, "float32")
