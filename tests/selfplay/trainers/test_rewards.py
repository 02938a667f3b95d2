"""From verdicts to rewards: none where no verdict was reached, and each completion judged by its own domain."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.trainers.rewards import VerifiedReward, task_from_json, task_to_json, text_of
from verifiers.model import Task, Test, Verdict

VERDICTS = {"good": Verdict(True, 1.0, "correct"), "bad": Verdict(False, 0.0, "wrong")}
UNREACHED = Verdict(None, None, "timed_out", "too slow")


class FakeJudge:
    def judge(self, items: Any) -> list[Verdict]:
        return [VERDICTS.get(completion, UNREACHED) for _, _, completion in items]


def call(reward: VerifiedReward, completions: list[Any], logged: dict[str, float]) -> list[float | None]:
    n = len(completions)
    return reward(
        prompts=["p"] * n,
        completions=completions,
        task_id=[f"t{i}" for i in range(n)],
        domain=["math"] * n,
        task=[task_to_json(Task(answer="1"))] * n,
        trainer_state=SimpleNamespace(global_step=4),
        log_metric=logged.__setitem__,
    )


def make(folder: Path, shuffled: bool = False) -> VerifiedReward:
    judge: Any = FakeJudge()
    return VerifiedReward(judge, folder / "rollouts.jsonl", rank=0, seed=1, shuffled=shuffled)


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


def test_messages_and_texts_are_read_alike() -> None:
    assert text_of("x") == text_of([{"role": "assistant", "content": "x"}]) == "x"


def test_tasks_come_back_from_json() -> None:
    task = Task(answer="3", tests=(Test(input="1\n", output="2"),), prompt="1 + 1?")
    assert task_from_json(task_to_json(task)) == task
