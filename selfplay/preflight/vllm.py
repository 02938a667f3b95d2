"""vLLM before a run: whether it is installed where a recipe names it, and knows the arguments that it is given."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from typing import Any

from selfplay.config.compute import EngineSettings
from selfplay.config.errors import UserError
from selfplay.config.recipe import Recipe
from selfplay.config.rules import GRPORule
from selfplay.preflight.async_trainer import check_async_trainer
from selfplay.preflight.quantised import name_fault, rollouts_fault, served_fault

OF_TRL = {
    "tensor_parallel_size": "vllm_tensor_parallel_size",
    "gpu_memory_utilization": "vllm_gpu_memory_utilization",
    "max_model_len": "vllm_max_model_length",
    "enable_sleep_mode": "vllm_enable_sleep_mode",
    "model_impl": "vllm_model_impl",
}
"""Arguments of vLLM for which TRL's GRPOConfig has its own."""
OF_SERVER = ("tensor_parallel_size", "gpu_memory_utilization", "model_impl")
"""Those of them that a server has in `training.grpo.vllm.args`."""
OF_THE_RUN = ("model", "revision", "trust_remote_code", "seed", "distributed_executor_backend", "logprobs_mode")
OF_THE_RUNS_SERVER = ("served_model_name", "worker_extension_cls", "weight_transfer_config", "enable_sleep_mode")


class EngineMissing(UserError):
    """vLLM is not installed, or lacks what a recipe asks of it; one sentence with the remedy."""


def check_engine(engine: EngineSettings) -> None:
    """Refuses an engine that is not installed, and arguments that it does not have.

    Raises:
        EngineMissing: names the field.
    """
    if engine.kind == "vllm":
        known = _arguments("engine.kind", "set engine.kind to transformers")
        _check_names(engine.args, known, "engine.args", {"model": "is what the run itself decides; drop it"})
        _refuse(name_fault(engine.args), "engine.args")


def check_served(recipe: Recipe) -> None:
    """Refuses the engine of a run, as `check_engine` does, and one that could not read what the run trains.

    Raises:
        EngineMissing: names the field.
    """
    check_engine(recipe.engine)
    _refuse(served_fault(recipe), "engine.args")


def check_rollouts(recipe: Recipe, workers: int) -> None:
    """Refuses rollouts of grpo by a vLLM that is not installed, or that could not be opened as the recipe says.

    Args:
        workers: processes that train together.

    Raises:
        EngineMissing: names the field.
        NoAsyncTrainer: see `check_async_trainer`.
    """
    training, rule = recipe.training, recipe.training.grpo
    if training.algorithm != "grpo" or not training.rounds or rule.rollouts == "transformers":
        return
    if rule.trainer == "async_grpo":
        check_async_trainer(recipe)
    known = _arguments("training.grpo.rollouts", "set it to transformers")
    decided = dict.fromkeys(OF_THE_RUN, "is what the run itself decides; drop it")
    decided |= {name: f"is set by training.grpo.args.{own}" for name, own in OF_TRL.items()}
    if rule.rollouts == "server":
        decided = {name: why for name, why in decided.items() if name not in OF_SERVER}
        decided |= dict.fromkeys(OF_THE_RUNS_SERVER, "is what the run itself decides; drop it")
    if rule.trainer == "async_grpo":
        decided["max_model_len"] = "is the longest prompt and args.max_completion_length; drop it"
    _check_names(rule.vllm.args, known, "training.grpo.vllm.args", decided)
    _refuse(rollouts_fault(rule.vllm.args) or name_fault(rule.vllm.args), "training.grpo.vllm.args")
    if rule.rollouts == "server":
        _check_server(recipe)
    _check_trl(rule, workers)


def ranks_of(recipe: Recipe, device: str, workers: int) -> int:
    """Workers that train by grpo; on GPUs, those that a server leaves.

    Raises:
        EngineMissing: it leaves none.
    """
    training = recipe.training
    if device == "cpu" or training.algorithm != "grpo":
        return workers
    ranks = training.grpo.ranks(workers, recipe.engine.ranks)
    if ranks < 1:
        raise EngineMissing(
            f"training.grpo.vllm.gpus: is {training.grpo.own_gpus}, which leaves no GPU of {workers} workers to the "
            "trainer; lower it, or set training.grpo.rollouts to vllm, which shares the trainer's"
        )
    return ranks


def _check_server(recipe: Recipe) -> None:
    rule = recipe.training.grpo
    if recipe.compute.executor == "ray":
        raise EngineMissing(
            "training.grpo.rollouts: is server, which answers on the loopback of one machine, and compute.executor is "
            "ray; set it to vllm, which is on each node"
        )
    for name in sorted(OF_TRL.values()):
        if name in rule.args and name != OF_TRL["max_model_len"]:
            raise EngineMissing(
                f"training.grpo.args.{name}: is for rollouts: vllm, which shares the trainer's device; a server's own "
                "stands in training.grpo.vllm.args"
            )
    spread = [rule.vllm.spread(f"{kind}_parallel_size") for kind in ("tensor", "pipeline", "data")]
    if rule.vllm.gpus % math.prod(spread):
        raise EngineMissing(
            f"training.grpo.vllm.gpus: is {rule.vllm.gpus}, but its args spread the model over {math.prod(spread)}; "
            "change one of them"
        )


def _check_trl(rule: GRPORule, workers: int) -> None:
    """TRL would refuse these once models are loaded."""
    across = int(rule.args.get("vllm_tensor_parallel_size", 1))
    if workers % across:
        raise EngineMissing(
            f"training.grpo.args.vllm_tensor_parallel_size: is {across}, which {workers} workers are no multiple of, "
            "so that some would share no engine; change one of them"
        )
    mode = rule.args.get("vllm_importance_sampling_mode", "sequence_mask")
    corrects = rule.args.get("vllm_importance_sampling_correction", True)
    if rule.args.get("loss_type") == "vespo" and corrects and not str(mode).startswith("token_"):
        raise EngineMissing(
            "training.grpo.args.vllm_importance_sampling_mode: loss_type vespo takes token_truncate or token_mask "
            "alone; set one of them"
        )


def _arguments(field: str, otherwise: str) -> list[str]:
    """The names of all arguments of the vLLM that is here."""
    try:
        from vllm import EngineArgs
    except ImportError as error:
        raise EngineMissing(
            f"{field}: vLLM cannot be imported here ({error}); install it in this environment (`make vllm` makes one "
            f"with its CPU build) or {otherwise}"
        ) from error
    return [item.name for item in dataclasses.fields(EngineArgs)]


def _refuse(fault: str, field: str) -> None:
    if fault:
        raise EngineMissing(f"{field}.{fault}")


def _check_names(given: Mapping[str, Any], known: list[str], field: str, decided: Mapping[str, str]) -> None:
    for name in given:
        if name in decided:
            raise EngineMissing(f"{field}.{name}: {decided[name]}")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else "; see vLLM's EngineArgs"
            raise EngineMissing(f"{field}.{name}: vLLM has no such argument{hint}")
