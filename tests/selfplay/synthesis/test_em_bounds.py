"""The bound at many K from one draw: nested, tightening, and of the ids and log-probabilities that were sampled."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import _em_draw
from benchmarks._em_bounds import InThisProcess, curve, log_weights, nested_bounds
from benchmarks._em_draw import draw_many
from benchmarks._em_figures import leads
from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef, Sample, Sampling, Segment
from selfplay.engines.hf_engine import prompt_ids
from selfplay.engines.hf_scoring import score_sequences
from selfplay.engines.loading import load
from selfplay.engines.sharded import ShardedEngine
from selfplay.run.records import Seed
from selfplay.run.store import ShardStore
from selfplay.synthesis.cold_start import ModelPair
from selfplay.synthesis.likelihood import for_rationale_model, importance_bound, joint, proposal
from verifiers.model import Task


def test_a_bound_is_the_mean_over_disjoint_groups_of_the_bounds_of_each() -> None:
    weights = np.log(np.arange(1.0, 13.0)).reshape(2, 6)
    weights[0, 1] = -math.inf
    found = nested_bounds(weights, 3)
    for row, value in zip(weights, found, strict=True):
        groups = [[None if math.isinf(w) else float(w) for w in row[start : start + 3]] for start in (0, 3)]
        assert value == pytest.approx(sum(map(importance_bound, groups)) / 2)
    assert nested_bounds(weights, 4) == pytest.approx(
        [importance_bound([None if math.isinf(w) else float(w) for w in row[:4]]) for row in weights]
    )


def test_more_samples_tighten_it_and_none_of_weight_says_nothing() -> None:
    weights = np.random.default_rng(0).normal(0.0, 2.0, (50, 1024))
    by_size = [float(nested_bounds(weights, size).mean()) for size in (1, 8, 32, 128, 512, 1024)]
    assert by_size == sorted(by_size)
    assert by_size[0] == pytest.approx(0.0, abs=0.1)
    assert by_size[-1] == pytest.approx(2.0, abs=0.1), "log of the mean of exp(N(0, 4))"
    weights[0, :8] = -math.inf
    assert nested_bounds(weights, 8)[0] == -math.inf
    assert math.isfinite(nested_bounds(weights, 1024)[0])


def test_leads_are_paired_over_the_seeds() -> None:
    def seeds(*values: float) -> list[dict[str, dict[str, float]]]:
        return [{"last": {"8": value}} for value in values]

    found = leads({"a": seeds(1.0, 5.0), "b": seeds(2.0, 6.5)})
    assert list(found) == ["b"]
    assert found["b"]["8"]["mean"] == pytest.approx(1.25)
    assert found["b"]["8"]["low"] < 1.0
    assert found["b"]["8"]["high"] > 1.5


@pytest.fixture
def recipe() -> Recipe:
    seeds = {"kind": "quickstart", "grammar": "math"}
    em = {"sampling": {"temperature": 1.0, "max_new_tokens": 6}}
    return Recipe.model_validate(
        {"name": "b", "model": {"kind": "scratch"}, "domains": {"math": {"seeds": seeds}}, "em": em}
    )


PAIR = Seed("s", "math", "heldout", "s", ("adding",), "easy", "z", Task("1 + 2?"), "", None)


def test_log_q_is_that_of_the_draw_and_equal_rationales_are_scored_once(
    recipe: Recipe, tiny_model: ModelRef, tmp_path: Path
) -> None:
    engine = ShardedEngine(tiny_model, recipe.engine, InThisProcess(), ShardStore(tmp_path))  # type: ignore[arg-type]
    drawn = draw_many(tiny_model, for_rationale_model(recipe, PAIR), Sampling.of(recipe.em.sampling), 3, seed=1)
    again = draw_many(tiny_model, for_rationale_model(recipe, PAIR), Sampling.of(recipe.em.sampling), 3, seed=1)
    assert again == drawn
    assert len({one.token_ids for one in drawn}) == 3
    # An untrained model writes no whole rationale: its ids stand for those of one.
    block = formats.rationale_block("x")
    whole = [Sample(block, one.token_ids, True, logprobs=one.logprobs) for one in (*drawn, drawn[0])]
    cut = Sample("nothing", drawn[0].token_ids, False, logprobs=drawn[0].logprobs)
    found = log_weights(recipe, engine, PAIR, [*whole, cut])
    items: list[tuple[Seed, Segment]] = [(PAIR, one.token_ids) for one in drawn]
    exact = [p.total - q for p, q in zip(joint(engine, recipe, items), proposal(engine, recipe, items), strict=True)]
    assert found[:3] == pytest.approx(exact, abs=1e-3)
    assert found[3:] == [found[0], -math.inf]


def test_without_rationales_every_k_is_exact(recipe: Recipe, tiny_model: ModelRef, tmp_path: Path) -> None:
    found = curve(recipe, ModelPair(tiny_model, None), [PAIR], (8, 32), ShardStore(tmp_path))
    assert set(found) == {"8", "32"}
    assert found["8"] == found["32"] > 0


def test_rows_that_have_ended_are_dropped_and_the_others_go_on(tiny_model: ModelRef, monkeypatch: Any) -> None:
    """With many ends most rows are short; each keeps its own ids, and their log-probabilities are the model's."""
    network, tokenizer = load(tiny_model, "cpu")
    ends = list(range(0, len(tokenizer), 4))
    monkeypatch.setattr(_em_draw, "end_ids", lambda *_: ends)
    drawn = draw_many(tiny_model, "Explain.", Sampling(1.0, 12), 40, seed=3)
    assert len({len(one.token_ids) for one in drawn}) > 4
    assert {one.complete for one in drawn} == {True, False}
    encoded = prompt_ids(tokenizer, "Explain.", False)
    longest = max(drawn, key=lambda one: len(one.token_ids))
    for one in (drawn[0], drawn[-1], longest):
        ids = [*encoded, *one.token_ids]
        [[total]] = score_sequences(network, [(ids, [(len(encoded), len(ids))])], 4096) if one.token_ids else [[0.0]]
        assert sum(one.logprobs) == pytest.approx(total, abs=1e-3)
        assert not set(one.token_ids) & set(ends)
