"""Vectors of concepts by a real tiny model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from selfplay.concepts.bank import bank_of
from selfplay.concepts.embedding import EmbeddingJob, embed_concepts, embed_shard
from selfplay.engines.base import ModelRef
from selfplay.engines.loading import load
from selfplay.engines.model_files import ModelError
from selfplay.run.store import ShardStore
from tests.selfplay.in_process import InProcess

NAMES = ["doubling", "a limit", "halving of what is left over"]


def test_a_vector_is_the_mean_hidden_state_whatever_is_embedded_beside_it(tiny_model: ModelRef) -> None:
    together = embed_shard(EmbeddingJob(tiny_model, "cpu", NAMES))
    network, tokenizer = load(tiny_model, "cpu")
    for name, row in zip(NAMES, together, strict=True):
        alone = embed_shard(EmbeddingJob(tiny_model, "cpu", [name]))[0]
        assert row["vector"] == pytest.approx(alone["vector"], abs=1e-5)
        with torch.inference_mode():
            hidden = network.base_model(**tokenizer(name, return_tensors="pt")).last_hidden_state[0]
        assert row["vector"] == pytest.approx(hidden.mean(dim=0).tolist(), abs=1e-5)


def test_vectors_are_kept_and_make_a_bank(tiny_model: ModelRef, in_process: InProcess, store_folder: Path) -> None:
    store = ShardStore(store_folder)
    first = embed_concepts(NAMES, tiny_model, in_process, store)  # type: ignore[arg-type]
    assert embed_concepts(NAMES, tiny_model, in_process, store) == first  # type: ignore[arg-type]
    assert in_process.jobs == 1
    bank = bank_of([("doubling", "a limit")], {NAMES[2]: 1.0}, lambda names: first)
    cosines = bank.vectors.all_cosines(bank.vectors.centres(np.array([[1]])))
    assert cosines[0, 1] == pytest.approx(1.0)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = ModelRef(str(tmp_path / "none"), "none")
    with pytest.raises(ModelError, match=r"synthesis\.embeddings\.model"):
        embed_shard(EmbeddingJob(missing, "cpu", ["a"]))


def test_a_concept_without_a_vector_is_refused() -> None:
    with pytest.raises(ValueError, match="have no vector, such as 'b'"):
        bank_of([("a", "b")], embed=lambda names: {"a": [1.0]})
