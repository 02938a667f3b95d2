"""Configurations of models: as their folders have them, or with a longer context by YaRN.

YaRN (Peng and others, 2023, arXiv 2309.00071) scales a model's rotary positions by a factor, so that so many times as
many tokens lie within what it was trained on. How that is computed is in transformers and in vLLM; here it is only said
to them, in the words of a configuration.
"""

from __future__ import annotations

from typing import Any

from selfplay.engines.base import ModelRef
from selfplay.engines.model_files import UNTRUSTED, ModelError, told_as

PLAIN = "default"
"""The kind of rotary positions that nothing scales."""


def configuration(model: ModelRef) -> Any:
    """transformers' configuration of a whole model, with its positions as they are to be.

    Raises:
        ModelError: there is none, or its positions cannot be stretched.
    """
    config = _as_kept(model)
    for name, value in stretched_settings(model).items():
        setattr(config, name, value)
    return config


def stretched_settings(model: ModelRef) -> dict[str, Any]:
    """The settings of a model's configuration that are replaced; none where it is not stretched.

    Raises:
        ModelError: it has not one kind of rotary positions, or they are scaled already.
    """
    if model.stretch == 1:
        return {}
    config, remedy = _as_kept(model), f"leave out yarn={model.stretch:g}"
    rope, longest = getattr(config, "rope_parameters", None), getattr(config, "max_position_embeddings", None)
    if not isinstance(rope, dict) or "rope_theta" not in rope or not isinstance(longest, int):
        raise ModelError(f"{model.path}: has not one kind of rotary positions, which YaRN stretches; {remedy}")
    if (kind := rope.get("rope_type", PLAIN)) != PLAIN:
        raise ModelError(f"{model.path}: its config.json scales its positions already ({kind}); {remedy}")
    scaled = {"rope_type": "yarn", "factor": model.stretch, "original_max_position_embeddings": longest}
    return {"rope_parameters": rope | scaled, "max_position_embeddings": int(longest * model.stretch)}


def _as_kept(model: ModelRef) -> Any:
    from transformers import AutoConfig

    with told_as(f"the model {model.path!r}", "give a hub name or a folder"):
        return AutoConfig.from_pretrained(model.path, revision=model.revision or "main", **UNTRUSTED)
