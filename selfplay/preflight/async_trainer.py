"""TRL's AsyncGRPOTrainer before a run: whether this machine can run it, and what of a recipe it can't do."""

from __future__ import annotations

from collections.abc import Iterator

from selfplay.config.recipe import Recipe
from selfplay.config.section import NamedModel, ScratchModel
from selfplay.planning.architecture import UnknownArchitecture
from selfplay.planning.known_models import architecture_of
from selfplay.trl_trainers.asynchronous import library

HEAD = ("lm_head", "embed_tokens")
"""Modules on which an adapter is nothing that TRL's trainer sees: it reads the head's own weight."""


def check_async_trainer(recipe: Recipe) -> None:
    """Refuses `training.grpo.trainer: async_grpo` where it can't be had: for what of the recipe it can't do, on a
    machine without GPUs, and without TRL's class or FlashAttention.

    Raises:
        NoAsyncTrainer: one sentence with the remedy.
    """
    if fault := next(_faults(recipe), ""):
        raise library.NoAsyncTrainer(f"{library.FIELD}: is async_grpo, {fault}, or {library.OTHERWISE}")
    library.trainer_class()
    library.kernel()


def _faults(recipe: Recipe) -> Iterator[str]:
    training, sharding = recipe.training, recipe.compute.sharding
    if sharding != "none":
        yield (f"which holds a whole model on each GPU here, and compute.sharding is {sharding}; set that to none")
    if recipe.compute.executor == "ray":
        yield "whose server answers on the loopback of one machine, and compute.executor is ray; set that to local"
    if _has_experts(recipe.model):
        yield f"{library.EXPERTS}, and model has some; take a model without"
    targets = (training.lora or {}).get("target_modules") or ()
    if any(name in HEAD for name in ([targets] if isinstance(targets, str) else targets)):
        yield f"whose loss would overlook an adapter on {' or '.join(HEAD)}; change training.lora.target_modules"
    if training.grpo.args.get("bf16") is False and not training.grpo.args.get("fp16"):
        yield "which computes with FlashAttention, in 16 bits alone; leave out training.grpo.args.bf16"
    if recipe.compute.device == "cpu" or not _sees_gpu():
        yield "which computes with FlashAttention, for GPUs alone, and none is used here; run it where there is one"


def _has_experts(model: NamedModel | ScratchModel) -> bool:
    try:
        return bool(architecture_of(model, "model").experts)
    except UnknownArchitecture:
        # The training looks again, once the model is loaded.
        return False


def _sees_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())
