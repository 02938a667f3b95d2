"""QLoRA: an adapter is trained on a base whose linear layers bitsandbytes holds in 4 bits, and kept for the whole base.

An adapter cannot be merged into quantised weights. So it is kept as it is, in float32, and what engines read is made of
the base as it stands on disk. That base is not quite the one that the adapter was trained on; the log says by how much
the held-out loss changed (`keeping`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selfplay.engines.base import ModelRef
from selfplay.engines.model_files import ADAPTER_WEIGHTS

ARGUMENT = "load_in_4bit"
"""Of TRL's `model_init_kwargs`."""
PACKS = "support_avx512bf16_for_cpu"
"""Attribute of bitsandbytes' layers: whether they pack themselves for this CPU."""


def wants_4bit(args: Mapping[str, Any]) -> bool:
    """Whether a trainer's arguments ask for a base in 4 bits."""
    settings = args.get("model_init_kwargs")
    return isinstance(settings, Mapping) and settings.get(ARGUMENT) is True


def is_quantised(network: Any) -> bool:
    """Whether a network's base is held in 4 bits."""
    return bool(getattr(network, "is_loaded_in_4bit", False))


def fault_of(args: Mapping[str, Any], lora: Any, lora_field: str, sharding: str, by_vllm: bool = False) -> str:
    """The reason against a base in 4 bits, as the end of a sentence about `model_init_kwargs`; empty without one."""
    if not wants_4bit(args):
        return ""
    if lora is None:
        return f"has {ARGUMENT}, but weights in 4 bits take no steps, and {lora_field} says no adapter; set that, too"
    if sharding != "none":
        return (
            f"has {ARGUMENT}, but compute.sharding is {sharding}, and weights in 4 bits are not cut into shards here; "
            "set one of them"
        )
    if by_vllm:
        return (
            f"has {ARGUMENT}, but training.grpo.rollouts has vLLM, which would be given weights in 4 bits for those "
            "of the model; set it to transformers"
        )
    return ""


def settings_for(dtype: Any) -> Any:
    """transformers' settings of the quantisation: NF4, its scales quantised as well (https://arxiv.org/abs/2305.14314).

    Args:
        dtype: torch's, in which layers compute.
    """
    from transformers import BitsAndBytesConfig

    with _without_foreign_kernels():
        import bitsandbytes  # noqa: F401
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def keep_differentiable(network: Any) -> None:
    """Has layers in 4 bits on a CPU keep a form that has gradients.

    On some CPUs bitsandbytes packs them anew at their first pass outside of training, as GRPO's rollouts are, and what
    is so packed passes on no gradient, without a word.
    """
    for module in network.modules():
        if hasattr(module, PACKS):
            setattr(module, PACKS, False)


@contextmanager
def _without_foreign_kernels() -> Iterator[None]:
    """Keeps bitsandbytes, while it is imported, from fetching a program of the hub where `kernels` is installed."""
    name = "kernels"
    known = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        if known is not None:
            sys.modules[name] = known


def exact_adapter(network: Any, model: ModelRef) -> None:
    """Has the adapter of a network on a quantised base in float32 again, which TRL rounds to bfloat16.

    Args:
        network: as TRL's trainer has it.
        model: what the training starts from; where it has an adapter, that one is read again.
    """
    import torch
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32)
    if model.trainable.base is not None:
        set_peft_model_state_dict(network, load_file(Path(model.trainable.path) / ADAPTER_WEIGHTS), "default")
