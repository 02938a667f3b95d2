"""Sharded trainings by DeepSpeed: ZeRO-2 cuts gradients and optimiser states over the ranks, ZeRO-3 the weights, too.

Weights are held in float32, and layers compute in bfloat16 by torch's autocast where a training asks for that, as
without DeepSpeed: its own bfloat16 would round the masters at the start of each training. DeepSpeed's checkpoints are
pickles, so that none is written (`sharded.checkpoint`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from transformers import TrainerCallback

from selfplay.planning.memory import ZERO_BUCKET
from selfplay.trl_trainers.sharded.checkpoint import WEIGHT, counted
from selfplay.trl_trainers.sharded.fsdp import NotSharded

STAGES = {"zero2": 2, "zero3": 3}
OPTIMISERS = ("adamw_torch", "adamw_torch_fused", "sgd")
"""Those of which a state is a number for each weight: DeepSpeed cuts parameters where they lie, in flat parts."""
_settings: dict[str, Any] = {}
"""The settings by which models are loaded in parts, as long as transformers is to know of them."""


def begin(sharding: str, device: str) -> None:
    """Has DeepSpeed take this process' group and, by ZeRO-3, models be loaded in parts from now on until `end`."""
    if device == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed
    from transformers.integrations.deepspeed import HfDeepSpeedConfig

    # Else it would compile a program at the first use, for messages that a training does not send.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    # Else a reference model, which is prepared first, would be told that it is alone.
    deepspeed.init_distributed("gloo" if device == "cpu" else "nccl", auto_mpi_discovery=False, verbose=False)
    if sharding == "zero3":
        settings = {"zero_optimization": _cut(sharding), "train_micro_batch_size_per_gpu": 1}
        _settings["loading"] = HfDeepSpeedConfig(settings)


def end() -> None:
    """Has models be loaded whole again: what follows a training is done by one rank."""
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()
    _settings.clear()


def _cut(sharding: str) -> dict[str, Any]:
    found = {"stage": STAGES[sharding], "reduce_bucket_size": ZERO_BUCKET, "allgather_bucket_size": ZERO_BUCKET}
    if sharding == "zero2":
        return found
    # Else what is small would stay whole, and any model below a billion weights from one pass to the next.
    kept = dict.fromkeys(("stage3_param_persistence_threshold", "stage3_max_reuse_distance"), 0)
    return found | kept | {"stage3_prefetch_bucket_size": ZERO_BUCKET}


def arguments(sharding: str, in_bfloat16: bool, offload: bool, device: str) -> dict[str, Any]:
    """Arguments of transformers' TrainingArguments.

    Args:
        sharding: zero2 or zero3.
        in_bfloat16: whether layers compute in bfloat16.
        offload: whether gradients and states lie on the host.
        device: `cpu` or `cuda`.
    """
    cut = _cut(sharding)
    if offload:
        cut["offload_optimizer"] = {"device": "cpu", "pin_memory": device != "cpu"}
    batches = ("gradient_accumulation_steps", "train_micro_batch_size_per_gpu", "train_batch_size")
    return {
        "deepspeed": {
            "zero_optimization": cut,
            # DeepSpeed's own for a host would be compiled at its first use.
            "zero_force_ds_cpu_optimizer": False,
            # Each is a torch optimiser on the rank's part.
            "zero_allow_untested_optimizer": True,
            # Gradients are summed in float32.
            "torch_autocast": {"enabled": in_bfloat16, "dtype": "bfloat16", "lower_precision_safe_modules": []},
            **dict.fromkeys(("gradient_clipping", *batches), "auto"),
        },
        # Where transformers knew of it, DeepSpeed would round the weights.
        "bf16": False,
    }


def fault_of(args: Mapping[str, Any], sharding: str, by_vllm: bool = False) -> str:
    """The reason against a training by DeepSpeed, as the end of a sentence; empty without one."""
    if sharding not in STAGES:
        return ""
    optimiser = args.get("optim", OPTIMISERS[0])
    faults = {
        "needs deepspeed, which is not installed here; `pip install 'promptcot[zero]'`": find_spec("deepspeed") is None,
        f"has no {optimiser}, but {', '.join(OPTIMISERS)}; change optim": optimiser not in OPTIMISERS,
        "computes in float32 or bfloat16; remove fp16": args.get("fp16"),
        # TRL keeps them by the weights, of which a rank sees none.
        "could take another model's log-probabilities; remove precompute_ref_log_probs": (
            sharding == "zero3" and args.get("precompute_ref_log_probs")
        ),
        "has no sync of weights to vLLM here; set training.grpo.rollouts to transformers": by_vllm,
    }
    return next((f"{fault}, or take fsdp2" for fault, holds in faults.items() if holds), "")


class DemandCuts(TrainerCallback):
    """Ends a training before its first step where a rank holds more than its part."""

    def __init__(self, sharding: str, ranks: int) -> None:
        self._sharding, self._ranks = sharding, ranks

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **_: Any
    ) -> None:
        """Looks at the parameters, or of ZeRO-2 at the optimiser's.

        Raises:
            NotSharded: says how many numbers a rank holds.
        """
        parameters = list(model.parameters())
        if self._sharding == "zero3":
            whole = sum(getattr(parameter, "ds_numel", parameter.numel()) for parameter in parameters)
            held = sum(getattr(parameter, "ds_tensor", parameter).numel() for parameter in parameters)
        else:
            whole = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
            parts = getattr(getattr(optimizer, "optimizer", None), "single_partition_of_fp32_groups", None)
            held = whole if parts is None else sum(part.numel() for part in parts)
        # Parts are filled up, so that all are of one length.
        if held > whole / self._ranks + self._ranks * (len(parameters) + 1):
            raise NotSharded(
                f"compute.sharding is {self._sharding}, but a rank of {self._ranks} holds {held} of {whole} numbers: "
                "this version of DeepSpeed does not cut them here; set compute.sharding to none"
            )


class ZeroShards:
    """See `checkpoint.Shards`."""

    def __init__(self, network: Any, engine: Any) -> None:
        """
        Args:
            network: as it was before DeepSpeed wrapped it.
            engine: what DeepSpeed made of it.
        """
        self._network, self._cutter = network, engine.optimizer
        self._states = self._cutter.optimizer.state
        """Of torch's optimiser, by the rank's part of each group of parameters."""
        self._link()

    @property
    def _parts(self) -> list[Any]:
        by_group = ("fp32_partitioned_groups_flat", "single_partition_of_fp32_groups")
        found: list[Any] = next(getattr(self._cutter, name) for name in by_group if hasattr(self._cutter, name))
        return found

    def trained(self) -> Iterator[tuple[str, Any]]:
        """The parameters that are trained, by name."""
        return ((name, value) for name, value in self._network.named_parameters() if value.requires_grad)

    def whole(self, parameter: Any) -> dict[str, Any]:
        """A parameter in float32 as `weight`, and the optimiser's states of it."""
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        found = {WEIGHT: safe_get_full_fp32_param(parameter)}
        for key, value in self._states.get(self._parts[0], {}).items():
            if hasattr(value, "dim"):
                found[key] = safe_get_full_optimizer_state(parameter, key) if value.dim() else value
        return found

    def put(self, parameter: Any, values: dict[str, Any]) -> None:
        """Takes this rank's part of what `whole` gave."""
        from deepspeed import utils

        is_cut = hasattr(parameter, "ds_tensor")
        self._make_room({key: value for key, value in values.items() if key != WEIGHT})
        mine = {key: _part(parameter, value) if is_cut and value.dim() else value for key, value in values.items()}
        weight = mine.pop(WEIGHT)
        (parameter.ds_tensor if is_cut else parameter).data.copy_(weight)
        (utils.safe_set_local_fp32_param if is_cut else utils.safe_set_full_fp32_param)(parameter, weight)
        put_state = utils.safe_set_local_optimizer_state if is_cut else utils.safe_set_full_optimizer_state
        for key, value in mine.items():
            if value.dim():
                put_state(parameter, value, key)

    def _make_room(self, values: Mapping[str, Any]) -> None:
        """Has the states of all parts, which torch's optimiser makes at its first step."""
        import torch

        empty = [part for part in self._parts if not self._states.get(part)]
        for part in empty:
            self._states[part] = {
                key: torch.zeros_like(part) if value.dim() else counted(self._cutter.optimizer, value, part.device)
                for key, value in values.items()
            }
        if empty:
            self._link()

    def _link(self) -> None:
        """Has the parameters know their states, which DeepSpeed 0.19 tells those of the first group alone by ZeRO-2."""
        from deepspeed.utils import lazy_init_hp_params_optimizer_state

        if hasattr(self._cutter, "bit16_groups"):
            for group, part in zip(self._cutter.bit16_groups, self._parts, strict=True):
                lazy_init_hp_params_optimizer_state(group, part, self._states)


def _part(parameter: Any, value: Any) -> Any:
    """This rank's part of a tensor that is cut as a parameter is, filled up with zeros."""
    from torch import distributed
    from torch.nn.functional import pad

    length = parameter.ds_tensor.numel()
    first = distributed.get_rank() * length
    mine = value.flatten()[first : first + length]
    return pad(mine, (0, length - mine.numel()))


def gathered(network: Any, is_first: bool) -> dict[str, Any]:
    """The whole state of a network that was trained by ZeRO, in float32 on the CPU; all ranks must call this.

    Args:
        network: as it was before DeepSpeed wrapped it.
        is_first: whether this rank keeps what was gathered; the others get no tensors.
    """
    import torch
    from deepspeed.runtime.zero import GatheredParameters
    from deepspeed.utils import safe_get_full_fp32_param

    whole: dict[str, Any] = {}
    for name, value in network.state_dict(keep_vars=True).items():
        with GatheredParameters([value], enabled=hasattr(value, "ds_id") and not value.requires_grad):
            found = safe_get_full_fp32_param(value) if value.requires_grad else value
            if is_first:
                dtype = torch.float32 if found.is_floating_point() else found.dtype
                whole[name] = found.detach().to("cpu", dtype, copy=True)
    return whole
