"""Quantised engines before a run: names that vLLM knows, and weights that a training can change and hand over."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Collection, Mapping
from typing import Any

from selfplay.config.recipe import Recipe
from selfplay.config.section import ScratchModel
from selfplay.planning.number_formats import OF_FILES

WEIGHTS = ("quantization", "quantization_config")
"""Arguments of vLLM that make its weights smaller."""


def name_fault(args: Mapping[str, Any]) -> str:
    """The first unknown name of a format in arguments of vLLM, as the end of a field; empty without one."""
    for argument, known in (("quantization", _methods()), ("kv_cache_dtype", _caches())):
        given = args.get(argument)
        if given is not None and known and given not in known:
            near = difflib.get_close_matches(str(given), known, n=1)
            hint = f"did you mean `{near[0]}`" if near else f"it has {', '.join(known)}"
            return f"{argument}: is {str(given)[:40]}, which the vLLM that is here does not know; {hint}?"
    return ""


def _methods() -> Collection[str]:
    """The quantisations of the vLLM that is here; none where it has them at another place, and looks itself."""
    try:
        from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS
    except ImportError:
        return ()
    return tuple(QUANTIZATION_METHODS)


def _caches() -> Collection[str]:
    try:
        from vllm.config.cache import CacheDType
    except ImportError:
        return ()
    return typing.get_args(CacheDType)


def served_fault(recipe: Recipe) -> str:
    """Why the run's engine cannot read what the run trains, as the end of a field; empty where it can."""
    args = recipe.engine.args
    asked = args.get("quantization")
    if asked is None:
        return ""
    if asked in OF_FILES and (recipe.training.rounds or recipe.synthesises):
        return (
            f"quantization: is {asked}, which reads files that somebody quantised before, and this run trains models "
            "whose files are whole; take fp8, which vLLM makes of these as it opens them, or drop it: what a model's "
            "own files are quantised by they say themselves"
        )
    known = _computed_in(asked)
    for field, dtype in _dtypes(recipe).items():
        computes = args.get("dtype", dtype)
        if known and computes in ("float32", "float") and "float32" not in known:
            return (
                f"quantization: is {asked}, which computes in {' or '.join(known)}, and {field} is in float32; take "
                "another dtype for it, or drop the quantization"
            )
    return ""


def _dtypes(recipe: Recipe) -> dict[str, str]:
    """The number formats of the models that a run trains."""
    found: dict[str, str] = {"model": "float32" if isinstance(recipe.model, ScratchModel) else recipe.model.dtype}
    return found if recipe.generator is None else found | {"generator": recipe.generator.dtype}


def _computed_in(method: str) -> list[str]:
    """Number formats in which layers of a quantisation compute; none where vLLM has them at another place."""
    try:
        from vllm.model_executor.layers.quantization import get_quantization_config
    except ImportError:
        return []
    return [str(dtype).rpartition(".")[2] for dtype in get_quantization_config(method).get_supported_act_dtypes()]


def rollouts_fault(args: Mapping[str, Any]) -> str:
    """Why rollouts of grpo cannot be by such an engine, as the end of a field; empty where they can."""
    for name in WEIGHTS:
        if args.get(name) is not None:
            return (
                f"{name}: vLLM is sent the trainer's weights at every sync, and these do not go into quantised ones; "
                "drop it (kv_cache_dtype: fp8 may stay, which makes the cache smaller and leaves the weights)"
            )
    return ""


def training_fault(recipe: Recipe, field: str, method: str) -> str:
    """Why a model whose files hold quantised weights cannot stand in a field; empty where it can.

    Args:
        field: `model`, `generator`, or that of an engine, which is not trained.
        method: the quantisation that its configuration names.
    """
    as_policy = field == "model" and recipe.training.rounds > 0
    as_generator = field == ("generator" if recipe.generator is not None else "model") and recipe.synthesises
    if not method or not (as_policy or as_generator):
        return ""
    return (
        f"has weights that are quantised ({method}), and a training takes its steps on whole ones; name the model that "
        "it was made of"
    )
