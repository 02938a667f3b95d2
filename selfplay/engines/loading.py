"""Loads models and tokenizers inside a worker, and keeps the last few."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.engines.base import ModelRef
from verifiers.untrusted.files import demand_folder
from verifiers.untrusted.shown import shown

KEPT = 3
ADAPTER_NAME = 16
"""Characters of an adapter's fingerprint that name it within its base."""
_on_forget: list[Callable[[], None]] = []
_loaded: OrderedDict[str, tuple[Any, Any]] = OrderedDict()
_wrapped: dict[str, Any] = {}
"""The models that peft made of those with adapters."""


class ModelError(RuntimeError):
    """A model cannot be loaded; the message names it and the remedy."""


def load(model: ModelRef, device: str) -> tuple[Any, Any]:
    """The model in evaluation mode and its tokenizer (left padding).

    Models that are adapters of one base share it: it is loaded once, beside a copy that has none.
    """
    if model.base is None:
        return _kept(_key(model), model, device)
    key = f"{_key(model.base)}, with adapters"
    base, tokenizer = _kept(key, model.base, device)
    _put_in_force(key, base, model)
    return base, tokenizer


def _key(model: ModelRef) -> str:
    return f"{model.path}@{model.fingerprint}, {model.dtype}"


def _kept(key: str, model: ModelRef, device: str) -> tuple[Any, Any]:
    if key not in _loaded:
        while len(_loaded) >= (KEPT if device == "cpu" else 1):
            evicted, _ = _loaded.popitem(last=False)
            _wrapped.pop(evicted, None)
        network, tokenizer = load_fresh(model)
        _loaded[key] = (network.to(device).eval(), tokenizer)
    _loaded.move_to_end(key)
    return _loaded[key]


def _put_in_force(key: str, base: Any, model: ModelRef) -> None:
    """Makes the base compute with this adapter; the last few stay in memory."""
    from peft import PeftModel

    name = model.fingerprint[:ADAPTER_NAME]
    wrapped = _wrapped.get(key)
    if wrapped is None:
        _wrapped[key] = wrapped = PeftModel.from_pretrained(base, model.path, adapter_name=name)
    elif name not in wrapped.peft_config:
        wrapped.load_adapter(model.path, adapter_name=name)
    wrapped.set_adapter(name)
    for old in list(wrapped.peft_config)[:-KEPT]:
        wrapped.delete_adapter(old)
    wrapped.eval()


def load_fresh(model: ModelRef) -> tuple[Any, Any]:
    """A model of one's own to train, on the CPU, and its tokenizer.

    Raises:
        ModelError: it is not there, or not in safetensors.
    """
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    _demand_files(model.path)
    dtype = "auto" if model.dtype == "auto" else getattr(torch, model.dtype)
    try:
        network = AutoModelForCausalLM.from_pretrained(
            model.path, revision=model.revision or "main", dtype=dtype, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the model {model.path!r} cannot be loaded ({error}); give a hub name with safetensors weights or a folder"
        ) from error
    tokenizer = load_tokenizer(model)
    # A checkpoint's sampling defaults (a repetition penalty, say) would make samples of another distribution.
    own = network.generation_config
    network.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
    )
    return network, tokenizer


def load_tokenizer(model: ModelRef) -> Any:
    """A model's tokenizer alone, with left padding.

    Raises:
        ModelError: it is not there.
    """
    from transformers import AutoTokenizer

    _demand_files(model.path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(model.path, revision=model.revision or "main", padding_side="left")
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the tokenizer of {model.path!r} cannot be loaded ({error}); give a hub name or a folder"
        ) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


@dataclass(frozen=True, slots=True)
class KnownModel:
    """Facts about a model that need no weights."""

    architecture: str
    chat_template: bool


def look_up(name: str, revision: str | None) -> KnownModel | None:
    """Reads a model's configuration and tokenizer; None when it is not on this machine and no hub can be reached.

    Raises:
        ModelError: it is a folder without a model, or the hub does not know it.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled
    from transformers import AutoConfig, AutoTokenizer

    _demand_files(name)
    try:
        config = AutoConfig.from_pretrained(name, revision=revision or "main")
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision or "main")
    except Exception as error:  # what the library raises at a file that it cannot use depends on what is wrong
        causes = [error, error.__cause__, error.__context__]
        unreachable = (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError)
        if not Path(name).exists() and any(isinstance(cause, unreachable) for cause in causes):
            return None
        reason = shown(" ".join(str(error).split()) or type(error).__name__)
        raise ModelError(f"{name!r} cannot be read ({reason}); give a hub name or a folder") from error
    known = config.architectures if isinstance(config.architectures, list) else None
    return KnownModel(str(known[0] if known else config.model_type), bool(tokenizer.chat_template))


def _demand_files(name: str) -> None:
    """Refuses a folder with a pipe or a device in it, at which the library would wait."""
    if Path(name).is_dir():
        demand_folder(name, ModelError, "take it out of the model's folder")


def load_for_training(model: ModelRef, lora: bool) -> tuple[Any, Any]:
    """A model to train: all weights in float32, since steps of 1e-6 are lost in bfloat16; as it is under LoRA.

    A model that is an adapter comes as peft's, with the adapter, which alone is trained.
    """
    if model.base is None:
        network, tokenizer = load_fresh(model if lora else dataclasses.replace(model, dtype="float32"))
        if model.revision is not None and not lora:
            _name_by_folder(network, model)
        return network, tokenizer
    from peft import PeftModel

    network, tokenizer = load_fresh(model.base)
    return PeftModel.from_pretrained(network, model.path, is_trainable=True), tokenizer


def _name_by_folder(network: Any, model: ModelRef) -> None:
    """Has a model's configuration name the folder of its revision: TRL loads the reference model by that name alone,
    and would take the newest revision for it."""
    from transformers.utils import cached_file

    file = cached_file(model.path, "config.json", revision=model.revision)
    network.config._name_or_path = str(Path(file).parent)


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
    _wrapped.clear()
    free_engines()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
