"""Values that trainers would take and then fail at, misunderstand, or learn nothing from: told by the type and default
of a field of the library's configuration class, and by name where these do not say enough."""

from __future__ import annotations

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

LARGEST_INTEGER, LARGEST = 2**31 - 1, 1e15
ABOVE_ZERO = {
    "learning_rate",
    "adam_epsilon",
    "num_train_epochs",
    "temperature",
    "top_p",
    "repetition_penalty",
    "discopop_tau",
    "sapo_temperature_pos",
    "sapo_temperature_neg",
    "vllm_gpu_memory_utilization",
    "vllm_server_timeout",
    "vllm_importance_sampling_clip_max",
    "logging_steps",
    "save_steps",
    "eval_steps",
}
"""Floats that must not be 0. Integers must be at least 1, unless 0 is their default."""
SHARES = {
    "adam_beta1",
    "adam_beta2",
    "top_p",
    "min_p",
    "label_smoothing",
    "label_smoothing_factor",
    "ld_alpha",
    "ref_model_mixup_alpha",
    "top_entropy_quantile",
    "vllm_gpu_memory_utilization",
    "lora_dropout",
}
"""From 0 to 1."""
BELOW_ONE = {"adam_beta1", "adam_beta2", "label_smoothing_factor", "lora_dropout"}
ONLY_FINITE = "must hold numbers that are finite alone"
OF_FILES = {"accelerator_config"}
"""Mappings for which the library takes the name of a file, too."""
UNIONS = (typing.Union, types.UnionType)
WORDS = {bool: "true or false", str: "a text", dict: "a mapping", list: "a list"}
"""The kinds of values that recipes can hold beside numbers."""
STEPS = {"logging_steps", "save_steps", "eval_steps", "warmup_steps"}
"""Whole numbers, or, below 1, shares of all steps."""


def value_faults(cls: Any, args: Mapping[str, Any]) -> dict[str, str]:
    """The faults of the arguments of a library's dataclass, as the end of a sentence, by name."""
    hints, fields = typing.get_type_hints(cls), {field.name: field for field in dataclasses.fields(cls)}
    kinds = {name: _kinds(hints[name]) for name in args}
    faults = {
        name: _kind_fault(name, kinds[name], value) or _fault(name, kinds[name], fields[name].default, value)
        for name, value in args.items()
    }
    faults |= {name: ONLY_FINITE for name, value in args.items() if isinstance(value, Mapping) and _holds_nan(value)}
    return {name: fault for name, fault in faults.items() if fault}


def _holds_nan(value: Any) -> bool:
    """Whether NaN or an infinity stands anywhere within mappings and lists, such as the settings of a schedule."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(_holds_nan(one) for one in inner) or (isinstance(value, float) and not math.isfinite(value))


def is_number(value: Any) -> bool:
    """Whether it is one; what YAML reads as true or false is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fault(name: str, kinds: set[Any], default: Any, value: Any) -> str:
    if isinstance(value, list) and not kinds.isdisjoint((list[float], list[int])):
        return next((fault for one in value if (fault := _range_fault(name, float, 0.0, one))), "")
    if not kinds.isdisjoint((list[float], list[int])) and str not in kinds and value is not None:
        return "must be a list of numbers"
    takes_others = not kinds.isdisjoint((str, dict, list)) or any(typing.get_origin(kind) for kind in kinds)
    a_number = is_number(value)
    if kinds.isdisjoint((int, float)):
        usable = not a_number or Any in kinds or (bool in kinds and value in (0, 1))
        return "" if usable else "must be no number"
    if (value is None and type(None) in kinds) or (takes_others and not a_number):
        return ""
    if isinstance(value, bool) and bool in kinds:
        return ""
    return _range_fault(name, float if float in kinds else int, default, value)


def _kinds(hint: Any) -> set[Any]:
    return set(typing.get_args(hint)) if typing.get_origin(hint) in UNIONS else {hint}


def _kind_fault(name: str, kinds: set[Any], value: Any) -> str:
    """The fault of a value that is no number: a text is true wherever truth is asked for, also "false"."""
    if value is None or is_number(value) or not kinds.isdisjoint((int, float)):
        return ""
    taken = {_kind_in_recipes(kind) for kind in kinds}
    if isinstance(value, str) and dict in taken and not (value.startswith("{") or name in OF_FILES):
        return "must be a mapping"
    if None in taken or any(isinstance(value, kind) for kind in taken if kind is not None):
        return ""
    return f"must be {' or '.join(word for kind, word in WORDS.items() if kind in taken)}"


def _kind_in_recipes(kind: Any) -> type | None:
    """The kind of value that a recipe has for a type; None where that is not known."""
    origin = typing.get_origin(kind) or kind
    if origin is typing.Literal:
        return type(typing.get_args(kind)[0])
    if isinstance(origin, type) and issubclass(origin, enum.Enum):
        return str
    return origin if origin in {*WORDS, types.NoneType} else None


def _range_fault(name: str, kind: type, default: Any, value: Any) -> str:  # noqa: PLR0911 - one return per fault
    if not is_number(value):
        return "must be a number, such as 0.001"
    if not math.isfinite(value) if isinstance(value, float) else abs(value) > LARGEST_INTEGER:
        return "must be a number that is finite" if isinstance(value, float) else f"must be at most {LARGEST_INTEGER}"
    if abs(value) > LARGEST:
        return f"must be at most {LARGEST:g}"
    if kind is int and not isinstance(value, int):
        return "must be a whole number, such as 100"
    if name in STEPS and value > 1 and value != int(value):
        return "must be a whole number of steps, or a share of all below 1"
    if isinstance(default, int | float) and default < 0 and value == default:
        return ""
    if value < 0:
        return "must not be negative"
    if value == 0 and (name in ABOVE_ZERO or (kind is int and default != 0)):
        return "must be above 0"
    if name in SHARES and not (value < 1 if name in BELOW_ONE else value <= 1):
        return "must be below 1" if name in BELOW_ONE else "must be at most 1"
    return ""
