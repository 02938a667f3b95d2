"""The targets of the synthesis trainings: greedy rationales of the updated q, and completions without their prompts."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from selfplay.engines.base import ModelRef, Sample, Sampling
from selfplay.engines.loading import load
from selfplay.formats import problem_block, rationale_block
from selfplay.run.directory import Stage
from selfplay.stage.context import Context
from selfplay.synthesis.cold_start import ModelPair, cold_start_stage
from selfplay.synthesis.em import em_stage, round_models
from selfplay.synthesis.likelihood import for_prompt_model, for_rationale_model, is_whole
from tests.selfplay.synthesis import toy

TRAIN, HELDOUT = toy.seeds()[:8], toy.seeds()[8:12]


def drawn(context: Context, q: ModelRef, how: Sampling, seed: int = 0) -> list[Sample]:
    """One rationale of q for each training pair."""
    return context.engine(q).generate([for_rationale_model(context.recipe, pair) for pair in TRAIN], how, seed)


def test_p_learns_the_greedy_rationales_of_the_updated_q(tmp_path: Path, toy_model: ModelRef) -> None:
    """The E-step is long enough for q to write other rationales after it, greedily and when it is sampled."""
    step = {"max_steps": 6, "per_device_train_batch_size": 8, "learning_rate": 3e-3}
    before = ModelPair(toy_model, toy_model)
    with toy.context(tmp_path / "run", toy.recipe(e_step_args=step)) as context:
        stage = context.run.stage("em_1")
        stage.folder.mkdir(parents=True)
        em_stage(stage, context, 1, before, TRAIN, HELDOUT)
        updated = round_models(stage, before).rationale_model
        how = Sampling(0.0, toy.LIMIT)
        greedy = drawn(context, updated, how)
        sampled = drawn(context, updated, Sampling(1.0, toy.LIMIT), context.seed("em", 1, "sampled"))
        old = drawn(context, toy_model, how)
    learnt = [row["segments"][0] for row in pq.read_table(stage.folder / "prompt-model-examples.parquet").to_pylist()]
    assert learnt == [sample.text for sample in greedy if is_whole(sample)]
    others = ([sample.text for sample in some] for some in (old, sampled))
    assert [sample.text for sample in greedy] not in list(others), "the three could not be told apart"


def first_loss(stage: Stage, name: str) -> float:
    """The loss that the trainer told of its first step."""
    lines = (stage.folder / f"{name}-training" / "log.jsonl").read_text().splitlines()
    return float(json.loads(lines[0])["metrics"]["loss"])


def by_hand(model: ModelRef, pairs: list[tuple[str, str]]) -> float:
    """The mean over all tokens of all targets, each with its end, of -log p(token | prompt and what came before)."""
    import torch

    network, tokenizer = load(model, "cpu")
    terms: list[float] = []
    for prompt, target in pairs:
        prefix = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        ids = [*prefix, *tokenizer(target, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        with torch.no_grad():
            found = torch.log_softmax(network(torch.tensor([ids])).logits[0].double(), -1)
        terms += [-float(found[place - 1, ids[place]]) for place in range(len(prefix), len(ids))]
    return sum(terms) / len(terms)


def test_the_loss_of_the_cold_start_counts_the_completion_alone(tmp_path: Path, toy_model: ModelRef) -> None:
    step = {"max_steps": 1, "per_device_train_batch_size": len(TRAIN), "learning_rate": 1e-4}
    settings = toy.recipe()
    arguments = {"prompt_model_args": step, "rationale_model_args": step}
    settings = settings.model_copy(update={"cold_start": settings.cold_start.model_copy(update=arguments)})
    with toy.context(tmp_path / "run", settings) as context:
        stage = context.run.stage("cold_start")
        stage.folder.mkdir(parents=True)
        cold_start_stage(stage, context, toy_model, TRAIN)
    blocks = [(rationale_block(pair.rationale), problem_block(pair.problem)) for pair in TRAIN]
    of_p = [(for_prompt_model(settings, pair), z + x) for pair, (z, x) in zip(TRAIN, blocks, strict=True)]
    of_q = [(for_rationale_model(settings, pair), z) for pair, (z, _) in zip(TRAIN, blocks, strict=True)]
    assert first_loss(stage, "prompt-model") == pytest.approx(by_hand(toy_model, of_p), abs=1e-4)
    assert first_loss(stage, "rationale-model") == pytest.approx(by_hand(toy_model, of_q), abs=1e-4)
