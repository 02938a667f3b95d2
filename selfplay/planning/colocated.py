"""GRPO with vLLM beside the trainer on each device, or on devices of its own: what both take, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfplay.config.rules import GRPORule
from selfplay.planning.machine import GIB, Machine
from selfplay.planning.memory import ENGINE_BYTES, ServedModel, Terms, served_terms, standing_terms
from selfplay.planning.need import Named, Need
from selfplay.planning.needs import ROW_BYTES, SHARDING, SHARE_OF_VLLM, Needs
from selfplay.planning.number_formats import WIDTH, Formats, served_formats
from selfplay.planning.speed import decoding_speed

SHARE_IN_TRL = 0.3
"""`vllm_gpu_memory_utilization` where a recipe does not say it."""
CPU_CACHE = GIB
"""Bytes of the cache on a CPU (VLLM_CPU_KVCACHE_SPACE)."""


def rolls_by_vllm(needs: Needs, stage: str, model: Named, rule: GRPORule, how: Mapping[str, Any]) -> Need:
    """The rollouts by vLLM, awake, beside a trainer that holds its weights and its optimiser's states.

    Args:
        how: as for `Needs.rolls`.
    """
    args, machine = rule.args, needs.machine
    step = needs.step(model, args, how)
    longest = how["prompt"] + how["completion"]
    window = min(int(args.get("vllm_max_model_length") or longest), model.sizes.positions)
    share = share_of(machine, model, args)
    formats = _formats(model, rule)
    ranks, beside = int(args.get("vllm_tensor_parallel_size", 1)), ENGINE_BYTES[machine.device]
    served = served_terms(model.sizes, formats, share, window, ranks, beside)
    terms: Terms = {"engine": share} | standing_terms(step)
    mean = how["mean"] - how["prompt"]
    passes = int(args.get("steps_per_generation") or args.get("gradient_accumulation_steps", 1))
    together = min(served.cache_tokens / how["mean"], step.sequences * passes)
    tokens = (how["prompt"] + mean / 2, 1)
    return Need(
        stage=stage,
        what="rollouts",
        terms=terms,
        limit=machine.usable,
        tokens=int(how["sequences"] * mean),
        speed=decoding_speed(needs.rates, machine.card, model.name, model.sizes, formats, tokens, max(together, 1.0)),
        devices=needs.workers,
        stays=int(how["sequences"] * mean * ROW_BYTES),
        fields=("training.grpo.args.vllm_gpu_memory_utilization", SHARDING, *how["lengths"], model.lora_field),
        notes=_notes(served, share, window, longest),
    )


def rolls_by_server(needs: Needs, stage: str, model: Named, rule: GRPORule, how: Mapping[str, Any]) -> Need:
    """The rollouts by a server on devices of its own; on a CPU it is one process more.

    Args:
        needs: of the recipe.
        stage: its name.
        model: the policy.
        rule: the recipe's section.
        how: as for `Needs.rolls`.
    """
    machine, args = needs.machine, rule.vllm.args
    longest, mean = how["prompt"] + how["completion"], how["mean"] - how["prompt"]
    window = min(int(rule.args.get("vllm_max_model_length") or longest), model.sizes.positions)
    gpus, formats = rule.own_gpus if machine.device == "cuda" else 1, _formats(model, rule)
    ranks = gpus // rule.vllm.spread("data_parallel_size") or 1
    share = server_share(machine, model, args)
    served = served_terms(model.sizes, formats, share, window, ranks, ENGINE_BYTES[machine.device])
    passes = int(rule.args.get("steps_per_generation") or rule.args.get("gradient_accumulation_steps", 1))
    batch = int(rule.args.get("per_device_train_batch_size", 8)) * passes * needs.beside(rule).workers
    together = max(min(served.cache_tokens / how["mean"], batch / gpus * ranks), 1.0)
    tokens = (how["prompt"] + mean / 2, 1)
    return Need(
        stage=stage,
        what="rollouts",
        terms=served.terms,
        limit=share,
        tokens=int(how["sequences"] * mean),
        speed=decoding_speed(needs.rates, machine.card, model.name, model.sizes, formats, tokens, together),
        devices=gpus,
        stays=int(how["sequences"] * mean * ROW_BYTES),
        fields=tuple(how["lengths"]),
        notes=_notes(served, share, window, longest),
    )


def server_share(machine: Machine, model: Named, args: Mapping[str, Any]) -> int:
    """Bytes of one of its devices that a server takes at once."""
    if machine.device == "cpu":
        return share_of(machine, model, {})
    return int(machine.device_bytes * float(args.get("gpu_memory_utilization", SHARE_OF_VLLM)))


def _notes(served: ServedModel, share: int, window: int, longest: int) -> tuple[str, ...]:
    notes = []
    if window < longest:
        notes.append(f"vLLM reads {window} tokens, and a prompt with its completion has {longest}")
    taken = sum(served.terms.values())
    if taken > share:
        notes.append(
            f"vLLM's share is {share / GIB:.1f} GiB, and its weights and one longest sequence take {taken / GIB:.1f}"
        )
    return tuple(notes)


def _formats(model: Named, rule: GRPORule) -> Formats:
    return served_formats(model.dtype, model.sizes.stored, rule.vllm.args, (model.field, "training.grpo.vllm.args"))


def share_of(machine: Machine, model: Named, args: Mapping[str, Any]) -> int:
    """Bytes of one device that vLLM takes at once."""
    if machine.device == "cpu":
        return model.sizes.parameters * WIDTH[model.dtype] + ENGINE_BYTES["cpu"] + CPU_CACHE
    return int(machine.device_bytes * float(args.get("vllm_gpu_memory_utilization", SHARE_IN_TRL)))


def beside_training(machine: Machine, model: Named, args: Mapping[str, Any]) -> Terms:
    """Bytes that the engine holds while the trainer steps: all of its share, or what sleep leaves of it."""
    sleeps = args.get("vllm_enable_sleep_mode", machine.device == "cuda")
    return {"engine": ENGINE_BYTES[machine.device] if sleeps else share_of(machine, model, args)}
