"""Values that a trainer would take and learn nothing from, and choices that it would refuse at its first step alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from selfplay.trl_trainers.checks.ranges import is_number

CHOICES: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "sft": {
        "loss_type": ("nll", "chunked_nll", "dft"),
        "packing_strategy": ("bfd", "bfd_split", "wrapped"),
        "truncation_mode": ("keep_start", "keep_end"),
    },
    "dpo": {
        "loss_type": (
            *("sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot"),
            *("aot_unpaired", "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm"),
        ),
        "f_divergence_type": ("reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"),
        "truncation_mode": ("keep_start", "keep_end"),
    },
    "grpo": {
        "loss_type": ("grpo", "dr_grpo", "dapo", "bnpo", "cispo", "luspo", "sapo", "vespo"),
        "scale_rewards": ("group", "batch", "none", True, False),
        "importance_sampling_level": ("token", "sequence"),
        "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
        "vllm_importance_sampling_mode": ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"),
    },
    "async_grpo": {},
    "lora": {"bias": ("none", "all", "lora_only")},
}
"""The values that there are, by kind of training and argument."""
GREEDY = "which draws the same completion each time, so that a group has nothing to compare"


def learning_faults(kind: str, args: Mapping[str, Any]) -> dict[str, str]:
    """The faults of such values among the arguments of a trainer, as the end of a sentence, by name.

    Args:
        kind: sft, dpo, grpo or async_grpo, or lora for peft's arguments.
        args: what the recipe says.
    """
    faults = {name: _choice(args[name], known) for name, known in CHOICES[kind].items() if name in args}
    rules = _RULES.get(kind, {})
    faults |= {name: rules[name](args[name]) or faults.get(name, "") for name in args if name in rules}
    return {name: fault for name, fault in faults.items() if fault}


def _choice(value: Any, known: tuple[Any, ...]) -> str:
    for one in value if isinstance(value, list) else [value]:
        if not any(one == other and type(one) is type(other) for other in known):
            return f"but must be one of {', '.join(map(str, known))}"
    return ""


def _no_loss(value: Any) -> str:
    return "which names no loss, so that nothing is learnt; take [sigmoid], or leave it out" if value == [] else ""


def _weighs_nothing(value: Any) -> str:
    nothing = isinstance(value, list) and all(is_number(one) and one == 0 for one in value)
    return "which weighs nothing, so that nothing is learnt; take [1.0], or leave it out" if nothing else ""


def _no_preference(value: Any) -> str:
    if is_number(value) and value == 0:
        return "which makes a pair's loss the same whatever the policy prefers, so that nothing is learnt; take 0.1"
    return ""


def _unsure(value: Any) -> str:
    if is_number(value) and value >= 0.5:
        return "which takes a pair to be the wrong way round as often as not, so that nothing is learnt; take less"
    return ""


def _clips_all(value: Any) -> str:
    if is_number(value) and value <= 1:
        return "which cuts off what has not changed at all, so that nothing is learnt; take more than 1 + epsilon"
    return ""


def _one_token(value: Any) -> str:
    return f"{GREEDY}; leave it out" if is_number(value) and value == 1 else ""


def _alone(value: Any) -> str:
    return "which leaves a completion nothing to be compared with; take 2 or more" if value == 1 else ""


def _generation(value: Any) -> str:
    settings = value if isinstance(value, Mapping) else {}
    if settings.get("do_sample") is False or settings.get("temperature") == 0:
        return f"{GREEDY}; leave do_sample and temperature out of it"
    return next((fault for name in ("top_k", "min_p") if (fault := _one_token(settings.get(name)))), "")


_RULES: Mapping[str, Mapping[str, Callable[[Any], str]]] = {
    "dpo": {
        "beta": _no_preference,
        "label_smoothing": _unsure,
        "loss_type": _no_loss,
        "loss_weights": _weighs_nothing,
    },
    "grpo": {
        "delta": _clips_all,
        "reward_weights": _weighs_nothing,
        "top_k": _one_token,
        "min_p": _one_token,
        "generation_kwargs": _generation,
    },
    "async_grpo": {"top_k": _one_token, "min_p": _one_token, "num_generations": _alone},
}
