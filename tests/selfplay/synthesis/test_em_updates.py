"""Rounds of EM with real trainings: what each step updates, what each alternative learns from, how the loop ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef
from selfplay.formats import rationale_block
from selfplay.run.records import Candidate, CandidateWeight
from selfplay.run.results import EMResult
from selfplay.stage.context import Context
from selfplay.synthesis.cold_start import ModelPair, cold_start_stage, models_of
from selfplay.synthesis.em import e_step, em_stage, m_step, round_models
from selfplay.synthesis.em_candidates import weigh_candidates
from selfplay.trl_trainers.model_folder import weights_hash
from selfplay.trl_trainers.sft import NothingToLearn
from tests.selfplay.synthesis import toy

TRAIN, HELDOUT = toy.seeds()[:8], toy.seeds()[8:12]


def one_round(folder: Path, model: ModelRef, settings: Recipe) -> tuple[Any, ModelPair, EMResult]:
    """A round from the toy model as both p and q: its stage, the pair after it, and its result."""
    before = ModelPair(model, model if settings.em.rationales else None)
    with toy.context(folder, settings) as context:
        stage = context.run.stage("em_1")
        stage.folder.mkdir(parents=True)
        counts = em_stage(stage, context, 1, before, TRAIN, HELDOUT)
        return stage, round_models(stage, before), counts


def taught(stage: Any, name: str) -> list[list[str]]:
    """The segments that a training learnt from."""
    rows = pq.read_table(stage.folder / f"{name}-examples.parquet").to_pylist()
    return [row["segments"] for row in rows]


def test_the_e_step_updates_q_alone_and_the_m_step_p_alone(tmp_path: Path, toy_model: ModelRef) -> None:
    before = weights_hash(Path(toy_model.path))
    stage, after, counts = one_round(tmp_path / "run", toy_model, toy.recipe())
    hashes = {name: weights_hash(stage.folder / name) for name in ("prompt-model", "rationale-model")}
    assert len({before, *hashes.values()}) == 3
    assert (after.p.fingerprint, after.rationale_model.fingerprint) == (
        hashes["prompt-model"],
        hashes["rationale-model"],
    )
    assert weights_hash(Path(toy_model.path)) == before
    assert counts.candidates == 4 * len(TRAIN)


def test_each_step_alone_leaves_the_other_model_as_it_is(tmp_path: Path, toy_model: ModelRef) -> None:
    """By the hashes of all files: the E-step writes no p, the M-step changes nothing of the q it reads."""
    with toy.context(tmp_path / "run", toy.recipe()) as context:
        stage = context.run.stage("em_1")
        stage.folder.mkdir(parents=True)
        pair = ModelPair(toy_model, toy_model)
        q = e_step(stage, context, toy_model, TRAIN, weigh_candidates(context, 1, pair, TRAIN))
        assert not (stage.folder / "prompt-model").exists()
        after_e = weights_hash(Path(q.path))
        p = m_step(stage, context, 1, ModelPair(toy_model, q), TRAIN)
        assert weights_hash(Path(q.path)) == after_e
        assert weights_hash(Path(p.path)) not in (after_e, weights_hash(Path(toy_model.path)))


def test_the_frozen_arm_keeps_q(tmp_path: Path, toy_model: ModelRef) -> None:
    stage, after, _ = one_round(tmp_path / "run", toy_model, toy.recipe(e_step="frozen"))
    assert after.q == toy_model
    assert after.p.fingerprint != toy_model.fingerprint
    assert len(stage.read("candidates", Candidate)) == 4 * len(TRAIN)


def test_the_annotated_arm_learns_from_the_seeds_rationales(tmp_path: Path, toy_model: ModelRef) -> None:
    stage, after, counts = one_round(tmp_path / "run", toy_model, toy.recipe(e_step="annotated"))
    assert after.q == toy_model
    assert "candidates" not in counts
    thoughts = [segments[0] for segments in taught(stage, "prompt-model")]
    assert thoughts == [rationale_block(pair.rationale) for pair in TRAIN]


def test_without_rationales_p_learns_the_problem_at_once(tmp_path: Path, toy_model: ModelRef) -> None:
    stage, after, counts = one_round(tmp_path / "run", toy_model, toy.recipe(rationales=False))
    assert after.q is None
    assert [len(segments) for segments in taught(stage, "prompt-model")] == [1] * len(TRAIN)
    row = counts.row
    assert row["joint_nll"] == row["bound"] == row["nll_given_rationale"] == row["nll_without_rationale"]


def test_soft_rounds_teach_q_every_candidate_by_its_weight(tmp_path: Path, toy_model: ModelRef) -> None:
    settings = toy.recipe(assignment="soft", soft_copies=5, m_step_rationales="sampled")
    stage, _, counts = one_round(tmp_path / "run", toy_model, settings)
    candidates = {row.id: row for row in stage.read("candidates", Candidate)}
    weights = stage.read("weights", CandidateWeight)
    assert [row.candidate_id for row in weights] == list(candidates)
    pairs = {row.seed_id for row in candidates.values() if row.chosen}
    texts = [segments[0] for segments in taught(stage, "rationale-model")]
    assert len(texts) == 5 * len(pairs)
    expected = [rationale_block(candidates[row.candidate_id].rationale) for row in weights for _ in range(row.copies)]
    assert texts == expected
    assert 1.0 <= counts.row["effective_candidates"] <= 4.0


@pytest.mark.parametrize("reward", ["mean", "information_gain"])
def test_other_rewards_are_in_the_table(tmp_path: Path, toy_model: ModelRef, reward: str) -> None:
    with toy.context(tmp_path / "run", toy.recipe(reward=reward)) as context:
        found = weigh_candidates(context, 1, ModelPair(toy_model, toy_model), TRAIN).candidates
    rows = [row for row in found if row.complete]
    assert len(rows) > len(TRAIN)
    if reward == "mean":
        expected = [row.log_p_rationale / 3 + row.log_p_problem / 5 for row in rows]
        assert [row.reward for row in rows] == pytest.approx(expected, abs=1e-6)
        return
    alone = {row.seed_id: row.log_p_problem - row.reward for row in rows}
    assert all(row.log_p_problem - row.reward == pytest.approx(alone[row.seed_id], abs=1e-6) for row in rows)
    assert len({round(value, 3) for value in alone.values()}) > 1


def test_a_rationale_that_nobody_writes_is_explained(tmp_path: Path, toy_model: ModelRef) -> None:
    with pytest.raises(NothingToLearn, match=r"lower em\.min_rationale_tokens"):
        one_round(tmp_path / "run", toy_model, toy.recipe(min_rationale_tokens=50))


def warm(settings: Recipe) -> Recipe:
    """The recipe without a cold start, which the toy model has behind it."""
    return settings.model_copy(update={"cold_start": settings.cold_start.model_copy(update={"enabled": False})})


def test_no_cold_start_begins_at_the_base(tmp_path: Path, toy_model: ModelRef) -> None:
    with toy.context(tmp_path / "run", warm(toy.recipe())) as context:
        stage = context.run.stage("cold_start")
        assert cold_start_stage(stage, context, toy_model, TRAIN) == 0
        assert models_of(stage, toy_model, context.recipe) == ModelPair(toy_model, toy_model)
        assert not stage.folder.exists()


@pytest.fixture
def loop(tmp_path: Path, toy_model: ModelRef) -> Callable[[Recipe], tuple[Context, ModelPair]]:
    """Runs the cold start and all rounds."""

    def run(settings: Recipe) -> tuple[Context, ModelPair]:
        with toy.context(tmp_path / "run", settings) as context:
            return context, toy.run_em(context, toy_model, TRAIN, HELDOUT)

    return run


def test_a_tripped_guard_ends_the_loop_and_keeps_the_best_round(
    loop: Callable[[Recipe], tuple[Context, ModelPair]], toy_model: ModelRef
) -> None:
    """A guard that no rationale can satisfy: every rationale of the toy language has one letter."""
    settings = warm(toy.recipe(rounds=3, guards={"min_length_ratio": 1.5}))
    context, kept = loop(settings)
    stages = context.run.path / "stages"
    assert [name for name in ("em_1", "em_2") if (stages / name).exists()] == ["em_1"]
    assert kept == ModelPair(kept.p, kept.p)
    assert Path(kept.p.path) == stages / "base" / "model"
    said = context.listener.notes  # type: ignore[attr-defined]
    assert len(said) == 1
    assert "em.guards.min_length_ratio is 1.5" in said[0]
    assert said[0].endswith("the models of the cold start go on")
    assert json.loads((stages / "em_1" / "manifest.json").read_text())["counts"]["stopped"] == said[0]
    # The same run again finds everything done, and comes to the same end.
    again, same = loop(settings)
    assert same == kept
    assert again.listener.notes == [], "what ended it was said when it did"  # type: ignore[attr-defined]


def test_a_round_of_adapters_leaves_the_base_as_it_is(tmp_path: Path, toy_model: ModelRef) -> None:
    """p and q are adapters of one base from the cold start on, and each step trains its own."""
    lora = {"r": 4, "target_modules": ["q_proj", "v_proj"]}
    settings = warm(toy.recipe(rounds=2)).model_copy(update={"generator_lora": lora})
    before = weights_hash(Path(toy_model.path))
    with toy.context(tmp_path / "run", settings) as context:
        pair = toy.run_em(context, toy_model, TRAIN, HELDOUT)
    assert pair.p.base == pair.rationale_model.base
    assert pair.p.base is not None
    assert pair.p.base.fingerprint == before
    assert pair.p.fingerprint != pair.rationale_model.fingerprint
    assert weights_hash(Path(toy_model.path)) == before
    assert not list((tmp_path / "run" / "stages").glob("em_*/*-model/model.safetensors"))
