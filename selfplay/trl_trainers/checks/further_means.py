"""Arguments that save memory or time by means that are not always there: other packages, a GPU, another attention.

TRL looks for them once a model is loaded, hours into a run, and overlooks what only loads a model; here they are looked
for before anything is, and an attention is chosen for the model that is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from selfplay.trl_trainers.variants.quantised import ARGUMENT, wants_4bit
from verifiers.untrusted.shown import quoted

BITSANDBYTES = "bitsandbytes"
PACKAGES = {
    BITSANDBYTES: "bitsandbytes",
    "torchao": "torchao",
    "galore_torch": "galore-torch",
    "apollo_torch": "apollo-torch",
    "lomo_optim": "lomo-optim",
    "grokadamw": "grokadamw",
    "schedulefree": "schedulefree",
    "optimi": "torch-optimi",
    "torchdistx": "torchdistx",
    "torch_xla": "torch-xla",
    "torch_npu": "torch-npu",
    "liger_kernel": "liger-kernel",
    "triton": "triton",
    "flash_attn": "flash-attn",
    "flash_attn_interface": "flash-attn-3",
}
"""The distribution of each package, by the name under which it is imported."""
OPTIMISERS = {
    "adamw_torch_4bit": "torchao",
    "adamw_torch_8bit": "torchao",
    "adamw_torch_xla": "torch_xla",
    "adamw_torch_npu_fused": "torch_npu",
    "adamw_anyprecision": "torchdistx",
    "grokadamw": "grokadamw",
    "stable_adamw": "optimi",
    "lomo": "lomo_optim",
    "adalomo": "lomo_optim",
    **dict.fromkeys(
        (
            *("adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "paged_adamw_32bit"),
            *("ademamix", "ademamix_8bit", "paged_ademamix_8bit", "paged_ademamix_32bit"),
            *("lion_8bit", "lion_32bit", "paged_lion_8bit", "paged_lion_32bit"),
            *("rmsprop_bnb", "rmsprop_bnb_8bit", "rmsprop_bnb_32bit"),
        ),
        BITSANDBYTES,
    ),
    **{f"galore_{name}{how}": "galore_torch" for name in ("adamw", "adafactor") for how in ("", "_layerwise")},
    **{f"galore_adamw_8bit{how}": "galore_torch" for how in ("", "_layerwise")},
    **{f"apollo_adamw{how}": "apollo_torch" for how in ("", "_layerwise")},
    **{f"schedule_free_{name}": "schedulefree" for name in ("radam", "adamw", "sgd")},
}
"""The package of each optimiser that has one; the others are torch's and transformers' own."""
ATTENTION = {
    "eager": "",
    "sdpa": "",
    "flex_attention": "",
    "flash_attention_2": "flash_attn",
    "flash_attention_3": "flash_attn_interface",
}
"""Attentions that may be chosen, and the package of each; others would fetch code from the hub."""
OTHERWISE_QUANTISED = ("load_in_8bit", "quantization_config")


def means_faults(args: Mapping[str, Any]) -> dict[str, str]:
    """Faults of what a trainer's arguments need and lack here, as the ends of sentences, by name."""
    found = {name: fault(args[name]) for name, fault in _FAULTS.items() if args.get(name)}
    return {name: fault for name, fault in found.items() if fault}


def set_attention(network: Any, args: Mapping[str, Any]) -> None:
    """Gives a loaded network the attention that a trainer's arguments name, if they name one."""
    chosen = (args.get("model_init_kwargs") or {}).get("attn_implementation")
    if chosen is not None:
        network.set_attn_implementation(chosen)


def _missing(package: str, otherwise: str) -> str:
    if not package or find_spec(package) is not None:
        return ""
    return f"needs {package}, which is not installed here; `pip install {PACKAGES[package]}`, or {otherwise}"


def _optimiser(name: Any) -> str:
    return _missing(OPTIMISERS.get(str(name), ""), "take adamw_torch or adafactor")


def _sees_gpu() -> bool:
    import torch

    return bool(torch.accelerator.is_available())


def _liger(_: Any) -> str:
    absent = _missing("liger_kernel", "leave it out") or _missing("triton", "leave it out")
    return absent or ("" if _sees_gpu() else "has kernels for GPUs alone, and torch sees none here; leave it out")


def _liger_config(settings: Any) -> str:
    if isinstance(settings, Mapping) and settings.get("fused_linear_cross_entropy"):
        return (
            "has fused_linear_cross_entropy, which TRL refuses, since its own loss computes logits a tile at a time; "
            "leave that out"
        )
    return ""


def _offloading(_: Any) -> str:
    return "" if _sees_gpu() else "moves activations from a GPU to the host, and torch sees no GPU here; leave it out"


def _model(settings: Any) -> str:
    if not isinstance(settings, Mapping):
        return "must be a mapping, such as {attn_implementation: sdpa}"
    for name in settings:
        if name in OTHERWISE_QUANTISED:
            return f"has {name}; the one quantisation here is {ARGUMENT}: true, beside an adapter"
        if name not in ("attn_implementation", ARGUMENT):
            return (
                f"has {quoted(name, 40)}, and takes attn_implementation and {ARGUMENT} alone: the recipe's models say "
                "the rest"
            )
    if ARGUMENT in settings and not isinstance(settings[ARGUMENT], bool):
        return f"has the {ARGUMENT} {quoted(settings[ARGUMENT], 40)}, but must say true, or nothing of it"
    if wants_4bit({"model_init_kwargs": settings}) and (absent := _missing(BITSANDBYTES, "leave it out")):
        return f"has {ARGUMENT}, which {absent}"
    return _attention(settings["attn_implementation"]) if "attn_implementation" in settings else ""


def _attention(chosen: Any) -> str:
    if chosen not in ATTENTION:
        known = ", ".join(ATTENTION)
        return f"has the attn_implementation {quoted(chosen, 40)}; there are {known}"
    if chosen == "flex_attention" and not _sees_gpu():
        return "has the attn_implementation flex_attention, which torch can train on GPUs alone; take sdpa"
    return _missing(ATTENTION[chosen], "take sdpa")


_FAULTS: Mapping[str, Callable[[Any], str]] = {
    "optim": _optimiser,
    "use_liger_kernel": _liger,
    "liger_kernel_config": _liger_config,
    "activation_offloading": _offloading,
    "model_init_kwargs": _model,
}
