"""Rollouts by an engine that holds weights of its own: it has the trainer's after every sync, or the training ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig

from selfplay.config.rules import GRPORule, RolloutEngine
from selfplay.config.training import TrainingSettings
from selfplay.engines.base import ModelRef
from selfplay.engines.loading import load_for_training
from selfplay.rollouts.reward_function import VerifiedReward
from selfplay.rollouts.rollout_log import RolloutLog
from selfplay.trl_trainers import arguments
from selfplay.trl_trainers.grpo_engine import PromptTooLong, arguments_for, bound_of, engine_for
from selfplay.trl_trainers.grpo_trainer import SelfplayGRPOTrainer
from selfplay.trl_trainers.prompt_walk import PromptWalk
from selfplay.trl_trainers.rollout_groups import Tally
from selfplay.trl_trainers.vllm_rollouts.generation import SlowSync, within
from selfplay.trl_trainers.vllm_rollouts.probe import (
    Bound,
    StaleEngine,
    WeightProbe,
    logprobs_of,
    mismatch,
    shares,
)
from selfplay.trl_trainers.vllm_rollouts.seeded_engine import SeededEngine
from selfplay.trl_trainers.vllm_server.ahead import OneAhead
from tests.selfplay.trl_trainers.model_variants import mixture, tied
from tests.selfplay.trl_trainers.test_grpo_trainer import GROUP, GROUPS, POOL, Rule, RuledJudge, pool
from tests.selfplay.trl_trainers.toy_vllm import SamplingParams, ToyLLM, toy_vllm

__all__ = ["toy_vllm"]
Train = Callable[..., Any]
BY_VLLM = GRPORule(rollouts="vllm")
ALONE = GRPORule(rollouts="vllm", vllm=RolloutEngine(adapter="alone"))
LORA: dict[str, Any] = {"r": 4, "target_modules": ["q_proj"]}
ALTERNATE: Rule = lambda place, number, text: float(number % 2)  # noqa: E731


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Trains two steps with vLLM's rollouts; gives the trainer."""

    def run(
        model: ModelRef,
        *,
        lora: bool = False,
        top_up: float = 0.0,
        rule: Rule = ALTERNATE,
        by: GRPORule = BY_VLLM,
        **args: Any,
    ) -> Any:
        network, tokenizer = load_for_training(model, lora)
        settings = {
            "max_steps": 2,
            "per_device_train_batch_size": GROUP * GROUPS,
            "num_generations": GROUP,
            "max_completion_length": 4,
            "learning_rate": 1e-2,
            "lr_scheduler_type": "constant",
            "beta": 0.0,
        }
        config = arguments.build("grpo", settings | args, str(tmp_path), 3, "cpu", arguments_for(by))
        judge: Any = RuledJudge(rule)
        log = RolloutLog(tmp_path / "rollouts-0.jsonl", 0)
        rows = Dataset.from_list(pool())
        job: Any = SimpleNamespace(model=model, rule=by, lora=LORA if lora else None)
        place: Any = SimpleNamespace(device="cpu", seed=3, spared=())
        with engine_for(job, place, network, tokenizer, rows, config):
            trainer = SelfplayGRPOTrainer(
                model=network,
                reward_funcs=VerifiedReward(judge, log, 0, 3, False),
                pool=pool(),
                walk=PromptWalk(POOL, 3, False) if top_up else None,
                top_up=top_up,
                tally=Tally(),
                ahead=OneAhead() if by.max_staleness else None,
                args=config,
                train_dataset=rows,
                processing_class=tokenizer,
                peft_config=LoraConfig(task_type="CAUSAL_LM", **LORA) if lora else None,
            )
            trainer.train()
        return trainer

    return run


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "rollouts-0.jsonl").read_text().splitlines()]


def test_an_engine_that_takes_all_weights_is_followed(
    train: Train, tiny_model: ModelRef, toy_vllm: type[ToyLLM]
) -> None:
    trainer = train(tiny_model)
    steps = [entry for entry in trainer.state.log_history if "sampling/kl" in entry]
    assert len(steps) == 2
    for entry in steps:
        assert entry["sampling/probe/max"] < 1e-5
        assert entry["sampling/sampling_logp_difference/max"] < 1e-5
        assert entry["sampling/importance_sampling_ratio/mean"] == pytest.approx(1.0, abs=1e-4)
        assert 0 <= entry["sampling/kl"] < 1e-6
        assert entry["sampling/clip_share"] == 0
        assert entry["sampling/sync_s"] >= 0 <= entry["sampling/probe_s"]
    (engine,) = toy_vllm.opened
    assert engine.reloads == 2
    assert len(set(engine.seeds)) == 2 * GROUP * GROUPS, "each completion has a seed of its own"
    assert engine.settings["model"] == tiny_model.path
    assert not engine.settings["trust_remote_code"]
    assert engine.settings["logprobs_mode"] == "processed_logprobs"


def test_groups_are_topped_up_with_one_sync_a_step(
    train: Train, tiny_model: ModelRef, toy_vllm: type[ToyLLM], tmp_path: Path
) -> None:
    trainer = train(tiny_model, top_up=1.0, rule=lambda place, number, text: 1.0 if place % 2 else float(number % 2))
    assert trainer.tally.groups > 2 * GROUPS
    assert {line["call"] for line in lines(tmp_path)} > {1, 2}
    assert toy_vllm.opened[0].reloads == 2


def kept(*parts: str) -> Callable[[str], bool]:
    return lambda name: not any(part in name for part in parts)


def test_an_engine_that_keeps_its_weights_ends_the_training(
    train: Train, tiny_model: ModelRef, toy_vllm: type[ToyLLM]
) -> None:
    toy_vllm.takes = staticmethod(lambda name: False)
    with pytest.raises(StaleEngine, match=r"sync at step 1 .* it answers as before the last step; look at") as caught:
        train(tiny_model)
    assert "training.grpo.rollouts" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tied_head_that_stays_is_named(
    train: Train, tiny_model: ModelRef, toy_vllm: type[ToyLLM], tmp_path: Path
) -> None:
    model = tied(tiny_model, tmp_path / "tied")
    toy_vllm.takes = staticmethod(kept("embed_tokens", "lm_head"))
    with pytest.raises(StaleEngine, match="the output head, which is tied to the embeddings"):
        train(model)


def test_a_dropped_adapter_is_named(train: Train, tiny_model: ModelRef, toy_vllm: type[ToyLLM]) -> None:
    toy_vllm.takes = staticmethod(kept("q_proj"))
    with pytest.raises(StaleEngine, match=r"as (the base without its adapter|before the last step); look at the adap"):
        train(tiny_model, lora=True)


@pytest.mark.long
def test_a_merged_adapter_arrives(train: Train, tiny_model: ModelRef, toy_vllm: type[ToyLLM]) -> None:
    trainer = train(tiny_model, lora=True)
    found = [entry["sampling/probe/max"] for entry in trainer.state.log_history if "sampling/probe/max" in entry]
    assert len(found) == 2
    assert max(found) < 1e-5


def test_an_adapter_that_goes_alone_arrives_without_the_base(
    train: Train, tiny_model: ModelRef, toy_vllm: type[ToyLLM]
) -> None:
    trainer = train(tiny_model, lora=True, by=ALONE)
    found = [entry["sampling/probe/max"] for entry in trainer.state.log_history if "sampling/probe/max" in entry]
    assert len(found) == 2
    assert max(found) < 1e-5
    (engine,) = toy_vllm.opened
    assert engine.reloads == 0
    assert len(engine.adapters) == 2
    assert (engine.settings["enable_lora"], engine.settings["max_lora_rank"]) == (True, 8)
    assert engine.settings["lora_target_modules"] == ["q_proj"]
    assert not Path(engine.adapters[-1].path).exists(), "its files go with the engine"


def test_a_base_to_which_adapters_alone_are_sent_is_kept_in_sleep() -> None:
    slept: list[dict[str, int]] = []
    llm = SimpleNamespace(sleep=lambda **how: slept.append(how))
    for keeps in (True, False):
        SeededEngine(llm, 7, (1,), keeps_base=keeps).sleep(level=2)
    assert slept == [{"level": 1}, {"level": 2}]


@pytest.mark.parametrize(
    ("lora", "rollouts", "says"),
    [
        (LORA, "server", "is for rollouts: vllm, but rollouts is server"),
        (None, "vllm", "lora is not set"),
        (LORA | {"target_modules": ["lm_head"]}, "vllm", "lora.target_modules is nothing that vLLM takes alone"),
        (LORA | {"use_dora": True}, "vllm", "lora.use_dora is nothing that vLLM takes alone"),
    ],
)
def test_adapters_that_cannot_go_alone_are_refused(lora: Any, rollouts: str, says: str) -> None:
    grpo = {"rollouts": rollouts, "vllm": {"adapter": "alone"}}
    with pytest.raises(ValueError, match=says):
        TrainingSettings.model_validate({"lora": lora, "grpo": grpo})


def test_packed_experts_that_stay_are_named(
    train: Train, tiny_model: ModelRef, toy_vllm: type[ToyLLM], tmp_path: Path
) -> None:
    model = mixture(tiny_model, tmp_path / "experts")
    toy_vllm.takes = staticmethod(kept("experts"))
    with pytest.raises(StaleEngine, match=r"the experts, which are packed \(model.layers.0.mlp.experts"):
        train(model)


def test_a_prompt_without_room_for_a_completion_is_refused(
    train: Train, tiny_model: ModelRef, toy_vllm: type[ToyLLM]
) -> None:
    with pytest.raises(PromptTooLong, match="vllm_max_model_length: is 5, but a prompt has"):
        train(tiny_model, vllm_max_model_length=5)


# The probe by itself.


def test_what_the_trainer_says_depends_on_no_padding(tiny_model: ModelRef) -> None:
    network, _ = load_for_training(tiny_model, False)
    network.train()
    sequences = [[5, 6, 7, 8, 9], [9, 8]]
    found = logprobs_of(network, sequences)
    for ids, ours in zip(sequences, found, strict=True):
        with torch.no_grad():
            rows = network(torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
        assert ours == pytest.approx([float(row[token]) for token, row in zip(ids[1:], rows, strict=True)], abs=1e-5)
    assert network.training


def test_rounding_is_allowed_where_it_is_meant_and_a_step_that_was_not_heard_is_not() -> None:
    trainer = [[-1.0, -2.0, -3.0]]
    rounded = [[-1.01, -2.06, -2.95]]
    exact, loose = WeightProbe([[1, 2]], Bound.between(True)), WeightProbe([[1, 2]], Bound.between(False))
    assert not exact.agrees(exact.heard(trainer, rounded))
    assert loose.agrees(loose.heard(trainer, rounded))
    moved = [[-1.01, -2.01, -2.99]]
    assert loose.agrees(loose.heard(moved, [[-1.02, -2.06, -2.95]]))
    assert not loose.agrees(loose.heard(trainer, [[-1.02, -2.06, -2.95]])), "the very same answers after a step"
    # A trainer that has hardly moved says nothing about its engine.
    assert loose.agrees(loose.heard([[-1.0, -2.0, -3.0001]], [[-1.02, -2.06, -2.95]]))


def test_a_cache_in_another_format_rounds_too(tiny_model: ModelRef) -> None:
    config = SimpleNamespace(bf16=False, fp16=False)
    for args, exact in (({}, True), ({"kv_cache_dtype": "auto"}, True), ({"kv_cache_dtype": "fp8"}, False)):
        job: Any = SimpleNamespace(model=tiny_model, rule=GRPORule(rollouts="vllm", vllm=RolloutEngine(args=args)))
        assert bound_of(job, config) == Bound.between(exact)


def test_answers_that_are_no_numbers_agree_with_nothing() -> None:
    probe = WeightProbe([[1, 2]], Bound.between(False, 100.0))
    assert not probe.agrees(probe.heard([[-1.0]], [[float("nan")]]))


def test_a_sync_that_hangs_is_given_up() -> None:
    with pytest.raises(SlowSync, match=r"sync_timeout_s: the sync took longer than 0.05 s; raise it"):
        within(0.05, lambda: time.sleep(5), "the sync")


def test_what_fails_within_the_time_fails_as_it_is() -> None:
    def broken() -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        within(5, broken, "the sync")


def test_seeds_are_those_of_step_call_and_place() -> None:
    asked: list[list[int]] = []
    llm = SimpleNamespace(generate=lambda prompts, sampling_params: asked.append([p.seed for p in sampling_params]))
    engine = SeededEngine(llm, 7, (1,))
    for step in (3, 3, 4, 3):
        engine.at(step)
        engine.generate([0, 0], SamplingParams())
    first, second, later, again = asked
    assert again == first
    assert len({*first, *second, *later}) == 6


def test_divergence_and_clipped_share_are_those_of_the_tokens_in_the_loss() -> None:
    ours = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -1.0, -9.0]])
    theirs = torch.tensor([[-1.5, -2.0, -3.0], [-3.0, float("nan"), -1.0]])
    output = {
        "completion_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
        "old_per_token_logps": ours,
        "sampling_per_token_logps": theirs,
    }
    by_token = SimpleNamespace(
        vllm_importance_sampling_mode="token_mask",
        vllm_importance_sampling_clip_min=None,
        vllm_importance_sampling_clip_max=3.0,
    )
    e = torch.e
    divergence = (e**0.5 - 1.5) + (e**2 - 3)
    assert shares(mismatch(output, by_token)) == pytest.approx(
        {"sampling/kl": divergence / 5, "sampling/clip_share": 0.2}
    )
    by_sequence = SimpleNamespace(**{**vars(by_token), "vllm_importance_sampling_mode": "sequence_mask"})
    assert shares(mismatch(output, by_sequence))["sampling/clip_share"] == 0.5
