"""Loads models and tokenizers inside a worker, and keeps the last few."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.engines.base import ModelRef

KEPT = 3
_on_forget: list[Callable[[], None]] = []
_loaded: OrderedDict[str, tuple[Any, Any]] = OrderedDict()


class ModelError(RuntimeError):
    """A model cannot be loaded; the message names it and the remedy."""


def load(model: ModelRef, device: str) -> tuple[Any, Any]:
    """The model in evaluation mode and its tokenizer (left padding)."""
    key = f"{model.path}@{model.fingerprint}"
    if key not in _loaded:
        while len(_loaded) >= (KEPT if device == "cpu" else 1):
            _loaded.popitem(last=False)
        network, tokenizer = load_fresh(model)
        _loaded[key] = (network.to(device).eval(), tokenizer)
    _loaded.move_to_end(key)
    return _loaded[key]


def load_fresh(model: ModelRef) -> tuple[Any, Any]:
    """A model of one's own to train, on the CPU, and its tokenizer.

    Raises:
        ModelError: it is not there, or not in safetensors.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    dtype = "auto" if model.dtype == "auto" else getattr(torch, model.dtype)
    try:
        network = AutoModelForCausalLM.from_pretrained(
            model.path, revision=model.revision or "main", dtype=dtype, use_safetensors=True
        )
        tokenizer = AutoTokenizer.from_pretrained(model.path, revision=model.revision or "main", padding_side="left")
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the model {model.path!r} cannot be loaded ({error}); give a hub name with safetensors weights or a folder"
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    # A checkpoint's sampling defaults (a repetition penalty, say) would make samples of another distribution.
    own = network.generation_config
    network.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
    )
    return network, tokenizer


@dataclass(frozen=True, slots=True)
class Known:
    """What can be told of a model without its weights."""

    architecture: str
    chat_template: bool


def look_up(name: str, revision: str | None) -> Known | None:
    """Reads a model's configuration and tokenizer; None when it is not on this machine and no hub can be reached.

    Raises:
        ModelError: it is a folder without a model, or the hub does not know it.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(name, revision=revision or "main")
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision or "main")
    except (OSError, ValueError) as error:
        causes = [error, error.__cause__, error.__context__]
        unreachable = (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError)
        if not Path(name).exists() and any(isinstance(cause, unreachable) for cause in causes):
            return None
        reason = str(error).splitlines()[0]
        raise ModelError(f"{name!r} cannot be read ({reason}); give a hub name or a folder") from error
    return Known(config.architectures[0] if config.architectures else config.model_type, bool(tokenizer.chat_template))


def load_for_training(model: ModelRef, lora: bool) -> tuple[Any, Any]:
    """A model to train: all weights in float32, since steps of 1e-6 are lost in bfloat16; as it is under LoRA."""
    return load_fresh(model if lora else dataclasses.replace(model, dtype="float32"))


def on_forget(free: Callable[[], None]) -> None:
    """Has `forget_all` also call a function that frees what another engine holds."""
    _on_forget.append(free)


def free_engines() -> None:
    """Frees what engines of other libraries hold."""
    for free in _on_forget:
        free()


def forget_all() -> None:
    """Frees the models kept, before a training needs the memory."""
    import gc

    import torch

    _loaded.clear()
    free_engines()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
