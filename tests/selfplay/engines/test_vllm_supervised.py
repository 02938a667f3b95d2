"""vLLM in a watched child, killed and stopped at work; runs in the environment that `make vllm` makes."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks._one_shard import completed, journal_of, laid_out, rows_of
from selfplay.config.section import Supervision
from selfplay.engines import hf_engine, supervisor
from selfplay.engines.base import ModelRef, Sampling, ScoringRequest
from selfplay.engines.flow import FlowJob
from selfplay.engines.jobs import ScoreJob
from tests.selfplay.engines.shard_jobs import generate_job, score_job

PROMPTS = [f"Write a problem.\nConcepts:\n{n}. adding\nDifficulty Level: {n % 4}\n" for n in range(24)]
REQUESTS = [ScoringRequest(f"Tom has {n} plums. ", ("He eats one.", f"{n - 1} are left.")) for n in range(300)]
ARGS = {"max_model_len": 256, "max_num_seqs": 2}
"""Two at a time, so that some are finished long before others begin."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM: make vllm"),
]


@pytest.fixture(scope="module")
def unbroken(small_model: ModelRef, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What one child makes that nobody disturbs; it also compiles whatever vLLM compiles once."""
    folder = tmp_path_factory.mktemp("unbroken")
    flowing = completing(small_model, folder)
    supervisor.flow_shards(flowing)
    yield {
        "completions": rows_of(flowing),
        "scores": supervisor.score_shard(scoring(small_model, folder / "scores")),
    }
    supervisor.close()


def how(silence_s: float, **args: Any) -> dict[str, Any]:
    return {"kind": "vllm", "args": ARGS | args, "supervision": Supervision(silence_s=silence_s)}


def completing(model: ModelRef, folder: Path, silence_s: float = 300.0) -> FlowJob:
    return laid_out(generate_job(model, PROMPTS, Sampling(1.0, 96), 5, **how(silence_s)), folder)


def scoring(model: ModelRef, journal: Path, silence_s: float = 300.0) -> ScoreJob:
    return score_job(model, REQUESTS, journal, **how(silence_s))


def kept(journal: Path) -> int:
    return len(journal.read_bytes().splitlines()) if journal.exists() else 0


class Disturbance:
    """Sends the child a signal once it has finished some items."""

    def __init__(self, journal: Path, count: int, number: signal.Signals) -> None:
        self.finished_before = 0
        self.children: list[int] = []
        self._thread = threading.Thread(target=self._wait_and_send, args=[journal, count, number])
        self._thread.start()

    def _wait_and_send(self, journal: Path, count: int, number: signal.Signals) -> None:
        deadline = time.monotonic() + 300
        while kept(journal) < count and time.monotonic() < deadline:
            time.sleep(0.002)
        child = supervisor._current[0].pid
        os.kill(child, number)
        self.children.append(child)
        self.finished_before = kept(journal)

    def over(self) -> None:
        self._thread.join()
        self.children.append(supervisor._current[0].pid)


@pytest.mark.parametrize(("number", "silence_s"), [(signal.SIGKILL, 300.0), (signal.SIGSTOP, 8.0)])
@pytest.mark.parametrize("what", ["completions", "scores"])
def test_a_broken_child_costs_nothing_that_was_finished(
    small_model: ModelRef,
    unbroken: dict[str, Any],
    tmp_path: Path,
    what: str,
    number: signal.Signals,
    silence_s: float,
) -> None:
    total, flowing = len(unbroken[what]), completing(small_model, tmp_path, silence_s)
    journal = journal_of(flowing) if what == "completions" else tmp_path / "journal"
    disturbance = Disturbance(journal, 4, number)
    if what == "completions":
        made, rows = supervisor.flow_shards(flowing), rows_of(flowing)
    else:
        rows = supervisor.score_shard(scoring(small_model, journal, silence_s))
        # A line for each item.
        made = kept(journal)
    disturbance.over()
    assert rows == unbroken[what]
    assert 4 <= disturbance.finished_before < total
    assert len(set(disturbance.children)) == 2
    assert not psutil.pid_exists(disturbance.children[0])
    # None was made a second time, or it would count twice.
    assert made == total


def test_it_is_the_engine_of_the_worker_all_the_same(
    small_model: ModelRef, unbroken: dict[str, Any], tmp_path: Path
) -> None:
    from selfplay.engines import vllm_engine

    try:
        flowing = completing(small_model, tmp_path)
        vllm_engine.flow_shards(flowing)
        assert rows_of(flowing) == unbroken["completions"]
    finally:
        vllm_engine.close()


def test_what_vllm_refuses_is_said_at_once(small_model: ModelRef, tmp_path: Path) -> None:
    given = laid_out(generate_job(small_model, ["Tom has plums. " * 400], Sampling(1.0, 96), **how(300.0)), tmp_path)
    with pytest.raises(supervisor.EngineLost, match=r"vLLM refuses a prompt of \d+ tokens: .*256.*; see engine.args"):
        supervisor.flow_shards(given)


def test_ranks_of_tensor_parallelism_end_with_the_child(
    small_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.close()
    cores = sorted(os.sched_getaffinity(0))
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", f"{cores[0]}|{cores[-1]}")
    settings = how(300.0, tensor_parallel_size=2)
    greedy = generate_job(small_model, PROMPTS[:6], Sampling(0.0, 24), 5, **settings)
    # Log-probabilities of two engines agree to some digits, what is drawn altogether.
    ours, theirs = completed(supervisor, greedy), completed(hf_engine, greedy)
    assert [row["token_ids"] for row in ours] == [row["token_ids"] for row in theirs]
    child = psutil.Process(supervisor._current[0].pid)
    below = child.children(recursive=True)
    assert sum("VLLM::Worker" in " ".join(process.cmdline()) for process in below) == 2
    for process in (child, *below):
        listening = [c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
        assert set(listening) <= {"127.0.0.1", "::1"}
    # Not by `supervisor.close`, which ends the whole session: as the kernel does when a worker is killed.
    child.kill()
    _, alive = psutil.wait_procs(below, timeout=10)
    supervisor.close()
    assert alive == []
