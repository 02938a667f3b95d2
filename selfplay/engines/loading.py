"""Loads models and tokenizers inside a worker, and keeps the last few."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.engines.base import ModelRef
from selfplay.engines.configurations import configuration
from selfplay.engines.model_files import (
    ADAPTER_WEIGHTS,
    LONGEST_NAME,
    UNTRUSTED,
    ModelError,
    demand_all,
    judge_adapter,
    load_network,
    told_as,
)
from selfplay.run.hub import offline_without_hub
from verifiers.untrusted.files import demand_folder

KEPT = 3
ADAPTER_NAME = 16
"""Characters of an adapter's fingerprint that name it within its base."""
_on_forget: list[Callable[[], None]] = []
_loaded: OrderedDict[str, tuple[Any, Any]] = OrderedDict()
_wrapped: dict[str, Any] = {}
"""The models that peft made of those with adapters."""


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
    return f"{model.path}@{model.fingerprint}, {model.dtype}, x{model.stretch:g}"


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
    name = model.fingerprint[:ADAPTER_NAME]
    _wrapped[key] = wrapped = _adapted(_wrapped.get(key, base), model, name)
    wrapped.set_adapter(name)
    for old in list(wrapped.peft_config)[:-KEPT]:
        wrapped.delete_adapter(old)
    wrapped.eval()


def _adapted(network: Any, model: ModelRef, name: str, trained: bool = False) -> Any:
    """A base, or what peft has made of it, with an adapter whose tensors are all there.

    Raises:
        ModelError: it is not in safetensors, or some are missing, too many or of another shape.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import safe_open

    with told_as(f"the adapter {model.path!r}", "delete the stage that made it and run again"):
        judge_adapter(Path(model.path))
        if not isinstance(network, PeftModel):
            network = PeftModel.from_pretrained(network, model.path, adapter_name=name, is_trainable=trained)
        elif name not in network.peft_config:
            network.load_adapter(model.path, adapter_name=name)
        else:
            return network
        with safe_open(Path(model.path) / ADAPTER_WEIGHTS, "pt") as file:
            there = set(file.keys())
        wanted = set(get_peft_model_state_dict(network, adapter_name=name))
        gaps = {"missing_keys": wanted - there, "unexpected_keys": there - wanted, "mismatched_keys": ()}
        demand_all(f"the adapter {model.path!r}", gaps)
    return network


def load_fresh(model: ModelRef, quantised: Callable[[Any], Any] | None = None, empty: bool = False) -> tuple[Any, Any]:
    """A model of one's own to train, on the CPU, and its tokenizer.

    Args:
        model: which one.
        quantised: makes transformers' settings of a quantisation of a number format; it puts the model on its GPU.
        empty: whether its weights are left where they are, since another rank has them; it is in float32.

    Raises:
        ModelError: it is not there, not in safetensors, or not whole.
    """
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    _demand_files(model.path)
    dtype = "auto" if model.dtype == "auto" else getattr(torch, model.dtype)
    how: dict[str, Any] = {"dtype": dtype}
    if model.stretch != 1:
        how["config"] = configuration(model)
    if quantised is not None:
        how["quantization_config"] = quantised(getattr(torch, number_format(model)))
    network = room_for(model) if empty else load_network(AutoModelForCausalLM, model.path, model.revision, **how)
    tokenizer = load_tokenizer(model)
    # A checkpoint's sampling defaults (a repetition penalty, say) would make samples of another distribution.
    own = network.generation_config
    network.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
    )
    return network, tokenizer


def room_for(model: ModelRef) -> Any:
    """A network in float32 whose weights nobody has written yet, so that they take no memory; its buffers are right."""
    import torch
    from accelerate import init_empty_weights
    from transformers import AutoModelForCausalLM, GenerationConfig

    with init_empty_weights(include_buffers=False):
        network = AutoModelForCausalLM.from_config(configuration(model), dtype=torch.float32)
    for module in network.modules():
        for name, value in module.named_parameters(recurse=False):
            # accelerate tells parameters apart by their places, of which those without numbers have none.
            setattr(module, name, torch.nn.Parameter(torch.empty_like(value, device="cpu"), value.requires_grad))
    network.tie_weights()
    try:
        network.generation_config = GenerationConfig.from_pretrained(model.path, revision=model.revision or "main")
    except OSError:  # transformers' own way to tell that there is none, where what the configuration says holds
        return network
    return network


def load_tokenizer(model: ModelRef) -> Any:
    """A model's tokenizer alone, with left padding.

    Raises:
        ModelError: it is not there.
    """
    from transformers import AutoTokenizer

    _demand_files(model.path)
    with told_as(f"the tokenizer of {model.path!r}", "give a hub name or a folder"):
        revision = model.revision or "main"
        tokenizer = AutoTokenizer.from_pretrained(model.path, revision=revision, padding_side="left", **UNTRUSTED)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


@dataclass(frozen=True, slots=True)
class KnownModel:
    """Facts about a model that need no weights."""

    architecture: str
    chat_template: bool
    quantised: str
    """The method by which its weights are; empty where they are whole."""


def look_up(name: str, revision: str | None) -> KnownModel | None:
    """Reads a model's configuration and tokenizer; None when it is not on this machine and no hub can be reached.

    Raises:
        ModelError: it is a folder without a model, or the hub does not know it.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled
    from transformers import AutoConfig, AutoTokenizer

    _demand_files(name)
    if not Path(name).is_dir():
        offline_without_hub()
    try:
        with told_as(repr(name), "give a hub name or a folder"):
            config = AutoConfig.from_pretrained(name, revision=revision or "main", **UNTRUSTED)
            tokenizer = AutoTokenizer.from_pretrained(name, revision=revision or "main", **UNTRUSTED)
    except ModelError as error:
        cause = error.__cause__
        causes = [cause, cause and cause.__cause__, cause and cause.__context__]
        unreachable = (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError)
        if not Path(name).exists() and any(isinstance(cause, unreachable) for cause in causes):
            return None
        raise
    known = config.architectures if isinstance(config.architectures, list) else None
    return KnownModel(str(known[0] if known else config.model_type), bool(tokenizer.chat_template), _quantised(config))


def _quantised(config: Any) -> str:
    said = getattr(config, "quantization_config", None)
    return str(said.get("quant_method", "quantised") if isinstance(said, dict) else said or "")[:LONGEST_NAME]


def _demand_files(name: str) -> None:
    """Refuses a folder with a pipe or a device in it, at which the library would wait."""
    if Path(name).is_dir():
        demand_folder(name, ModelError, "take it out of the model's folder")


def load_for_training(
    model: ModelRef, lora: bool, quantised: Callable[[Any], Any] | None = None, empty: bool = False
) -> tuple[Any, Any]:
    """A model to train: all weights in float32, since steps of 1e-6 are lost in bfloat16; as it is under LoRA.

    It comes from its masters where it has any. A model that is an adapter comes as peft's, with the adapter, which
    alone is trained. For `quantised`, which LoRA alone may have, and `empty` see `load_fresh`.
    """
    start = model.trainable
    if start.base is None:
        network, tokenizer = load_fresh(
            start if lora else dataclasses.replace(start, dtype="float32"), quantised, empty
        )
        if start.revision is not None and not lora:
            _name_by_folder(network, start)
        return network, tokenizer
    network, tokenizer = load_fresh(start.base, quantised, empty)
    return _adapted(network, start, "default", trained=True), tokenizer


def load_adapted(folder: Path, base: ModelRef) -> Any:
    """A base in float32 on the CPU with the adapter of a folder, which can be merged into it."""
    network, _ = load_fresh(dataclasses.replace(base, dtype="float32"))
    return _adapted(network, ModelRef.local(folder, "", "float32", chat=False), "default")


def number_format(model: ModelRef) -> str:
    """The number format in which engines read a model: its own where the recipe leaves it to the model."""
    if model.dtype != "auto":
        return model.dtype
    own = configuration(model).dtype
    return "float32" if own is None else str(own).removeprefix("torch.")


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
