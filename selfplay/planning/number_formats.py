"""Bytes of a model's numbers as an engine holds them: by its dtype, by what its files say, or as vLLM is told.

Only the layers' linear maps are ever quantised; embeddings, output layer, norms and router stay as they are. The scales
of a group of weights are counted with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from selfplay.config.errors import UserError

FLOAT, BRAIN = 4, 2
WIDTH = {"float32": FLOAT, "bfloat16": BRAIN, "float16": BRAIN, "auto": BRAIN}
"""Bytes of a weight as it is stored."""
SCALE = 2
"""Bytes of a group's scale."""
NF4 = 0.5 + FLOAT / 64
"""Bytes of a weight in bitsandbytes' 4 bits, with a float32 for 64 of them."""
MX4, MX8, NV4 = 0.5 + 1 / 32, 1 + 1 / 32, 0.5 + 1 / 16
"""The same in 4 and 8 bits with a byte of scale for 32 of them, and in 4 bits with one for 16."""
EVERYWHERE = {
    **dict.fromkeys(("fp8", "fp8_per_tensor", "fp8_per_block", "fp8_per_channel", "ptpc_fp8"), 1.0),
    "bitsandbytes": NF4,
    "mxfp8": MX8,
    "mxfp4": MX4,
}
"""Bytes of a weight of a linear map, by vLLM's `quantization`, where that makes them of whole weights."""
IN_EXPERTS = {"experts_int8": 1.0, "int8_per_channel_weight_only": 1.0, "nvfp4_per_token": NV4}
"""The same where experts alone become smaller."""
OF_FILES = (
    *("awq", "auto_awq", "awq_marlin", "gptq", "auto_gptq", "gptq_marlin", "moe_wna16", "compressed-tensors", "quark"),
    *("modelopt", "modelopt_fp4", "modelopt_mxfp8", "modelopt_mixed", "fbgemm_fp8", "fp_quant", "gpt_oss_mxfp4"),
)
"""Names that take files whose weights somebody quantised before, which say it themselves."""
CACHES = {
    **dict.fromkeys(("fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc", "fp8_per_token_head", "int8_per_token_head"), 1.0),
    "float16": 2.0,
    "bfloat16": 2.0,
    "int4_per_token_head": 0.5,
    "nvfp4": NV4,
    "nvfp4_4over6": NV4,
}
"""Bytes of a number of the cache, by vLLM's `kv_cache_dtype`; any other counts as a weight, which it never exceeds."""
GROUP, BITS = (1, 1 << 16), (2, 8)
"""Smallest and largest number of weights to a scale, and of bits to a weight."""
LONGEST_NAME = 40


class UnknownSizes(UserError):
    """A model whose sizes cannot be told; the message names the place and the remedy."""


@dataclass(frozen=True, slots=True)
class StoredFormat:
    """Quantised weights as the files of a model have them."""

    method: str
    linear: float | None
    """Bytes of a weight in a layer's linear map; None of a method whose sizes are not known here."""
    cache: float | None = None
    """Bytes of a number of the cache, where they say that, too."""


@dataclass(frozen=True, slots=True)
class Formats:
    """Bytes of each number of a model."""

    weight: float
    linear: float
    """Of a weight in a layer's linear map, experts apart."""
    expert: float
    cache: float
    """Of each number of the cache."""

    @classmethod
    def plain(cls, width: float) -> Formats:
        """All alike."""
        return cls(width, width, width, width)


def served_formats(
    dtype: str, stored: StoredFormat | None, args: Mapping[str, Any], fields: tuple[str, str]
) -> Formats:
    """How vLLM holds a model.

    Args:
        dtype: the recipe's, of its weights.
        stored: what its files say.
        args: of vLLM's EngineArgs.
        fields: the names of the model and of these arguments, for errors.

    Raises:
        UnknownSizes: a quantisation whose sizes are not known here.
    """
    asked = str(args.get("quantization") or ("online" if args.get("quantization_config") else ""))
    width = _width(args.get("dtype"), dtype)
    found = Formats.plain(width)
    if stored is not None:
        if stored.linear is None:
            raise UnknownSizes(
                f"{fields[0]}: its config.json has a quantization_config that is not planned for ({stored.method!r}); "
                "run `selfplay check` on the machine itself"
            )
        found = Formats(width, stored.linear, stored.linear, stored.cache or width)
    elif asked in EVERYWHERE:
        found = Formats(width, EVERYWHERE[asked], EVERYWHERE[asked], width)
    elif asked in IN_EXPERTS:
        found = Formats(width, width, IN_EXPERTS[asked], width)
    elif asked and asked not in OF_FILES:
        known = ", ".join(sorted({*EVERYWHERE, *IN_EXPERTS}))
        raise UnknownSizes(
            f"{fields[1]}.quantization: is {asked[:LONGEST_NAME]}, and what a weight takes is known here only by "
            f"{known}; take one of these, or run `selfplay check` on the machine itself"
        )
    return replace(found, cache=CACHES.get(str(args.get("kv_cache_dtype")), found.cache))


def _width(asked: Any, dtype: str) -> float:
    """Bytes of a weight: vLLM's own `dtype` goes before the recipe's."""
    return {"half": BRAIN, "float": FLOAT, **WIDTH, "auto": WIDTH[dtype]}.get(str(asked), WIDTH[dtype])


def stored_format(config: Mapping[str, Any]) -> StoredFormat | None:
    """Quantised weights as a `config.json`, which others wrote, has them; None where it says nothing."""
    said = config.get("quantization_config")
    if said is None:
        return None
    if not isinstance(said, dict):
        return StoredFormat(str(said)[:LONGEST_NAME], None)
    method, scheme = str(said.get("quant_method"))[:LONGEST_NAME], said.get("kv_cache_scheme")
    in_8_bits = isinstance(scheme, dict) and scheme.get("num_bits") == 8
    return StoredFormat(method, _stored_size(method, said), 1.0 if in_8_bits else None)


def _stored_size(method: str, said: Mapping[str, Any]) -> float | None:
    """Bytes of a weight; None of what is not known."""
    if method in ("awq", "gptq", "auto-round"):
        # A group has a zero point besides, of as many bits as a weight.
        return _grouped(said.get("bits"), said.get("group_size"), zero=True)
    if method == "compressed-tensors":
        groups = said.get("config_groups")
        first = next(iter(groups.values()), None) if isinstance(groups, dict) else None
        weights = first.get("weights") if isinstance(first, dict) else None
        return _grouped(weights.get("num_bits"), weights.get("group_size")) if isinstance(weights, dict) else None
    if method == "bitsandbytes":
        return NF4 if said.get("load_in_4bit") or said.get("_load_in_4bit") else 1.0
    if method == "modelopt":
        return {"FP8": 1.0, "NVFP4": NV4}.get(str(said.get("quant_algo")))
    return {"fbgemm_fp8": 1.0, **EVERYWHERE}.get(method)


def _grouped(bits: Any, group: Any, zero: bool = False) -> float | None:
    """Bytes of a weight of so many bits, with the scale of its group; -1 and None are a group of a whole row."""
    if not isinstance(bits, int) or isinstance(bits, bool) or not BITS[0] <= bits <= BITS[1]:
        return None
    if group in (None, -1):
        return bits / 8
    if not isinstance(group, int) or isinstance(group, bool) or not GROUP[0] <= group <= GROUP[1]:
        return None
    return bits / 8 + (SCALE + zero * bits / 8) / group
