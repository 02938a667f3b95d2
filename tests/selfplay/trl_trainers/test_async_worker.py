"""The worker by itself: no more is begun than is learnt from in time, and a server that was lost is met once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.trl_trainers.async_groups import flow_of
from selfplay.trl_trainers.asynchronous.buffer import Flow, FreshBuffer
from selfplay.trl_trainers.asynchronous.weights import SentWeights
from selfplay.trl_trainers.asynchronous.worker import GroupDrawn, GroupWorker, Metrics, NoVerdicts
from selfplay.trl_trainers.vllm_server.drawing import Drawing
from selfplay.trl_trainers.vllm_server.process import ServerGone

GROUP, STEP = 2, 4
FLOW = Flow(group=GROUP, samples_a_step=STEP, most_stale=1, most_under_way=64)
SOON = 10.0


class Source:
    """Draws at once, unless a test has it wait."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.ended = 0
        self.fails: Callable[[GroupDrawn], None] = lambda group: None
        self.judges: Callable[[GroupDrawn], list[float | None]] = lambda group: [0.0, 1.0]

    def begin(self, number: int, version: int) -> GroupDrawn:
        self.begun.append(number)
        return GroupDrawn(number, number % 3, version, [7], Drawing(0, [{"prompt": [7]}] * GROUP))

    def draw(self, group: GroupDrawn) -> None:
        assert self.open.wait(SOON)
        self.fails(group)
        done = {"token_ids": [1, 2], "logprobs": {"token_logprobs": [-0.5, -0.25]}}
        group.drawing.done = dict.fromkeys(range(GROUP), done)

    def judge(self, groups: Sequence[GroupDrawn]) -> Metrics:
        for group in groups:
            group.rewards = self.judges(group)
        return {"judged": float(len(groups))}

    def end(self) -> None:
        self.ended += 1
        self.open.set()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def worker(source: Source) -> Iterator[GroupWorker]:
    made = GroupWorker(source, FLOW, lambda reason: None)
    made.update_model_version(1)
    yield made
    made.stop()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.002)


def test_no_more_is_begun_than_will_be_learnt_from_in_time(worker: GroupWorker, source: Source) -> None:
    buffer = worker.rollout_buffer
    worker.start()
    until(lambda: buffer.qsize() == 2 * STEP)
    assert source.begun == [0, 1, 2, 3], "two steps' worth: of now, and of the next"
    first = [buffer.get(timeout=SOON) for _ in range(STEP)]
    assert [(sample.group_id, sample.model_version) for sample in first] == [(0, 1), (0, 1), (1, 1), (1, 1)]
    assert [sample.advantage for sample in first[:2]] == [pytest.approx(-1), pytest.approx(1)]
    assert first[0].input_ids.tolist() == [7, 1, 2]
    assert first[0].completion_mask.tolist() == [0, 1, 1]
    assert first[0].old_log_probs.tolist() == [0, -0.5, -0.25]
    time.sleep(0.05)
    assert len(source.begun) == 4, "the weights are still those of the first step"
    worker.ends_after(3)
    worker.update_model_version(2)
    until(lambda: len(source.begun) == 6)
    worker.update_model_version(3)
    time.sleep(0.05)
    assert len(source.begun) == 6, "there is no fourth step"
    assert worker.under_way(1, lambda: "walk") == ([2, 0, 1, 2], "walk")


def test_a_trainer_that_waits_gets_a_group_of_which_the_end_comes_too_late(worker: GroupWorker, source: Source) -> None:
    """One completion short of two steps' worth, as several ranks take them: no whole group has room."""
    source.judges = lambda group: [0.0, 1.0] if group.number else [None, 1.0]
    worker.start()
    buffer = worker.rollout_buffer
    taken = [buffer.get(timeout=SOON).group_id for _ in range(2 * STEP)]
    assert taken == [0, 1, 1, 2, 2, 3, 3, 4]
    worker.update_model_version(2)
    assert [buffer.get(timeout=SOON).group_id for _ in range(STEP)] == [5, 5, 6, 6]
    assert buffer.take_too_old() == 1


def test_a_training_of_which_nothing_can_be_judged_ends(worker: GroupWorker, source: Source) -> None:
    source.judges = lambda group: [None] * GROUP
    worker.start()
    until(lambda: worker._fault is not None)
    with pytest.raises(NoVerdicts, match=r"training\.grpo: 32 groups in a row have no completion with a verdict"):
        worker.check_health(1.0)


def test_several_ranks_are_given_the_micro_batch_that_accelerate_takes_ahead(source: Source) -> None:
    config = SimpleNamespace(
        per_device_train_batch_size=2,
        gradient_accumulation_steps=1,
        num_generations=GROUP,
        max_staleness=2,
        max_inflight_tasks=-1,
    )
    assert flow_of(config, 1) == Flow(GROUP, 2, 2, 6)
    flow = flow_of(config, 2)
    assert flow == Flow(GROUP, 4, 2, 12, read_ahead=4)
    worker = GroupWorker(source, flow, lambda reason: None)
    worker.update_model_version(1)
    worker.ends_after(1)
    worker.start()
    try:
        assert [worker.rollout_buffer.get(timeout=SOON).group_id for _ in range(8)] == [0, 0, 1, 1, 2, 2, 3, 3]
        assert source.begun == [0, 1, 2, 3]
    finally:
        worker.stop()


def test_what_is_too_old_for_its_step_is_dropped() -> None:
    buffer = FreshBuffer(FLOW)
    buffer.first_version = 3
    for version in (3, 2, 1, 3, 3, 2, 3):
        buffer.put(SimpleNamespace(group_id=version, model_version=version))
    assert [buffer.get(timeout=0).model_version for _ in range(4)] == [3, 2, 3, 3]
    # The fifth is of the next step.
    assert (buffer.get(timeout=0).model_version, buffer.used_last()) == (3, 4)
    assert (buffer.take_too_old(), buffer.take_too_old()) == (2, 0)
    with pytest.raises(queue.Empty):
        buffer.get(timeout=0.01)


def test_a_completion_without_a_reward_teaches_nothing(worker: GroupWorker, source: Source) -> None:
    source.judges = lambda group: [None, 1.0] if group.number else [None, None]
    worker.start()
    buffer = worker.rollout_buffer
    found = [buffer.get(timeout=SOON) for _ in range(2)]
    assert [sample.group_id for sample in found] == [1, 2]
    assert {sample.advantage for sample in found} == {0.0}, "alone in its group"
    assert 0 not in worker.under_way(0, list)[0][:1]


def test_a_lost_server_is_started_again_once_nothing_asks_it_any_more(source: Source) -> None:
    heard: list[str] = []
    lost = {0, 1, 2, 3}

    def fails(group: GroupDrawn) -> None:
        if group.number in lost:
            lost.discard(group.number)
            raise ServerGone("was ended by SIGKILL")

    def revive(reason: str) -> None:
        heard.append(reason)
        with worker.halted():
            assert worker._drawing == 0

    source.fails = fails
    source.open.clear()
    worker = GroupWorker(source, FLOW, revive)
    worker.update_model_version(1)
    worker.start()
    try:
        until(lambda: len(source.begun) == 4)
        source.open.set()
        until(lambda: bool(worker._lost))
        worker.check_health(1.0)
        until(lambda: worker.rollout_buffer.qsize() == 2 * STEP)
        worker.check_health(1.0)
        assert heard == ["was ended by SIGKILL"]
        assert source.ended == 1
    finally:
        worker.stop()


def test_what_a_thread_meets_is_heard_by_the_trainer(worker: GroupWorker, source: Source) -> None:
    def breaks(group: GroupDrawn) -> Any:
        raise RuntimeError("the verifier broke")

    source.judges = breaks
    worker.start()
    until(lambda: worker._fault is not None)
    with pytest.raises(RuntimeError, match="the verifier broke"):
        worker.check_health(1.0)


def test_a_training_that_ends_keeps_no_group_with_its_server() -> None:
    """TRL's client would hold it as long as the process lasts, which trains in further rounds."""
    closed: list[bool] = []
    client: Any = SimpleNamespace(close_communicator=lambda: closed.append(True))
    probe: Any = None
    SentWeights(client, probe, 1.0).destroy()
    assert closed == [True]
