"""Vectors of concepts by a model: the mean of its last hidden states, which is what sentence models are trained for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfplay.compute.workers import Workers
from selfplay.engines.base import ModelRef
from selfplay.engines.loading import load_tokenizer
from selfplay.engines.model_files import ModelError, load_network
from selfplay.engines.named_models import libraries
from selfplay.run.store import ShardStore, content_key

SHARD = 4096
"""Concepts of one shard: what a crash can lose."""
BATCH = 128
"""Concepts of one forward pass."""
LONGEST = 64
"""Tokens of a concept that are read."""


@dataclass(frozen=True, slots=True)
class EmbeddingJob:
    """A shard of concepts."""

    model: ModelRef
    device: str
    concepts: Sequence[str]


def embed_concepts(
    names: Sequence[str], model: ModelRef, workers: Workers, store: ShardStore
) -> dict[str, list[float]]:
    """A vector a concept, the same whatever else is embedded beside it in float32 on a CPU.

    Raises:
        WorkerError: the model cannot be loaded.
    """
    parts = [list(names[start : start + SHARD]) for start in range(0, len(names), SHARD)]
    known = [model.fingerprint, model.dtype, libraries("transformers")]
    keys = [content_key("embed", *known, part) for part in parts]
    missing = [place for place, key in enumerate(keys) if not store.has(key)]
    jobs = [EmbeddingJob(model, workers.device, parts[place]) for place in missing]
    for number, rows in workers.as_done(embed_shard, jobs):
        store.put(keys[missing[number]], rows)
    vectors = [row["vector"] for key in keys for row in store.read(key)]
    return dict(zip(names, vectors, strict=True))


def embed_shard(job: EmbeddingJob) -> list[dict[str, Any]]:
    """Embeds a shard inside a worker."""
    import torch

    network, tokenizer = _load(job.model)
    network = network.to(job.device).eval()
    concepts = job.concepts
    rows: list[dict[str, Any]] = [{}] * len(concepts)
    # By length, so that little of a batch is padding.
    order = sorted(range(len(concepts)), key=lambda place: (len(concepts[place]), concepts[place]))
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        texts = [concepts[place] for place in part]
        encoded = tokenizer(texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
        encoded = {name: encoded[name].to(job.device) for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            hidden = network(**encoded).last_hidden_state.float()
        mask = encoded["attention_mask"].unsqueeze(-1)
        means = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        for place, vector in zip(part, means.cpu().tolist(), strict=True):
            rows[place] = {"vector": vector}
    return rows


def _load(model: ModelRef) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModel

    dtype = "auto" if model.dtype == "auto" else getattr(torch, model.dtype)
    try:
        network = load_network(AutoModel, model.path, model.revision, heads=False, dtype=dtype)
        tokenizer = load_tokenizer(model)
    except ModelError as error:
        raise ModelError(f"synthesis.embeddings.model: {error}, or `policy`") from error
    tokenizer.padding_side = "right"
    return network, tokenizer
