"""Cold start: maximum likelihood of the prompt model p and the rationale model q on annotated seeds (paper 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfplay import formats
from selfplay.config import Recipe
from selfplay.context import Context, Training
from selfplay.engines.base import ModelRef
from selfplay.records import Seed
from selfplay.run import Stage
from selfplay.synthesis.inputs import for_prompt_model, for_rationale_model
from selfplay.trainers.model_folder import trained_model
from selfplay.trainers.sft import Example, train_sft, write_examples

PROMPT_MODEL, RATIONALE_MODEL = "prompt-model", "rationale-model"


@dataclass(frozen=True, slots=True)
class ModelPair:
    """The prompt model p and the rationale model q."""

    p: ModelRef
    q: ModelRef


def cold_start_stage(stage: Stage, context: Context, base: ModelRef, seeds: Sequence[Seed]) -> dict[str, Any]:
    """Trains p on (c -> z, x) and q on (c, x -> z), both from the base."""
    recipe = context.recipe
    of_p = [prompt_example(recipe, seed, seed.rationale) for seed in seeds]
    of_q = [rationale_example(recipe, seed, seed.rationale) for seed in seeds]
    settings = recipe.cold_start
    context.train(
        stage,
        [
            fit(stage, PROMPT_MODEL, base, of_p, settings.prompt_model_args),
            fit(stage, RATIONALE_MODEL, base, of_q, settings.rationale_model_args),
        ],
    )
    return {"triples": len(seeds)}


def fit(stage: Stage, name: str, start: ModelRef, examples: Sequence[Example], args: dict[str, Any]) -> Training:
    """A training on completion tokens only, with its examples written beside the model."""
    file = stage.folder / f"{name}-examples.parquet"
    write_examples(file, examples)
    job = {"model": start, "examples": str(file), "args": args, "loss": "completion"}
    return Training(name, train_sft, job | {"lora": stage.run.recipe.generator_lora})


def prompt_example(recipe: Recipe, seed: Seed, rationale: str) -> Example:
    """c -> z, x."""
    return Example(
        for_prompt_model(recipe, seed), (formats.rationale_block(rationale), formats.problem_block(seed.problem))
    )


def rationale_example(recipe: Recipe, seed: Seed, rationale: str) -> Example:
    """c, x -> z."""
    return Example(for_rationale_model(recipe, seed), (formats.rationale_block(rationale),))


def models_of(stage: Stage) -> ModelPair:
    """The pair that a stage trained."""
    p, q = (trained_model(stage.folder / name) for name in (PROMPT_MODEL, RATIONALE_MODEL))
    return ModelPair(p, q)
