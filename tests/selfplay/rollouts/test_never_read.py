"""A text that no reader ever comes to the end of is the verdict of one item, through every door, and holds up none."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from selfplay.labelling.votes import voted_for
from selfplay.rollouts.judge import Judge
from selfplay.rollouts.overlapped import OverlappedJudge
from selfplay.rollouts.reward_function import VerifiedReward
from selfplay.rollouts.rollout_log import RolloutLog
from selfplay.run.store import VerdictStore
from selfplay.run.tables import plain_row
from tests.verifiers.pool.hostile_pool import FOLDER, hostile_readers
from tests.verifiers.service.live_service import serving
from verifiers.jsonl import verify_file
from verifiers.model import Task
from verifiers.registry import load

TEXTS = ("x", "x fault: sleep", "x", "y")
STATUSES = ["correct", "not_checked", "correct", "wrong"]
TASK = Task(answer="x")


def through_the_command(folder: Path) -> list[str]:
    rows = folder / "rows.jsonl"
    rows.write_text("".join(json.dumps({"completion": text, "answer": "x"}) + "\n" for text in TEXTS))
    out = io.StringIO()
    verify_file("exact", rows, out)
    return [json.loads(line)["status"] for line in out.getvalue().splitlines()]


def the_judge(folder: Path) -> Judge:
    made = Judge.__new__(Judge)
    made.verifiers = {"words": load("exact"), "programs": load("code")}
    made._store = VerdictStore(folder / "verdicts.sqlite")
    return made


def through_the_judge(folder: Path) -> list[str]:
    return [verdict.status for verdict in the_judge(folder).judge([("words", TASK, text) for text in TEXTS])]


def through_votes(folder: Path) -> list[str | None]:
    context: Any = SimpleNamespace(judge=the_judge(folder))
    found = []
    for domain, text in (("words", TEXTS[1]), ("words", "x"), ("programs", TEXTS[1]), ("programs", "```\nx\n```")):
        task: Any = SimpleNamespace(domain=domain, task=TASK)
        found.append(voted_for(context, task, text))
    return found


def through_training(folder: Path) -> list[float | None]:
    overlapped = OverlappedJudge(the_judge(folder), 2, 60.0)
    reward = VerifiedReward(overlapped, RolloutLog(folder / "log.jsonl", 0), rank=0, seed=1, shuffled=False)
    rewards = reward(
        completions=list(TEXTS),
        completion_ids=[[1]] * len(TEXTS),
        trainer_state=SimpleNamespace(global_step=0),
        log_metric=lambda name, value: None,
        task_id=["t"] * len(TEXTS),
        domain=["words"] * len(TEXTS),
        task=[plain_row(TASK)] * len(TEXTS),
    )
    found: list[float | None] = asyncio.run(rewards)
    overlapped.close()
    return found


def through_the_service(folder: Path) -> list[str]:
    """Health is asked for, and another item judged, while it waits."""
    with serving({"exact": load("exact")}) as client, ThreadPoolExecutor(1) as threads:
        items = [{"completion": text, "answer": "x"} for text in TEXTS]
        asked = threads.submit(client.post, "/v1/score", json={"items": items})
        healths = 0
        while not asked.done():
            begun = time.monotonic()
            assert client.get("/health").json() == {"status": "ok"}
            assert time.monotonic() - begun < 1.0
            healths += 1
            time.sleep(0.02)
        assert healths > 3
        return [row["status"] for row in asked.result().json()["verdicts"]]


DOORS: dict[Callable[[Path], Any], list[Any]] = {
    through_the_command: STATUSES,
    through_the_judge: STATUSES,
    through_votes: [None, "x", None, "x\n"],
    through_training: [1.0, None, 1.0, 0.0],
    through_the_service: STATUSES,
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Callable[[Path], Any], Future[Any]]]:
    """What comes through the doors, all at a time."""
    with hostile_readers(), ThreadPoolExecutor(len(DOORS)) as threads:
        yield {door: threads.submit(door, tmp_path_factory.mktemp(door.__name__)) for door in DOORS}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_one_item_has_no_verdict(door: Callable[[Path], Any], found: dict[Callable[[Path], Any], Future[Any]]) -> None:
    assert found[door].result() == DOORS[door]


@pytest.mark.long
def test_sigterm_ends_the_command_meanwhile() -> None:
    source = (
        "import sys\nfrom verifiers.pool import readers\n"
        "readers.PROGRAM, readers.DEADLINE_S = 'hostile_reader', 600.0\n"
        "from selfplay.cli.app import main\n"
        "sys.argv = ['selfplay', 'serve', '--verifiers', 'exact', '--port', '0', '--drain', '1']\nmain()\n"
    )
    variables = os.environ | {"PYTHONPATH": str(FOLDER)}
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, env=variables)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().partition("http://")[2].split()[0]
        with ThreadPoolExecutor(1) as threads:
            body = {"items": [{"completion": "fault: sleep", "answer": "x"}]}
            asked = threads.submit(httpx.post, f"http://{url}/v1/score", json=body, timeout=60, trust_env=False)
            time.sleep(1.0)
            assert httpx.get(f"http://{url}/health", timeout=1.0, trust_env=False).status_code == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert asked.result().status_code == 503
    finally:
        process.kill()
        process.wait()
