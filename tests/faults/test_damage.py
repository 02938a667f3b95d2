"""Files that a bad disk or a careless hand damaged: never taken for whole, and one sentence where they are needed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from selfplay.compute.system_errors import SYSTEM, sentence
from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds
from selfplay.run.directory import RunDirectory
from selfplay.run.records import Example, Rollout
from selfplay.run.store import ShardStore, VerdictStore
from selfplay.run.tables import RecordError, read_table, write_table
from selfplay.trl_trainers import model_folder, session
from selfplay.trl_trainers.jobs import Placement, SFTJob
from selfplay.trl_trainers.sft import train_sft
from tests.e2e.conftest import SMALL, command, environment
from tests.selfplay.tracking.runs import recipe

ROWS = [Rollout(str(n), "t", "math", 1, "greedy", n, f"so {n * 7919}", n % 2 == 0, 0.5, "ok", "") for n in range(200)]


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Cut, or with some bytes of its pages changed."""
    # The file's own description stands at its end, before its length and four letters; it has no checksum.
    pages = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    if rng.random() < 0.3:
        return content[: rng.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(4, pages)] ^= rng.randint(1, 255)
    return bytes(changed)


def test_a_damaged_table_is_never_read_as_another_one(tmp_path: Path) -> None:
    file, rng, refused = tmp_path / "rollouts.parquet", random.Random(0), 0
    write_table(file, Rollout, ROWS)
    whole = file.read_bytes()
    for _ in range(200):
        file.write_bytes(damaged(whole, rng))
        try:
            assert read_table(file, Rollout) == ROWS
        except RecordError as error:
            assert "delete it and run again" in str(error)  # noqa: PT017
            refused += 1
    assert refused > 190, "what was not refused was changed in a page's header only, and read as it was"


def test_a_damaged_shard_is_refused_and_made_anew_once_it_is_deleted(tmp_path: Path) -> None:
    store = ShardStore(tmp_path)
    store.put("aakey", [{"text": f"{n}" * 20} for n in range(50)])
    [file] = tmp_path.rglob("*.parquet")
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:40] + b"\0\0\0\0" + whole[44:], b""):
        file.write_bytes(content)
        with pytest.raises(RecordError, match="delete it and run again: it will be made anew"):
            store.read("aakey")
    file.unlink()
    assert not store.has("aakey")


def test_a_damaged_database_is_one_sentence_with_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.sqlite"
    VerdictStore(file).close()
    file.write_bytes(b"not a database at all" * 400)
    with pytest.raises(SYSTEM) as caught:
        VerdictStore(file)
    assert "move its .sqlite files away and run the same command again" in sentence(caught.value, tmp_path)


@pytest.fixture
def trained(tiny_model: ModelRef, tmp_path: Path) -> Any:
    """Trains for 6 steps with a checkpoint at steps 2 and 4; gives a function that trains to the end again."""
    problems = seeds.generate("math", 8, 0)
    table = tmp_path / "examples.parquet"
    write_table(table, Example, [Example(p.problem, (p.solution,)) for p in problems])
    args = {"max_steps": 6, "per_device_train_batch_size": 2, "save_steps": 2, "save_total_limit": 3}
    job = SFTJob(model=tiny_model, examples=table, args=args, loss="all")

    def train(name: str) -> str:
        train_sft(job, Placement("cpu", 3, tmp_path / "work", tmp_path / name))
        return model_folder.weights_hash(tmp_path / name)

    return train


def test_a_truncated_checkpoint_is_passed_over_for_the_one_before(trained: Any, tmp_path: Path) -> None:
    expected = trained("whole")
    work = tmp_path / "work"
    assert session.last_checkpoint(work) == str(work / "checkpoint-4")
    weights = work / "checkpoint-4" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert session.last_checkpoint(work) == str(work / "checkpoint-2")
    assert trained("again") == expected
    for mark in work.glob("checkpoint-*/complete"):
        mark.write_text("{")
    assert session.last_checkpoint(work) is None


@pytest.mark.usefixtures("needs_sandbox")
def test_a_second_process_on_one_directory_is_one_sentence(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with RunDirectory.open(run, recipe("disabled")):
        done = subprocess.run(
            command("run", SMALL, "--run-dir", run),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 2
    told = done.stderr.splitlines()
    assert told[0].endswith(f"getting ready; the run directory is {run}"), "at once, since what follows takes a while"
    assert told[1:] == [f"{run}: another process is running it; wait for it, or choose another --run-dir"]


def test_a_clock_that_is_set_back_changes_nothing(tmp_path: Path) -> None:
    """Stages, rates and limits use the monotonic clock; metrics stay in the order in which they were logged."""
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "real, jumps = time.time, iter([0, -1e6, -2e6, 1e6])\n"
        "time.time = lambda: real() + next(jumps, -3e6)\n"
        "from selfplay.tracking.tracker import Tracker\n"
        "from tests.selfplay.tracking.reading import latest_by_step, read_metrics\n"
        "from tests.selfplay.tracking.runs import recipe\n"
        "path = Path(sys.argv[1])\n"
        "with Tracker(path, recipe('disabled')) as tracker:\n"
        "    for step in (1, 2, 2, 3):\n"
        "        tracker.log('base', {'loss': len(read_metrics(path))}, step)\n"
        "print(latest_by_step(read_metrics(path), 'base', 'loss'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[(1, 0.0), (2, 2.0), (3, 3.0)]", done.stderr
    times = [json.loads(line)["time"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert times != sorted(times)


WALL_CLOCK = {
    "verifiers/endpoint/client.py": "a server's Retry-After may be a date",
    "selfplay/run/progress.py": "shown to a person",
    "selfplay/watching/status.py": "shown to a person",
    "selfplay/tracking/tracker.py": "shown to a person",
    "selfplay/trl_trainers/asynchronous/worker.py": "TRL takes a completion's age from it, to log it",
}


def test_no_limit_and_no_duration_is_taken_from_the_wall_clock() -> None:
    root = Path(__file__).resolve().parents[2]
    users = {
        str(file.relative_to(root))
        for package in ("selfplay", "verifiers", "sandbox")
        for file in (root / package).rglob("*.py")
        if "time.time()" in file.read_text()
    }
    assert users <= set(WALL_CLOCK), "use time.monotonic(), or say here why the wall clock is wanted"
