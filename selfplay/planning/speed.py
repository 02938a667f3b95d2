"""Tokens a second of one device, from its memory traffic and operations, or as somebody measured them."""

from __future__ import annotations

from dataclasses import dataclass

from selfplay.planning.architecture import Architecture
from selfplay.planning.memory import TrainingStep
from selfplay.planning.number_formats import Formats
from selfplay.planning.rates import CPU, Card, Rates

SEQUENCES = 256
"""Most sequences that vLLM decodes at once unless `max_num_seqs` says otherwise."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second of one device, and whether that was measured."""

    tokens_per_s: float
    measured: bool = False


def training_speed(rates: Rates, card: Card, name: str, step: TrainingStep) -> Speed:
    """Tokens of sequences that a training passes through.

    Operations a token: 2 for each active parameter forward, 2 for the gradients of activations, 2 for those of weights
    where these are trained, 2 again where activations are computed twice; attention over half of the sequence besides.
    """
    if (known := rates.of(card, name, "train")) is not None:
        return Speed(known, True)
    whole = step.trained == step.model.parameters
    passes = 2 + whole + step.checkpointing
    # The reference model goes forward only.
    passes += step.reference
    operations = passes * _forward(step.model, step.tokens)
    share = 1.0 if card is CPU else rates.train_share
    return Speed(card.flops * share / operations)


def scoring_speed(rates: Rates, card: Card, name: str, model: Architecture, tokens: int) -> Speed:
    """Tokens whose log-probabilities are found, with what stands before them."""
    if (known := rates.of(card, name, "score")) is not None:
        return Speed(known, True)
    share = 1.0 if card is CPU else rates.train_share
    return Speed(card.flops * share / _forward(model, tokens))


def _forward(model: Architecture, tokens: int) -> float:
    """Operations of one token's forward pass."""
    return 2 * model.active + 2 * tokens * model.query * model.layers


def decoding_speed(
    rates: Rates, card: Card, name: str, model: Architecture, formats: Formats, tokens: tuple[float, int], batch: float
) -> Speed:
    """Completion tokens of an engine that keeps `batch` sequences going.

    Args:
        formats: of its weights and of the cache.
        tokens: mean length of a sequence so far, and 1 where vLLM serves, 0 where transformers does.
        batch: sequences at a time.
    """
    if (known := rates.of(card, name, "generate")) is not None:
        return Speed(known, True)
    length, served = tokens
    share = 1.0 if card is CPU else rates.generate_share
    traffic = _read(model, formats, batch) + batch * length * model.cache * formats.cache
    compute = batch * _forward(model, int(length)) / (card.flops * share)
    least = rates.served_step_s if served else rates.step_s
    step = max(traffic / (card.bandwidth * share), compute, 0.0 if card is CPU else least)
    return Speed(batch / step)


def _read(model: Architecture, formats: Formats, batch: float) -> float:
    """Bytes of weights that a decoding step reads: of the experts those that some sequence of the batch is sent to."""
    whole = model.weighs(formats)
    if not model.experts:
        return whole
    idle = (1 - model.experts_a_token / model.experts) ** batch
    return float(whole - model.in_experts * formats.expert * idle)
