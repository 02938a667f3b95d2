"""From verdicts to rewards: none where no verdict was reached, and each completion judged by its own domain."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.rollouts.mode_collapse import FEWEST_TASKS, ModeCollapse
from selfplay.rollouts.reward_function import VerifiedReward, shuffled_rewards, text_of
from selfplay.rollouts.rollout_log import RolloutLog
from selfplay.run.tables import plain_row
from verifiers.mathematics.verifier import MathVerifier
from verifiers.model import Task, Verdict

ROW = {"task_id": "t", "domain": "math", "task": plain_row(Task("1?", "1"))}
VERDICTS = {"good": Verdict(True, 1.0, "correct"), "bad": Verdict(False, 0.0, "wrong")}
UNREACHED = Verdict(None, None, "timed_out", "too slow")


class FakeJudge:
    async def judge(self, items: Any) -> list[Verdict]:
        return [VERDICTS.get(completion, UNREACHED) for _, _, completion in items]


def call(reward: VerifiedReward, completions: list[Any], logged: dict[str, float]) -> list[float | None]:
    n = len(completions)
    values: dict[str, list[float]] = {}
    judged = reward(
        prompts=["p"] * n,
        completions=completions,
        completion_ids=[[1] * (place + 1) for place in range(n)],
        task_id=[f"t{i}" for i in range(n)],
        domain=["math"] * n,
        task=[ROW["task"]] * n,
        trainer_state=SimpleNamespace(global_step=4),
        log_metric=lambda name, value: values.setdefault(name, []).append(value),
    )
    rewards = asyncio.run(judged)
    # As TRL does, over all ranks.
    logged.update({name: sum(of) / len(of) for name, of in values.items()})
    return rewards


def make(folder: Path, shuffled: bool = False) -> VerifiedReward:
    judge: Any = FakeJudge()
    return VerifiedReward(judge, RolloutLog(folder / "rollouts.jsonl", 0), rank=0, seed=1, shuffled=shuffled)


def test_a_verdict_that_was_not_reached_is_no_reward(tmp_path: Path) -> None:
    logged: dict[str, float] = {}
    assert call(make(tmp_path), ["good", "bad", "slow"], logged) == [1.0, 0.0, None]
    assert logged == {"reward/math": 0.5, "not_checked/math": pytest.approx(1 / 3)}


def test_components_are_logged_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"right": {"reward": 1.0, "details": {"components": {"inner": {"reward": 0.5}}}}, "form": {"reward": None}}
    monkeypatch.setitem(VERDICTS, "good", Verdict(True, 1.0, "correct", details={"components": parts}))
    logged: dict[str, float] = {}
    call(make(tmp_path), ["good", "bad"], logged)
    assert logged == {
        "reward/math": 0.5,
        "not_checked/math": 0.0,
        "reward/math/right": 1.0,
        "reward/math/right/inner": 0.5,
    }
    rows = [json.loads(line) for line in (tmp_path / "rollouts.jsonl").read_text().splitlines()]
    assert rows[0]["components"] == {"right": 1.0, "right/inner": 0.5, "form": None}


def test_a_favourite_wrong_answer_is_logged(tmp_path: Path) -> None:
    verifiers = {"math": MathVerifier(workers=1)}
    reward = make(tmp_path)
    reward._favourites = ModeCollapse(verifiers)
    logged: dict[str, float] = {}
    call(reward, ["good"] * FEWEST_TASKS, logged)
    assert logged["one_wrong_answer/math"] == 0.0
    VERDICTS["so \\boxed{7}"] = VERDICTS["bad"]
    call(reward, ["so \\boxed{7}"] * 3 * FEWEST_TASKS, logged)
    assert logged["one_wrong_answer/math"] == 0.75
    verifiers["math"].close()


def test_every_rollout_is_kept_with_its_reason(tmp_path: Path) -> None:
    call(make(tmp_path), ["good", "slow"], {})
    rows = [json.loads(line) for line in (tmp_path / "rollouts.jsonl").read_text().splitlines()]
    assert [(row["step"], row["place"], row["reward"], row["reason"]) for row in rows] == [
        (4, 0, 1.0, ""),
        (4, 1, None, "too slow"),
    ]


def test_shuffled_rewards_are_the_same_rewards_elsewhere(tmp_path: Path) -> None:
    completions = ["good", "bad"] * 10
    first = call(make(tmp_path, shuffled=True), completions, {})
    assert sorted(first) == sorted([1.0, 0.0] * 10)  # type: ignore[type-var]
    assert first != [1.0, 0.0] * 10
    assert first == call(make(tmp_path, shuffled=True), completions, {})


def test_shuffling_gives_no_reward_to_what_could_not_be_checked() -> None:
    rewards = [1.0, None, 0.0, 0.5, None, 0.25]
    shuffled = [shuffled_rewards(rewards, seed) for seed in range(20)]
    assert all([reward is None for reward in found] == [reward is None for reward in rewards] for found in shuffled)
    assert len({tuple(found) for found in shuffled}) > 1


def test_rewards_that_were_handed_over_are_given_once_with_the_metrics_of_their_judging(tmp_path: Path) -> None:
    reward = make(tmp_path)
    reward.handed_over = asyncio.run(reward.judge(["good", "bad"], [[1], [1, 2]], [ROW] * 2, step=4))
    logged: dict[str, float] = {}
    assert call(reward, ["slow", "slow"], logged) == [1.0, 0.0]
    assert logged == {"reward/math": 0.5, "not_checked/math": 0.0}
    assert reward.lengths == [1, 2]
    assert call(reward, ["bad", "bad"], logged) == [0.0, 0.0]


def test_batches_of_a_step_count_by_their_rollouts(tmp_path: Path) -> None:
    """What is topped up is fewer rollouts than what it is added to."""
    reward = make(tmp_path)

    def judge(*completions: str) -> list[float | None]:
        n = len(completions)
        return asyncio.run(reward.judge(completions, [[1]] * n, [ROW] * n, step=4))

    reward.handed_over = judge("good", "good", "good", "bad", "good", "slow")
    judge("bad")
    logged: dict[str, float] = {}
    call(reward, ["slow"] * 6, logged)
    assert logged == {"reward/math": pytest.approx(4 / 6), "not_checked/math": pytest.approx(1 / 7)}


def test_messages_and_texts_are_read_alike() -> None:
    assert text_of("x") == text_of([{"role": "assistant", "content": "x"}]) == "x"
