"""Whatever escapes a verifier of ours is the verdict of one item, through every door, and an alarm counts it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.config.tracking import Alarms
from selfplay.rollouts.judge import Judge
from selfplay.rollouts.overlapped import OverlappedJudge
from selfplay.rollouts.reward_function import VerifiedReward
from selfplay.rollouts.rollout_log import RolloutLog
from selfplay.run.plan import Kind
from selfplay.run.store import VerdictStore
from selfplay.run.tables import plain_row
from selfplay.tracking.alarms import Curves, raised
from selfplay.tracking.metric_log import MetricLine
from verifiers.jsonl import verify_file
from verifiers.model import Task, Verdict
from verifiers.registry import find, load
from verifiers.rules.hosted import HostedRule
from verifiers.service.items import ScoredItem
from verifiers.service.metrics import ServiceMetrics
from verifiers.service.queue import JudgingQueue
from verifiers.service.settings import ServiceLimits

PARAMS: dict[str, dict[str, Any]] = {
    "math": {"workers": 1},
    "math_verify": {"workers": 1},
    "code": {"open_sandbox": lambda: pytest.fail("no sandbox is needed")},
    "regex": {"pattern": "a"},
    "judge": {"base_url": "http://127.0.0.1:9", "model": "m"},
    "composite": {"components": {"right": {"verifier": "exact"}}},
}
OURS = ("math", "math_verify", "code", "choice", "exact", "regex", "format", "length", "language", "judge", "composite")
TEXTS = ("right", "boom", "right", "wrong")
STATUSES = ["correct", "not_checked", "correct", "wrong"]


class Escaping:
    """Stands in for a verifier's methods: judges `right`, and lets `boom` escape."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def verify(self, task: Task, completion: str) -> Verdict:
        if completion == "boom":
            raise self.error
        return Verdict(
            completion == "right", float(completion == "right"), "correct" if completion == "right" else "wrong"
        )

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        return [self.verify(task, completion) for task, completion in items]


def escape(patch: pytest.MonkeyPatch, name: str, error: BaseException) -> None:
    stand_in = Escaping(error)
    kind = HostedRule if find(name).__module__.startswith("verifiers.rules.") else find(name)
    for method in ("verify", "verify_many"):
        patch.setattr(kind, method, getattr(stand_in, method))


@pytest.mark.parametrize("error", [RecursionError("too deep"), MemoryError(), KeyError("a bug")], ids=repr)
@pytest.mark.parametrize("name", OURS)
def test_what_escapes_costs_one_item(name: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = load(name, PARAMS.get(name))
    escape(monkeypatch, name, error)
    verdicts = verifier.verify_many([(Task(answer="right"), text) for text in TEXTS])
    assert [verdict.status for verdict in verdicts] == STATUSES
    assert (verdicts[1].passed, verdicts[1].reward) == (None, None)
    assert type(error).__name__ in verdicts[1].reason
    assert verifier.verify(Task(), "boom").status == "not_checked"
    verifier.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_who_wants_to_end_us_can(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    escape(monkeypatch, "exact", error)
    with pytest.raises(type(error)):
        load("exact").verify(Task(), "boom")
    with pytest.raises(type(error)):
        load("exact").verify_many([(Task(), "right"), (Task(), "boom")])


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judge:
    escape(monkeypatch, "exact", RecursionError("too deep"))
    made = Judge.__new__(Judge)
    made.verifiers = {"words": load("exact")}
    made._store = VerdictStore(tmp_path / "verdicts.sqlite")
    return made


def test_the_command_gives_every_row_its_verdict(tmp_path: Path, judge: Judge) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"completion": text, "answer": "x"}) + "\n" for text in TEXTS))
    out = io.StringIO()
    verify_file("exact", rows, out)
    assert [json.loads(line)["status"] for line in out.getvalue().splitlines()] == STATUSES


def test_labelling_and_evaluation_go_on(judge: Judge) -> None:
    verdicts = judge.judge([("words", Task(answer="x"), text) for text in TEXTS])
    assert [verdict.status for verdict in verdicts] == STATUSES


def test_the_service_goes_on(judge: Judge) -> None:
    async def asked() -> list[Verdict]:
        queue = JudgingQueue({"words": load("exact")}, ServiceLimits(), ServiceMetrics())
        queue.start()
        found = await queue.judge([ScoredItem(None, "words", Task(answer="x"), text) for text in TEXTS])
        await queue.close(5)
        return found

    assert [verdict.status for verdict in asyncio.run(asked())] == STATUSES


def test_training_goes_on_and_an_alarm_tells(tmp_path: Path, judge: Judge) -> None:
    overlapped = OverlappedJudge(judge, 2, 60.0)
    reward = VerifiedReward(overlapped, RolloutLog(tmp_path / "log.jsonl", 0), rank=0, seed=1, shuffled=False)
    logged: list[tuple[str, float]] = []
    rewards = asyncio.run(
        reward(
            completions=list(TEXTS),
            completion_ids=[[1]] * len(TEXTS),
            trainer_state=SimpleNamespace(global_step=0),
            log_metric=lambda name, value: logged.append((name, value)),
            task_id=["t"] * len(TEXTS),
            domain=["words"] * len(TEXTS),
            task=[plain_row(Task(answer="x"))] * len(TEXTS),
        )
    )
    assert rewards == [1.0, None, 1.0, 0.0]
    share = [value for name, value in logged if name == "not_checked/words"]
    assert sum(share) / len(share) == 0.25
    settings = Alarms()
    lines = [line(step, sum(share) / len(share)) for step in range(settings.window)]
    assert raised(Curves(lines), settings)["verifier_errors"].stage == "selfplay_1"
    few = [line(step, settings.error_rate) for step in range(settings.window)]
    assert "verifier_errors" not in raised(Curves(few), settings)
    overlapped.close()


def line(step: int, share: float) -> MetricLine:
    return MetricLine(0.0, "selfplay_1", step, {"not_checked/words": share}, kind=Kind.SELFPLAY, round=1)
