"""The line of a run that nobody watches on a terminal."""

from __future__ import annotations

import threading

import pytest

from selfplay.watching import heartbeat
from selfplay.watching.heartbeat import Heartbeat


def test_a_line_tells_the_work_how_far_it_is_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: clock[0])
    told = Heartbeat(print)
    told.stage("[ 3/12] labelling")
    assert told.line() == "[ 3/12] labelling  goes on"
    told.begin("solving", 100)
    assert told.line() == "[ 3/12] labelling  solving, 0 of 100"
    clock[0] = 10.0
    told.advance(25)
    assert told.line() == "[ 3/12] labelling  solving, 25 of 100 (about 30 s left)"
    clock[0] = 100.0
    assert told.line() == "[ 3/12] labelling  solving, 25 of 100 (about 5 min left)"
    told.begin("of unknown length", None)
    assert told.line() == "[ 3/12] labelling  of unknown length"


def test_a_line_tells_the_reward_before_the_loss_and_of_a_stage_only() -> None:
    told = Heartbeat(print)
    told.stage("selfplay_1")
    told.hear({"train/loss": 0.5, "reward": 0.25}, 7)
    assert told.line() == "selfplay_1  step 7, reward 0.25"
    told.hear({"other": 1.0}, 8)
    told.hear({"loss": 1.0}, None)
    assert told.line().endswith("step 7, reward 0.25")
    told.stage("evaluation_1")
    assert told.line() == "evaluation_1  goes on"


def test_it_speaks_by_itself_only_while_a_stage_goes_on() -> None:
    heard, spoke = list[str](), threading.Event()

    def say(line: str) -> None:
        heard.append(line)
        spoke.set()

    told = Heartbeat(say, every_s=0.01)
    told.start()
    try:
        assert not spoke.wait(0.05)
        told.stage("em_1")
        assert spoke.wait(5)
    finally:
        told.stop()
    assert set(heard) == {"em_1  goes on"}
