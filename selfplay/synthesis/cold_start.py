"""Cold start: maximum likelihood of the prompt model p and the rationale model q on annotated seeds (paper 2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef
from selfplay.run.directory import Stage
from selfplay.run.records import Example, Seed
from selfplay.run.tables import write_table
from selfplay.stage.context import Context, Training
from selfplay.synthesis.likelihood import for_prompt_model, for_rationale_model
from selfplay.trl_trainers.jobs import SFTJob
from selfplay.trl_trainers.model_folder import trained_model
from selfplay.trl_trainers.sft import train_sft

PROMPT_MODEL, RATIONALE_MODEL = "prompt-model", "rationale-model"


@dataclass(frozen=True, slots=True)
class ModelPair:
    """The prompt model p and the rationale model q."""

    p: ModelRef
    q: ModelRef | None
    """None where p writes problems without rationales."""

    @property
    def rationale_model(self) -> ModelRef:
        """q, where the recipe has one."""
        if self.q is None:
            raise ValueError("a recipe with em.rationales false has no rationale model")
        return self.q


def cold_start_stage(
    stage: Stage, context: Context, base: ModelRef, seeds: Sequence[Seed], heldout: Sequence[Seed] = ()
) -> int:
    """Trains p on (c -> z, x) and q on (c, x -> z), both from the base; without rationales, p alone on (c -> x).

    Args:
        base: what both start from.
        heldout: triples on which it is measured what rounding costs.

    Returns:
        How many triples they were trained on.
    """
    recipe = context.recipe
    settings = recipe.cold_start
    if not settings.enabled:
        return 0
    of_p = (prompt_example(recipe, seed, seed.rationale) for seed in seeds)
    trainings = [fit(context, stage, PROMPT_MODEL, base, of_p, settings.prompt_model_args, heldout)]
    if recipe.em.rationales:
        of_q = (rationale_example(recipe, seed, seed.rationale) for seed in seeds)
        trainings.append(fit(context, stage, RATIONALE_MODEL, base, of_q, settings.rationale_model_args, heldout))
    context.train(stage, trainings)
    return len(seeds)


def fit(
    context: Context,
    stage: Stage,
    name: str,
    start: ModelRef,
    examples: Iterable[Example],
    args: dict[str, Any],
    heldout: Sequence[Seed] = (),
) -> Training[SFTJob]:
    """A training on completion tokens only, with its examples written beside the model; for `heldout` see above."""
    file = stage.folder / f"{name}-examples.parquet"
    write_table(file, Example, examples)
    recipe = context.recipe
    of = {PROMPT_MODEL: prompt_example, RATIONALE_MODEL: rationale_example}[name]
    measured = [of(recipe, seed, seed.rationale) for seed in heldout if seed.rationale or not recipe.em.rationales]
    if measured:
        write_table(stage.folder / f"{name}-heldout.parquet", Example, measured)
    # Other engines than transformers are given whole models.
    keep = recipe.engine.kind == "transformers"
    job = SFTJob(
        model=start,
        examples=file,
        args=args,
        lora=recipe.generator_lora,
        router=recipe.router,
        keep_adapter=keep,
        heldout=stage.folder / f"{name}-heldout.parquet" if measured else None,
    )
    return Training(name, train_sft, job, f"{name}/")


def prompt_example(recipe: Recipe, seed: Seed, rationale: str) -> Example:
    """c -> z, x; or c -> x where the recipe has no rationales."""
    thoughts = (formats.rationale_block(rationale),) if recipe.em.rationales else ()
    return Example(for_prompt_model(recipe, seed), (*thoughts, formats.problem_block(seed.problem)))


def rationale_example(recipe: Recipe, seed: Seed, rationale: str) -> Example:
    """c, x -> z."""
    return Example(for_rationale_model(recipe, seed), (formats.rationale_block(rationale),))


def models_of(stage: Stage, base: ModelRef, recipe: Recipe) -> ModelPair:
    """The pair after the cold start: what it trained, or the base where there was none."""

    def after(name: str) -> ModelRef:
        return trained_model(stage.folder / name) if recipe.cold_start.enabled else base

    return ModelPair(after(PROMPT_MODEL), after(RATIONALE_MODEL) if recipe.em.rationales else None)
