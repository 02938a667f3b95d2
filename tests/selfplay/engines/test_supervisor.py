"""A child that dies, hangs or fails is replaced; what it had finished is neither lost nor made again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from selfplay.config.compute import EngineSettings
from selfplay.config.section import Supervision
from selfplay.engines import supervisor, vllm_engine
from selfplay.engines.base import ModelRef, Sampling
from selfplay.engines.flow import Journal
from selfplay.engines.jobs import Row
from selfplay.engines.sharded import ShardedEngine
from selfplay.engines.supervisor import EngineLost
from selfplay.run.store import ShardStore
from selfplay.run.tables import RecordError
from tests.selfplay.engines import toy_engine, toy_flow
from tests.selfplay.engines.toy_engine import ToyJob, lines

ROOT = Path(__file__).parents[3]
COUNT = 8


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    yield
    supervisor.close()
    assert not [child for child in psutil.Process().children() if "supervised_main" in " ".join(child.cmdline())]


LIMITS = Supervision(silence_s=2.0, opening_s=60.0, restarts=2)


def job(folder: Path, faults: dict[str, str] | None = None, supervision: Supervision = LIMITS, **more: Any) -> ToyJob:
    given = {
        "model": ModelRef("nowhere", "toy"),
        "device": "cpu",
        "settings": EngineSettings(kind="vllm", supervision=supervision),
        "journal": folder / "store" / "shard.jsonl",
        "prompts": [f"prompt {n}" for n in range(COUNT)],
        "sampling": Sampling(1.0, 4),
        "seed": 3,
        "folder": folder,
        "faults": faults or {},
    }
    return ToyJob(**(given | more))


def finish(given: ToyJob) -> list[Row]:
    return supervisor.finish(toy_engine.completions, given, COUNT)


def unbroken(given: ToyJob) -> list[Row]:
    return [toy_engine.answer(given, place) for place in range(COUNT)]


def test_one_child_serves_shard_after_shard(tmp_path: Path) -> None:
    first, second = job(tmp_path), job(tmp_path, seed=4, journal=tmp_path / "second.jsonl")
    assert finish(first) == unbroken(first)
    assert finish(second) == unbroken(second)
    assert len(set(lines(tmp_path, "children"))) == 1


@pytest.mark.parametrize(
    "fault", ["dies", "stops", "stops within a message", "fails"], ids=lambda fault: fault.replace(" ", "-")
)
def test_what_was_finished_is_kept(tmp_path: Path, fault: str) -> None:
    given = job(tmp_path, {"3": fault})
    assert finish(given) == unbroken(given)
    assert sorted(lines(tmp_path, "made")) == list(range(COUNT))
    assert len(lines(tmp_path, "children")) == 2


def test_a_child_may_fail_as_often_as_others_get_on(tmp_path: Path) -> None:
    given = job(tmp_path, dict.fromkeys("036", "dies"))
    assert finish(given) == unbroken(given)
    assert sorted(lines(tmp_path, "made")) == list(range(COUNT))


@pytest.mark.parametrize(
    ("where", "fault", "restarts", "reason"),
    [
        ("5", "dies", 2, "was ended by SIGKILL"),
        ("opening", "leaves", 1, "ended with exit code 3"),
        ("opening", "stops", 0, "was silent for 2 s while opening a model"),
    ],
)
def test_it_gives_up_where_restarts_help_nothing(
    tmp_path: Path, where: str, fault: str, restarts: int, reason: str
) -> None:
    limits = Supervision(opening_s=60.0 if fault != "stops" else 2.0, restarts=restarts)
    done = 5 if where == "5" else 0
    said = rf"failed (once|{restarts + 1} times) without finishing one more item \({done} of 8 .* at last it {reason}"
    with pytest.raises(EngineLost, match=said):
        finish(job(tmp_path, {where: fault}, always=True, supervision=limits))
    assert lines(tmp_path, "made") == list(range(done))


def test_what_is_wrong_with_the_question_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(EngineLost, match=r"vLLM failed \(ValueError: this prompt is too long\)"):
        finish(job(tmp_path, {"2": "is refused"}))
    assert len(lines(tmp_path, "children")) == 1


DRIVER = """
import sys
from pathlib import Path
from selfplay.config.section import Supervision
from selfplay.engines import supervisor
from selfplay.compute.workers import Workers
from tests.selfplay.engines import toy_engine, toy_flow
from tests.selfplay.engines.test_supervisor import finish, job

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    given = job(folder, {"4": "waits"}, supervision=Supervision())
    Workers(1, 1, "cpu", folder / "workers.log").map(finish, [given])
"""


def test_a_killed_driver_leaves_no_child_and_loses_no_answer(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen([sys.executable, str(tmp_path / "driver.py"), str(tmp_path)], env=environment)
    wait_until((tmp_path / "met-4").exists)
    below = psutil.Process(driver.pid).children(recursive=True)
    assert lines(tmp_path, "children")[0] in [process.pid for process in below]
    driver.kill()
    driver.wait()
    wait_until(lambda: not [process for process in below if alive(process)])

    given = job(tmp_path, {"4": "waits"})
    assert finish(given) == unbroken(given)
    assert sorted(lines(tmp_path, "made")) == list(range(COUNT))


def wait_until(true: Any) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_line_cut_by_a_kill_is_no_answer(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    journal.add(2, {"text": "zwei \ud800 ☃", "sums": [0.1 + 0.2]})
    with journal.file.open("ab") as file:
        file.write(b'[3, {"text": "dr')
    again = Journal(journal.file)
    assert again.rows == {2: {"text": "zwei \ud800 ☃", "sums": [0.1 + 0.2]}}
    again.add(3, {})
    assert set(Journal(journal.file).rows) == {2, 3}


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "j.jsonl").write_text("[1, 2]\n")
    with pytest.raises(RecordError, match=r"j\.jsonl: is damaged .*; delete it"):
        Journal(tmp_path / "j.jsonl")


def test_stages_get_the_same_rows_and_no_journal_stays(
    tmp_path: Path, tiny_model: ModelRef, in_process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_engine, "flow", toy_flow.flow)
    settings = EngineSettings(kind="vllm", shard=4, supervision=Supervision())
    engine = ShardedEngine(tiny_model, settings, in_process, ShardStore(tmp_path / "store"))
    prompts = [f"{1 + n % 3} steps, p{n}" for n in range(8)]
    found = engine.generate(prompts, Sampling(1.0, 4), 0)
    assert [sample.text.rpartition(" ")[0] for sample in found] == prompts
    assert not list((tmp_path / "store").rglob("*.jsonl"))
    assert len(list((tmp_path / "store").rglob("*.parquet"))) == 2


@pytest.mark.parametrize(
    ("engine", "refused"),
    [
        ({"supervision": {}}, "supervision is for vLLM, but kind is transformers"),
        ({"kind": "vllm", "args": {"tensor_parallel_size": 2}}, "over 2 processes.* set supervision"),
        ({"kind": "vllm", "args": {"data_parallel_size": 2}}, "here compute.workers says how many engines"),
        ({"kind": "vllm", "supervision": {"silence_s": 0.1}}, "silence_s"),
    ],
)
def test_settings_that_go_together(engine: dict[str, Any], refused: str) -> None:
    with pytest.raises(ValueError, match=refused):
        EngineSettings.model_validate(engine)


def test_ranks_multiply() -> None:
    args = {"tensor_parallel_size": 4, "pipeline_parallel_size": 2, "max_model_len": 64}
    assert EngineSettings.model_validate({"kind": "vllm", "args": args, "supervision": {}}).ranks == 8
