"""Slow verifiers overlap, the event loop stays free, and one that hangs costs its verdicts alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from selfplay.rollouts.judge import Judge
from selfplay.rollouts.overlapped import OverlappedJudge
from selfplay.run.store import content_key
from verifiers.model import Task, Verdict
from verifiers.plugins.guard import FunctionVerifier, GuardedVerifier

COUNT = 12


class Batched:
    """Judges a batch by itself, and keeps the sizes of those it was given."""

    name = "batched"
    overlaps = True

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def verify(self, task: Task, completion: str) -> Verdict:
        return self.verify_many([(task, completion)])[0]

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        self.sizes.append(len(items))
        return [Verdict(True, 1.0, "correct") for _ in items]

    def close(self) -> None:
        pass


def judge_of(tmp_path: Path, **verifiers: Any) -> Judge:
    from selfplay.run.store import VerdictStore

    judge = Judge.__new__(Judge)
    judge.verifiers = verifiers
    judge._store = VerdictStore(tmp_path / "verdicts.sqlite")
    return judge


def function(call: Any) -> GuardedVerifier:
    return GuardedVerifier(FunctionVerifier("function", call, {}), "function")


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def items(domain: str, count: int) -> list[Any]:
    return [(domain, Task(answer="1"), f"completion {number}") for number in range(count)]


def test_all_are_judged_at_a_time_and_the_loop_goes_on(tmp_path: Path) -> None:
    # Nobody passes the barrier before all of them have come: verdicts one after the other would never end.
    barrier = threading.Barrier(COUNT, timeout=30)
    judge = OverlappedJudge(judge_of(tmp_path, math=function(lambda task, text: barrier.wait() >= 0)), COUNT, 60.0)

    async def both() -> tuple[list[Verdict], int]:
        judging = asyncio.ensure_future(judge.judge(items("math", COUNT)))
        turns = 0
        while not judging.done():
            await asyncio.sleep(0.001)
            turns += 1
        return judging.result(), turns

    verdicts, turns = asyncio.run(both())
    assert [verdict.passed for verdict in verdicts] == [True] * COUNT
    assert turns > 1
    judge.close()


def test_one_that_overlaps_by_itself_gets_each_distinct_completion_at_once(tmp_path: Path) -> None:
    batched = Batched()
    judge = OverlappedJudge(judge_of(tmp_path, math=batched), 4, 60.0)
    asked = items("math", 5) + items("math", 5)
    assert len(asyncio.run(judge.judge(asked))) == 10
    assert batched.sizes == [5]
    asyncio.run(judge.judge(asked))
    assert batched.sizes == [5], "verdicts that are in the store were asked for again"
    judge.close()


def test_a_verifier_that_hangs_costs_its_verdicts_alone(tmp_path: Path, release: threading.Event) -> None:
    def hangs(task: Task, text: str) -> bool:
        return release.wait(60) if text.endswith(" 1") else True

    judge = OverlappedJudge(judge_of(tmp_path, math=function(hangs), code=Batched()), 2, 0.5)
    verdicts = asyncio.run(judge.judge(items("math", 3) + items("code", 2)))
    assert [verdict.reward for verdict in verdicts] == [1.0, None, 1.0, 1.0, 1.0]
    assert (verdicts[1].status, verdicts[1].reason) == ("timed_out", "there was no verdict within 0.5 s")
    # The thread that hangs takes no place of those that judge on; what was not reached is tried again.
    again = asyncio.run(judge.judge(items("math", 3)))
    assert [verdict.reward for verdict in again] == [1.0, None, 1.0]
    release.set()
    assert [verdict.reward for verdict in asyncio.run(judge.judge(items("math", 3)))] == [1.0, 1.0, 1.0]
    judge.close()


def test_a_verifier_that_raises_costs_one_verdict(tmp_path: Path) -> None:
    def raises(task: Task, text: str) -> bool:
        if text.endswith(" 0"):
            raise ValueError(content_key(text))
        return False

    judge = OverlappedJudge(judge_of(tmp_path, math=function(raises)), 2, 60.0)
    assert [verdict.reward for verdict in asyncio.run(judge.judge(items("math", 2)))] == [None, 0.0]
    assert asyncio.run(judge.judge([])) == []
    judge.close()
