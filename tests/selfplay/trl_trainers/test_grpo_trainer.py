"""The trainer on real TRL: what a rollout without a reward does to its group, and which rollouts are learnt from."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset
from trl import GRPOTrainer

from selfplay.engines.base import ModelRef
from selfplay.engines.loading import load_for_training
from selfplay.quickstart import seeds
from selfplay.rollouts.reward_function import VerifiedReward
from selfplay.rollouts.rollout_log import RolloutLog
from selfplay.run.tables import plain_row
from selfplay.trl_trainers import arguments, grpo_trainer, session
from selfplay.trl_trainers.grpo_state import KeepGroups, restore_groups
from selfplay.trl_trainers.grpo_trainer import SelfplayGRPOTrainer
from selfplay.trl_trainers.prompt_walk import PromptWalk
from selfplay.trl_trainers.rollout_groups import Tally
from selfplay.trl_trainers.sft import NothingToLearn
from verifiers.model import Task, Verdict

GROUP, GROUPS, POOL = 4, 3, 12
Rule = Callable[[int, int, str], float | None]
"""From the place of a task, the number of its rollout and the text to a reward."""


class RuledJudge:
    """Gives the rewards that a rule says, by the task's answer and how often it was seen before."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self.seen: dict[int, int] = {}

    async def judge(self, items: Any) -> list[Verdict]:
        await asyncio.sleep(0)
        return [self._verdict(task, text) for _, task, text in items]

    def _verdict(self, task: Task, text: str) -> Verdict:
        place = int(task.answer or 0)
        number = self.seen.get(place, 0)
        self.seen[place] = number + 1
        reward = self._rule(place, number, text)
        if reward is None:
            return Verdict(None, None, "not_checked")
        return Verdict(reward >= 1, reward, "correct" if reward >= 1 else "wrong")


def pool() -> list[dict[str, Any]]:
    problems = seeds.generate("math", POOL, 0)
    return [
        {
            "row": place,
            "prompt": problem.problem,
            "task_id": f"t{place}",
            "domain": "math",
            "task": plain_row(Task(answer=str(place))),
        }
        for place, problem in enumerate(problems)
    ]


@pytest.fixture
def make(tiny_model: ModelRef, tmp_path: Path) -> Callable[..., SelfplayGRPOTrainer]:
    def build(rule: Rule, top_up: float = 0.0, budget: int = 0, **args: Any) -> Any:
        network, tokenizer = load_for_training(tiny_model, False)
        settings = {
            "max_steps": 2,
            "per_device_train_batch_size": GROUP * GROUPS,
            "num_generations": GROUP,
            "max_completion_length": 8,
            "learning_rate": 1e-2,
            "lr_scheduler_type": "constant",
            "shuffle_dataset": False,
            "beta": 0.0,
        }
        config = arguments.build("grpo", settings | args, str(tmp_path), 3, "cpu")
        judge: Any = RuledJudge(rule)
        reward = VerifiedReward(judge, RolloutLog(tmp_path / "rollouts-0.jsonl", 0), 0, 3, False)
        rows, tally = pool(), Tally()
        walk = PromptWalk(POOL, 3, False) if top_up else None
        return SelfplayGRPOTrainer(
            model=network,
            reward_funcs=reward,
            pool=rows,
            walk=walk,
            top_up=top_up,
            tally=tally,
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            callbacks=[KeepGroups(tally, walk, budget)],
        )

    return build


def scored(trainer: SelfplayGRPOTrainer, places: list[int]) -> dict[str, Any]:
    """What TRL would learn from, for one generation batch of the tasks."""
    trainer.model.train()
    rows = pool()
    return trainer._generate_and_score_completions([dict(rows[place]) for place in places for _ in range(GROUP)])


def test_a_rollout_without_a_reward_shifts_no_baseline_and_has_no_token_in_the_loss(make: Any) -> None:
    rewards: dict[int, list[float | None]] = {0: [1.0, None, 0.0, 0.0], 1: [None, None, None, 1.0], 2: [None] * 4}
    output = scored(make(lambda place, number, text: rewards[place][number]), [0, 1, 2])
    mean, deviation = 1 / 3, (1 / 3) ** 0.5
    right, wrong = (1 - mean) / (deviation + 1e-4), -mean / (deviation + 1e-4)
    assert output["advantages"].tolist() == pytest.approx([right, 0.0, wrong, wrong, *[0.0] * 8], abs=1e-5)
    tokens = output["completion_mask"].sum(1).tolist()
    assert [count > 0 for count in tokens] == [reward is not None for group in rewards.values() for reward in group]
    assert int(output["num_items_in_batch"]) == sum(tokens)


@pytest.mark.parametrize("beta", [0.0, 0.5])
@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo", "luspo", "sapo", "bnpo"])
def test_what_could_not_be_checked_moves_no_weight(make: Any, beta: float, loss: str) -> None:
    """The gradient is that of the batch without those rollouts, also where a KL term looks at every token."""
    level = {"importance_sampling_level": "sequence"} if loss == "luspo" else {}

    def gradient(keep: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        trainer = make(lambda place, number, text: [1.0, None, 0.0, 0.0][number], beta=beta, loss_type=loss, **level)
        if beta:
            with torch.no_grad():  # away from the reference, so that the KL term has a gradient
                trainer.model.lm_head.weight.add_(torch.randn(trainer.model.lm_head.weight.shape), alpha=0.1)
        torch.manual_seed(5)
        output = scored(trainer, [0, 1, 2])
        rows = keep(torch.arange(GROUP * GROUPS))
        batch = {name: value[rows] if value.dim() else value for name, value in output.items()}
        trainer.current_gradient_accumulation_steps = 1
        if len(rows) < GROUP * GROUPS:
            trainer._rows_per_scored = 1.0
        trainer.compute_loss(trainer.model, batch).backward()
        return torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])

    without = gradient(lambda rows: rows[rows % GROUP != 1])
    assert without.abs().max() > 0
    # Sums of float32 in another order: at most a part in 100,000 of the largest element.
    assert (gradient(lambda rows: rows) - without).abs().max() < 1e-5 * without.abs().max()


def test_a_batch_of_rollouts_without_a_reward_shortens_no_step(make: Any) -> None:
    """bnpo is a mean over batches: one by one, the rollouts that could not be checked are batches of their own."""
    gradients = {}
    for loss in ("bnpo", "grpo"):  # the same where each rollout is a batch
        batches = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": GROUP * GROUPS}
        trainer = make(lambda place, number, text: [1.0, None, 0.0, 0.0][number], beta=0.5, loss_type=loss, **batches)
        trainer.model.train()
        trainer.current_gradient_accumulation_steps = GROUP * GROUPS
        torch.manual_seed(5)
        rows = [dict(row) for row in pool()[:GROUPS] for _ in range(GROUP)]
        for step in range(GROUP * GROUPS):
            trainer._step = step
            trainer.compute_loss(trainer.model, trainer._prepare_inputs(rows)).backward()
        gradients[loss] = torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])
    difference = (gradients["bnpo"] - gradients["grpo"]).abs().max()
    assert difference < 1e-5 * gradients["grpo"].abs().max()


def test_cut_rollouts_that_are_masked_teach_nothing(make: Any) -> None:
    trainer = make(lambda place, number, text: float(number == 0), mask_truncated_completions=True)
    output = scored(trainer, [0, 1, 2])
    kept = output["completion_mask"].any(dim=1)
    assert not kept.all(), "an untrained model seldom ends within eight tokens"
    assert output["advantages"].view(GROUPS, GROUP).abs().amax(dim=1).all(), "the rewards of every group differ"
    teaching = (kept & (output["advantages"] != 0)).view(GROUPS, GROUP).any(dim=1)
    assert trainer.tally.groups_with_variance == int(teaching.sum()) < GROUPS
    tokens = output["completion_mask"].view(GROUPS, -1).sum(dim=1)
    assert trainer.tally.informative_tokens == int((tokens * teaching).sum())


def test_groups_whose_informative_rollouts_were_cut_are_replaced(make: Any) -> None:
    trainer = make(lambda place, number, text: float(number == 0), 1.0, mask_truncated_completions=True)
    trainer._is_left_out = lambda ids: True
    scored(trainer, [0, 1, 2])
    assert (trainer.tally.groups, trainer.tally.groups_with_variance) == (2 * GROUPS, 0)


def test_groups_without_variance_are_replaced_within_the_budget(make: Any, tmp_path: Path) -> None:
    # Tasks 0, 2 and 4 are always solved; the others on every second try.
    trainer = make(lambda place, number, text: 1.0 if place in (0, 2, 4) else float(number % 2), 1.0)
    output = scored(trainer, [9, 9, 9])
    assert trainer.tally.state() == {
        "tokens": trainer.tally.tokens,
        "informative_tokens": trainer.tally.informative_tokens,
        "groups": 6,
        "groups_with_variance": 3,
    }
    assert (output["advantages"].abs() > 0.5).all()
    lines = [json.loads(line) for line in (tmp_path / "rollouts-0.jsonl").read_text().splitlines()]
    rolled = {(line["call"], line["task_id"]) for line in lines}
    # Three places; tasks 0 and 2 are replaced by 3 and 4, and 4 by 5: the budget of three is spent.
    assert rolled == {(1, "t0"), (1, "t1"), (1, "t2"), (2, "t3"), (2, "t4"), (3, "t5")}
    trained_on = {"t1", "t3", "t5"}
    texts = trainer.processing_class.batch_decode(output["completion_ids"], skip_special_tokens=True)
    assert sorted(texts) == sorted(line["completion"] for line in lines if line["task_id"] in trained_on)
    assert trainer._logs["prompt"][GROUP] == pool()[1]["prompt"]
    prompts = trainer.processing_class.batch_decode(output["prompt_ids"], skip_special_tokens=True)
    assert {pool()[int(task[1:])]["prompt"] for task in trained_on} == set(prompts)


def test_further_groups_land_in_the_places_that_are_this_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ranks of two groups of two: the second holds rows 4 to 7."""
    further = ["f0", "f1", "f2", "f3"]
    monkeypatch.setattr(grpo_trainer, "gather_object", lambda rolled: further)
    rank: Any = SimpleNamespace(accelerator=SimpleNamespace(process_index=1), num_generations=2)
    batch: list[Any] = ["r4", "r5", "r6", "r7"]
    SelfplayGRPOTrainer._replace(rank, batch, [], [(3, 1), (0, 0)])
    assert batch == ["r4", "r5", "f2", "f3"]


def test_a_batch_that_cannot_be_filled_keeps_what_it_has(make: Any) -> None:
    trainer = make(lambda place, number, text: 0.0, 0.5)
    output = scored(trainer, [0, 1, 2])
    assert trainer.tally.groups == GROUPS + 1
    assert not output["advantages"].any()


def test_without_choice_and_unchecked_rollouts_it_trains_as_trl_does(make: Any) -> None:
    def rule(place: int, number: int, text: str) -> float:
        return float(len(text) % 2)

    ours = make(rule)
    ours.train()
    plain = make(rule)
    reference = GRPOTrainer(
        model=plain.model,
        reward_funcs=lambda completions, **_: [float(len(text) % 2) for text in completions],
        args=plain.args,
        train_dataset=plain.train_dataset,
        processing_class=plain.processing_class,
    )
    reference.train()
    for own, other in zip(ours.model.parameters(), reference.model.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=0)


def test_what_a_person_watches_reaches_the_log(make: Any, tmp_path: Path) -> None:
    trainer = make(lambda place, number, text: float(place == 1 and number % 2), beta=0.1)
    session.run_training(trainer, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    wanted = {
        "entropy",
        "kl",
        "completions/mean_length",
        "completions/clipped_ratio",
        "frac_reward_zero_std",
        "reward/math",
        "not_checked/math",
        "groups/with_variance",
        "tokens/informative",
        "tokens/generated",
    }
    steps = [line["metrics"] for line in lines if "loss" in line["metrics"]]
    assert len(steps) == 2
    assert all(wanted <= set(metrics) for metrics in steps)
    assert [metrics["groups/with_variance"] for metrics in steps] == [pytest.approx(1 / 3), 0.0]
    assert 0 < steps[0]["tokens/informative"] < 1
    assert sum(metrics["tokens/generated"] for metrics in steps) == trainer.tally.tokens
    for metrics in steps:
        parts = [metrics[f"time/{part}"] for part in ("generation", "reward", "update")]
        assert min(parts) > 0
        assert sum(parts) == pytest.approx(metrics["step_time"], abs=1e-3)
        assert metrics["tokens/per_second"] == pytest.approx(metrics["tokens/generated"] / parts[0], rel=0.01)


@pytest.mark.parametrize("saving", [{"save_steps": 1}, {"save_strategy": "epoch"}])
def test_a_budget_of_tokens_ends_the_training(make: Any, saving: dict[str, Any], tmp_path: Path) -> None:
    trainer = make(lambda place, number, text: 0.0, budget=1, max_steps=4, **saving)
    session.run_training(trainer, tmp_path)
    assert trainer.state.global_step == 1
    assert session.last_checkpoint(tmp_path) is None


def test_too_few_prompts_for_a_batch_are_said(make: Any) -> None:
    with pytest.raises(NothingToLearn, match=r"takes 24 prompts, .* have 12: raise num_train_epochs"):
        make(lambda place, number, text: 0.0, max_steps=-1, gradient_accumulation_steps=8)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"grpo_state.json: is missing, .*; delete"):
        restore_groups(str(tmp_path / "checkpoint-3"), None)
