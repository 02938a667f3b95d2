"""Bytes that a training step, and a generation, hold at their fullest moment on one device.

A formula for each term, from sizes alone. They were fitted to nothing: each counts the tensors that PyTorch's autograd,
transformers' attention and TRL's trainers hold, and `python -m benchmarks plan_memory` measures how far off they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from selfplay.planning.architecture import Architecture
from selfplay.planning.number_formats import BRAIN, FLOAT, Formats

FOUR_BITS = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes of a weight in NF4: a byte of scale for 64 of them, and a float32 for 256 scales."""
ZERO_BUCKET = 50_000_000
"""Numbers that DeepSpeed sums over the ranks at a time, and by ZeRO-3 gathers before they are asked for."""
LOGIT_TILE = (4096, 32768)
"""Tokens and vocabulary entries of the tile in which TRL's fused head computes logits (trl/kernels/chunked_logprob)."""
TILE_COPIES = {"cpu": 8, "cuda": 1}
"""Tensors of a tile's size: on a GPU a kernel works in place, on a CPU torch makes new ones."""
SAMPLED_COPIES = 6
"""Tensors [sequences, vocabulary] of one sampling step: logits, in float32, sorted, softmax, cumulated, places."""

Terms = dict[str, int]
"""Bytes by the name of what takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStep:
    """One update of a model, as memory sees it."""

    model: Architecture
    trained: int
    """Parameters with gradients: all, or those of an adapter."""
    device: str
    weight_bytes: int = FLOAT
    """Bytes of a weight that is held: 4 where all weights are trained."""
    sequences: int = 1
    """Of one micro-batch on one device; DPO has two for each pair."""
    tokens: int = 1
    """Of the longest sequence, prompt included."""
    accumulates: bool = False
    """Whether gradients stay from one micro-batch to the next."""
    checkpointing: bool = False
    """Whether activations are computed twice."""
    autocast: bool = False
    """Whether layers compute in bfloat16."""
    reference: bool = False
    """Whether a second model stands beside it."""
    ranks: int = 1
    shards: int = 1
    """Devices over which weights, gradients and states are cut; 1 where each holds all of them."""
    optimiser_bytes: float = 2.0 * FLOAT
    """Bytes of the optimiser's state for each trained parameter."""
    flash: bool = False
    """Whether attention needs no mask of [tokens, tokens]."""
    quantised: bool = False
    """Whether linear layers are held in 4 bits, beside an adapter."""

    zero: int = 0
    """DeepSpeed's stage, 2 or 3, whose optimiser has float32 weights of its own beside those that compute; or 0."""

    offloaded: bool = False
    """Whether DeepSpeed has gradients, states and its optimiser's own weights on the host."""

    @property
    def states(self) -> int:
        """Bytes of the optimiser's states that a device holds or, offloaded, that the host has for it."""
        return int(self.trained * self.optimiser_bytes) // self.shards

    @property
    def held(self) -> int:
        """Bytes of the weights of one copy of the model, without an adapter."""
        linear = self.model.linear if self.quantised else 0
        return int(linear * FOUR_BITS) + (self.model.parameters - linear) * self.weight_bytes


def training_terms(step: TrainingStep) -> Terms:
    """The terms at the fullest of the three moments of a step.

    The first backward operations, when all activations are held; the recomputation of a checkpointed layer; and the
    end of the backward pass, when all gradients are.
    """
    model, whole = step.model, step.trained == step.model.parameters
    casts = model.parameters * BRAIN if step.autocast and step.weight_bytes == FLOAT else 0
    buckets = step.trained * FLOAT if step.ranks > 1 else 0
    passing = casts + buckets if step.shards == 1 else gathered(step) * (2 if whole else 1)
    passing = zero_buffers(step, casts) if step.zero else passing
    # A layer in 4 bits is made whole each time that it computes.
    passing += model.largest_linear * step.weight_bytes if step.quantised else 0
    held = standing_terms(step) | {"buffers": passing + mask_bytes(step)}
    gradients = 0 if step.offloaded else step.trained * FLOAT // step.shards
    of_head = model.head * FLOAT // step.shards if whole else 0
    begun = gradients + of_head if step.accumulates else of_head
    kept, layer = kept_activations(step), layer_activations(step)
    tile = logit_tile(step)
    moments = [{"gradients": begun, "logits": tile, "activations": kept}]
    if step.checkpointing:
        moments.append({"gradients": begun, "logits": 0, "activations": kept + layer})
    ends = 2 * step.sequences * step.tokens * model.hidden * FLOAT
    of_embedding = of_head if model.tied or not whole else model.head * FLOAT // step.shards
    moments.append({"gradients": gradients + of_embedding, "logits": 0, "activations": ends})
    return held | max(moments, key=lambda moment: sum(moment.values()))


def standing_terms(step: TrainingStep) -> Terms:
    """Those of a training also while it takes no step, as when a batch is rolled out."""
    whole_for_a_moment = gathered(step) if step.shards > 1 else step.trained * FLOAT if step.ranks > 1 else 0
    return {
        "weights": held_weights(step),
        "optimiser": 0 if step.offloaded else step.states,
        "reference": step.model.parameters * FLOAT // (1 if step.zero == 2 else step.shards) if step.reference else 0,
        "buffers": whole_for_a_moment,
    }


def held_weights(step: TrainingStep) -> int:
    """Bytes of the weights that a device holds, those of an adapter besides."""
    adapter = 0 if step.trained == step.model.parameters else step.trained * FLOAT
    if not step.zero:
        return (step.held + adapter) // step.shards
    computes = step.model.parameters * FLOAT + adapter
    own = 0 if step.offloaded else step.trained * FLOAT // step.shards
    return computes // (step.shards if step.zero == 3 else 1) + own


def zero_buffers(step: TrainingStep, casts: int) -> int:
    """Bytes that DeepSpeed has beside all parts: gradients to be summed and, of ZeRO-3, what it has whole for a moment.

    Args:
        casts: bytes of all weights in bfloat16, where layers compute in that.
    """
    bucket = ZERO_BUCKET if step.device == "cuda" else min(step.trained, ZERO_BUCKET)
    if step.zero == 2:
        return casts + 2 * bucket * FLOAT
    live = step.model.around + 2 * step.model.layer + min(step.model.parameters, ZERO_BUCKET)
    return live * (FLOAT + (BRAIN if step.autocast else 0)) + 2 * bucket * FLOAT


def gathered(step: TrainingStep) -> int:
    """Bytes of what a sharded training has whole for a moment: all around the layers, one of these, and the next.

    Backward, gradients of the same parts are whole besides.
    """
    return (step.model.around + 2 * step.model.layer) * (BRAIN if step.autocast else FLOAT)


def layer_activations(step: TrainingStep) -> int:
    """Bytes that one layer keeps for its backward pass: inputs of its linear layers and norms, heads, and products."""
    model, places = step.model, step.sequences * step.tokens
    heads = 3 * (model.query + 2 * model.key_value) + model.query
    wide = 4 * model.intermediate * model.experts_a_token
    sent = 3 * model.hidden * model.experts_a_token if model.experts else 0
    # Norms compute in float32; what lies between them is counted as wide, which bfloat16 makes an upper bound.
    return places * FLOAT * (8 * model.hidden + heads + wide + sent)


def kept_activations(step: TrainingStep) -> int:
    """Bytes that all layers keep; of a checkpointed one only its input."""
    if not step.checkpointing:
        return step.model.layers * layer_activations(step)
    width = FLOAT if step.weight_bytes == FLOAT else BRAIN
    return step.model.layers * step.sequences * step.tokens * step.model.hidden * width


def logit_tile(step: TrainingStep) -> int:
    """The head's tile of logits, and its float32 gradient of the hidden states."""
    rows, columns = LOGIT_TILE
    places = step.sequences * step.tokens
    width = BRAIN if step.autocast else FLOAT
    tile = min(places, rows) * min(columns, step.model.vocabulary) * width * TILE_COPIES[step.device]
    return tile + places * step.model.hidden * FLOAT


def mask_bytes(step: TrainingStep) -> int:
    """A mask of [tokens, tokens] for each sequence, as bool and as what the kernel adds; one sequence needs none."""
    if step.flash or step.sequences == 1:
        return 0
    return int(step.sequences * step.tokens**2 * (1 + (BRAIN if step.autocast else FLOAT)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingBatch:
    """Sampling by transformers, as memory sees it."""

    model: Architecture
    weight_bytes: int = BRAIN
    sequences: int = 1
    prompt: int = 1
    """Tokens of the longest prompt."""
    completion: int = 1
    """Tokens of the longest completion."""
    beside: Terms = field(default_factory=dict)
    """Whatever else lies on the device meanwhile, such as an optimiser."""
    cache_bytes: float = 0.0
    """Bytes of each number of the cache; 0 takes those of a weight."""


def generation_terms(step: DecodingBatch) -> Terms:
    """The terms at the fuller of two moments: when the prompts are read, and when the longest completion ends."""
    model = step.model
    width = step.cache_bytes or step.weight_bytes
    # A layer's keys grow by copying: one layer is there twice.
    a_token = model.cache * width * (1 + 0.5 / model.layers)
    asked = step.sequences * step.prompt
    read = asked * FLOAT * (4 * model.hidden + 2 * model.query + 3 * model.intermediate * model.experts_a_token)
    logits = SAMPLED_COPIES * step.sequences * model.vocabulary * FLOAT
    moments = [
        {"cache": int(asked * a_token), "logits": 0, "activations": read},
        {"cache": int((asked + step.sequences * step.completion) * a_token), "logits": logits, "activations": 0},
    ]
    terms: Terms = {"weights": model.parameters * step.weight_bytes} | step.beside
    return terms | max(moments, key=lambda moment: sum(moment.values()))


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Sampling by vLLM: it takes a share of the device at once, and what weights leave of it is its cache."""

    terms: Terms
    """Bytes that it must have to hold its longest sequence once."""
    cache_tokens: int
    """Tokens that the rest of its share holds."""


ENGINE_BYTES = {"cuda": int(2.5 * 2**30), "cpu": 2**28}
"""Bytes of vLLM beside weights and cache: its largest prefill, graphs, buffers. An assumption, made
for prefills of 8,192 tokens."""


def served_terms(
    model: Architecture, formats: Formats, share: int, longest: int, ranks: int, beside: int
) -> ServedModel:
    """vLLM with its cache.

    Args:
        formats: of weights and cache.
        share: bytes of the device that it may take.
        longest: its `max_model_len`, tokens.
        ranks: devices over which weights and cache are cut.
        beside: bytes for everything else.
    """
    weights = model.weighs(formats) // ranks
    # Heads that are fewer than the ranks are held by several of them.
    a_token = int(model.cache * formats.cache) // min(ranks, model.kv_heads)
    terms = {"weights": weights, "buffers": beside, "cache": longest * a_token}
    return ServedModel(terms, max(share - weights - beside, 0) // max(a_token, 1))
