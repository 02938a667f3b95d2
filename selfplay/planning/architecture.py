"""The sizes of a decoder-only transformer, by its configuration; no library is loaded and no weight is read."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from selfplay.planning.number_formats import Formats, StoredFormat, UnknownSizes, stored_format

FAMILIES = {
    "llama": {"attention_bias": False},
    "mistral": {"attention_bias": False},
    "qwen2": {"attention_bias": True},
    "qwen3": {"qk_norm": True},
    "qwen3_moe": {"qk_norm": True},
}
"""By `model_type`, whose layers have these parts alone; another architecture is planned by no formula of this one."""
ATTENTION, MLP, ROUTER = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj"), "gate"
"""Names of linear layers; peft's `all-linear` is all of them."""
LARGEST = 2**40
"""No size in a configuration is larger."""


def cut_fault(ranks: int, heads: int, key_heads: int) -> str:
    """Why sequences of a model cannot be cut over ranks, as the end of a sentence; empty where they can.

    Args:
        ranks: over which each sequence is cut.
        heads: of the model's attention.
        key_heads: of its keys and values.
    """
    common = math.gcd(heads, key_heads)
    if common % ranks == 0:
        return ""
    return f"is {ranks}, but ranks cannot have equal parts of {key_heads} key heads; set it to a divisor of {common}"


class UnknownArchitecture(UnknownSizes):
    """A configuration that the formulas do not cover; the message names the model and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Sizes of a model; counts are of parameters, and of numbers that a token takes."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    """Width of a feed-forward block; of one expert, where there are any."""
    vocabulary: int
    positions: int
    """Longest sequence that the model was made for, in tokens."""
    tied: bool
    """Whether the output layer is the embedding."""
    qkv_bias: bool = False
    qk_norm: bool = False
    experts: int = 0
    """Experts of a layer; 0 for a dense model."""
    experts_a_token: int = 1
    stored: StoredFormat | None = None
    """How its files hold quantised weights; None where they hold none."""

    @property
    def query(self) -> int:
        """Width of all query heads."""
        return self.heads * self.head_dim

    @property
    def key_value(self) -> int:
        """Width of all key heads, and of all value heads."""
        return self.kv_heads * self.head_dim

    @property
    def attention(self) -> int:
        """Parameters of one layer's attention."""
        projections = 2 * self.hidden * (self.query + self.key_value)
        bias = (self.query + 2 * self.key_value) * self.qkv_bias
        return projections + bias + 2 * self.head_dim * self.qk_norm

    @property
    def feed_forward(self) -> int:
        """Parameters of one layer's feed-forward block, its router and all its experts."""
        return 3 * self.hidden * self.intermediate * max(self.experts, 1) + self.hidden * self.experts

    @property
    def linear(self) -> int:
        """Parameters of all layers' linear maps, which can be held in 4 bits; experts, packed together, cannot."""
        feed_forward = 0 if self.experts else 3 * self.hidden * self.intermediate
        return self.layers * (2 * self.hidden * (self.query + self.key_value) + feed_forward)

    @property
    def in_experts(self) -> int:
        """Parameters of all layers' experts, without their routers."""
        return self.layers * 3 * self.hidden * self.intermediate * self.experts

    @property
    def largest_linear(self) -> int:
        """Parameters of the largest of these maps."""
        return self.hidden * max(self.query, 0 if self.experts else self.intermediate)

    @property
    def head(self) -> int:
        """Parameters of the output layer, also where it is the embedding."""
        return self.vocabulary * self.hidden

    @property
    def layer(self) -> int:
        """Parameters of one layer."""
        return self.attention + self.feed_forward + 2 * self.hidden

    @property
    def around(self) -> int:
        """Parameters outside of the layers: the embedding, the output layer, and the last norm."""
        return self.head * (1 if self.tied else 2) + self.hidden

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.around + self.layers * self.layer

    @property
    def active(self) -> int:
        """Parameters that take part in one token's computation."""
        idle = max(self.experts - self.experts_a_token, 0)
        embedding = 0 if self.tied else self.head
        return self.parameters - embedding - self.layers * 3 * self.hidden * self.intermediate * idle

    @property
    def cache(self) -> int:
        """Numbers that the keys and values of one token take in all layers."""
        return 2 * self.key_value * self.layers

    def weighs(self, formats: Formats) -> int:
        """Bytes of all weights."""
        others = self.parameters - self.linear - self.in_experts
        return int(others * formats.weight + self.linear * formats.linear + self.in_experts * formats.expert)

    def adapter(self, rank: int, modules: Collection[str]) -> int:
        """Parameters of a LoRA adapter: rank x (in + out) for each linear layer that it is put on, and each expert's.

        Experts are packed into two tensors: peft takes `gate_proj` and `up_proj` as one of twice the rank. `gate` is
        the router, which `all-linear` takes in, too.
        """
        hidden, wide = self.hidden, self.intermediate
        sizes = {
            "q_proj": hidden + self.query,
            "k_proj": hidden + self.key_value,
            "v_proj": hidden + self.key_value,
            "o_proj": self.query + hidden,
        }
        if self.experts:
            sizes |= {
                "up_proj": self.experts * 2 * (hidden + 2 * wide),
                "down_proj": self.experts * (wide + hidden),
                ROUTER: hidden + self.experts,
            }
        else:
            sizes |= dict.fromkeys(MLP, hidden + wide)
        return self.layers * rank * sum(size for name, size in sizes.items() if name in modules)


def of_config(config: Mapping[str, Any], name: str) -> Architecture:
    """The sizes that a `config.json` says.

    Args:
        config: its content, which others wrote.

    Raises:
        UnknownArchitecture: a family without a formula here, or sizes that are missing or no numbers.
    """
    family = config.get("model_type")
    if not isinstance(family, str) or family not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise UnknownArchitecture(
            f"{name}: its config.json has the model_type {str(family)[:40]!r}, and memory is planned only for {known}; "
            "run `selfplay check` on the machine itself"
        )
    moe = family == "qwen3_moe"

    def size(field: str, default: int | None = None) -> int:
        value = config.get(field)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LARGEST:
            raise UnknownArchitecture(
                f"{name}: its config.json has no usable {field} ({str(value)[:40]}); take the file from its page"
            )
        return value

    heads = size("num_attention_heads")
    hidden = size("hidden_size")
    # Qwen2's classes tie nothing and have biases unless the file says otherwise; Llama's likewise, without biases.
    bias = config.get("attention_bias", FAMILIES[family].get("attention_bias", False))
    if moe and config.get("mlp_only_layers"):
        raise UnknownArchitecture(
            f"{name}: some of its layers have experts and some have none, which is not planned for"
        )
    return Architecture(
        hidden=hidden,
        layers=size("num_hidden_layers"),
        heads=heads,
        kv_heads=size("num_key_value_heads", heads),
        head_dim=size("head_dim", max(hidden // heads, 1)),
        intermediate=size("moe_intermediate_size" if moe else "intermediate_size"),
        vocabulary=size("vocab_size"),
        positions=size("max_position_embeddings"),
        tied=bool(config.get("tie_word_embeddings", False)),
        qkv_bias=bool(bias),
        qk_norm=bool(FAMILIES[family].get("qk_norm", False)),
        # Published files have the first name; transformers 5 writes the second, and reads both.
        experts=size("num_experts" if "num_experts" in config else "num_local_experts") if moe else 0,
        experts_a_token=size("num_experts_per_tok") if moe else 1,
        stored=stored_format(config),
    )
