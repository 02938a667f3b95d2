"""A disk that is full, and a directory that is read-only: one sentence, and nothing lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from selfplay.compute.system_errors import SYSTEM, sentence
from selfplay.run.directory import RunDirectory
from selfplay.run.files import RunError, read_json, write_json
from selfplay.run.progress import ProgressFile, note_ending
from selfplay.run.records import Rollout
from selfplay.run.store import ShardStore, VerdictStore
from selfplay.run.tables import read_table, write_table
from selfplay.tracking.tracker import Tracker
from selfplay.watching.status import run_status
from tests.e2e.conftest import SMALL, products, selfplay
from tests.faults.disks import SmallDisk, disk
from tests.faults.runs import Session, begin_at, current_stage
from tests.selfplay.plans import plan_of
from tests.selfplay.tracking.reading import read_metrics
from tests.selfplay.tracking.runs import recipe

__all__ = ["disk"]


def rollouts(count: int) -> list[Rollout]:
    return [Rollout(str(n), "t", "math", 1, "greedy", n, f"{n**9}" * 50, True, 1.0, "ok", "") for n in range(count)]


def test_what_was_written_before_the_disk_was_full_stays_whole(disk: SmallDisk) -> None:
    table, file = disk.path / "rollouts.parquet", disk.path / "x.json"
    write_table(table, Rollout, rollouts(3))
    write_json(file, {"a": 1})
    disk.fill()
    for write in (lambda: write_table(table, Rollout, rollouts(2000)), lambda: write_json(file, {"a": "2" * 5000})):
        with pytest.raises(OSError) as caught:
            write()
        assert "the disk is full; make room and run the same command again" in sentence(caught.value, disk.path)
    assert (read_table(table, Rollout), read_json(file)) == (rollouts(3), {"a": 1})
    assert sorted(path.name for path in disk.path.iterdir()) == ["ballast", "rollouts.parquet", "x.json"]


def test_libraries_that_do_not_say_that_the_disk_is_full(disk: SmallDisk) -> None:
    """Torch's writer of archives, safetensors and tokenizers, each in words of its own."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models

    weights, words = {"a": torch.zeros(400_000)}, {str(number): number for number in range(90_000)}
    tokenizer = Tokenizer(models.WordLevel(words, "0"))
    disk.fill()
    for write in (
        lambda: torch.save(weights, disk.path / "x.pt"),
        lambda: save_file(weights, disk.path / "x.safetensors"),
        lambda: tokenizer.save(str(disk.path / "x.json")),
    ):
        with pytest.raises(Exception, match=r"unexpected pos|No space left") as caught:
            write()
        told = sentence(caught.value, disk.path)
        assert told == f"{disk.path} (0.0 KiB left): the disk is full; make room and run the same command again"


def test_stores_on_a_full_disk_say_so_and_go_on_when_there_is_room(disk: SmallDisk) -> None:
    shards, verdicts = ShardStore(disk.path / "shards"), VerdictStore(disk.path / "verdicts.sqlite")
    shards.put("aa", [{"a": 1}])
    verdicts.put_many({"a": {"passed": True}})
    disk.fill()
    for put in (
        lambda: shards.put("aa", [{"a": "b" * 99}] * 9),
        lambda: verdicts.put_many({str(n): {"reason": "x" * 9999} for n in range(99)}),
    ):
        with pytest.raises(SYSTEM) as caught:
            put()
        assert "the disk is full" in sentence(caught.value, disk.path)
    disk.empty()
    assert shards.read("aa") == [{"a": 1}]
    assert verdicts.get_many(["a", "5"]) == {"a": {"passed": True}}
    verdicts.put_many({"5": {"passed": False}})
    assert verdicts.get_many(["5"]) == {"5": {"passed": False}}
    verdicts.close()


def log_much(tracker: Tracker) -> None:
    for step in range(1, 99):
        tracker.log("base", {"loss": 1.0, "more" * 99: 2.0}, step)


def test_metrics_of_a_full_disk_are_mended_by_the_next_session(disk: SmallDisk) -> None:
    tracker = Tracker(disk.path, recipe("disabled"))
    tracker.log("base", {"loss": 1.0}, 0)
    disk.fill()
    with pytest.raises(OSError, match="No space left"):
        log_much(tracker)
    with pytest.raises(OSError, match="No space left"):
        tracker.close()
    disk.empty()
    with Tracker(disk.path, recipe("disabled")) as again:
        again.log("base", {"loss": 0.5}, 100)
    steps = [line.step for line in read_metrics(disk.path)]
    assert (steps[0], steps[-1]) == (0, 100)


def test_that_the_disk_is_full_can_be_read_from_elsewhere(disk: SmallDisk) -> None:
    progress = ProgressFile(disk.path)
    progress.stage("base", 1, 2)
    disk.fill()
    note_ending(disk.path, "the disk is full; make room")
    assert run_status(disk.path, plan_of(["base"]))["ended"] == "the disk is full; make room"


def test_a_read_only_directory_is_refused_in_one_sentence(disk: SmallDisk) -> None:
    disk.set_read_only(True)
    for place in (disk.path, disk.path / "run"):
        with pytest.raises(RunError, match="cannot be written") as caught, RunDirectory.open(place, recipe("disabled")):
            pass
        assert "choose another with --run-dir" in str(caught.value)


@pytest.mark.usefixtures("needs_sandbox")
@pytest.mark.long
def test_a_run_whose_disk_fills_up_ends_with_one_sentence_and_goes_on_later(finished: Path, disk: SmallDisk) -> None:
    disk.resize(200_000)
    run, filled = disk.path / "run", 0
    while filled < 6:
        session = Session(run)
        stage = current_stage(run)
        session.wait_for(lambda run=run, stage=stage: current_stage(run) != stage)  # type: ignore[misc]
        time.sleep(0.2 * filled)
        if not session.goes_on:
            break
        disk.fill()
        code = session.process.wait(300)
        if code == 0:
            break
        assert code == 1, session.said
        assert "the disk is full; make room and run the same command again" in session.said, session.said
        assert "Traceback" not in session.said
        disk.empty()
        filled += 1
    assert filled >= 3
    done = selfplay("run", SMALL, "--run-dir", run)
    assert done.returncode == 0, done.stderr
    assert products(run) == products(finished)


FULL, READ_ONLY = "the disk is full; make room", "the file system is read-only; make it writable"


@pytest.mark.usefixtures("needs_sandbox")
@pytest.mark.long
@pytest.mark.parametrize(
    ("stage", "begun", "fault"),
    [
        ("selfplay_1", "stages/selfplay_1/policy-training/checkpoint-*", FULL),
        ("evaluation_1", "store/shards/*/*.parquet", FULL),
        ("labelling", "store/shards/*/*.parquet", READ_ONLY),
        ("selfplay_1", "stages/selfplay_1/policy-training/checkpoint-*", READ_ONLY),
    ],
    ids=["full-selfplay", "full-evaluation", "read-only-labelling", "read-only-selfplay"],
)
def test_a_disk_that_fails_under_a_stage_ends_the_run_with_one_sentence(
    finished: Path, disk: SmallDisk, stage: str, begun: str, fault: str
) -> None:
    """It fails when the stage has written something already; with room, or permission, the run goes on."""
    disk.resize(200_000)
    run = disk.path / "run"
    begin_at(finished, run, stage)
    session = Session(run)
    session.wait_for(lambda: any(run.glob(begun)))
    disk.fill() if fault == FULL else disk.cover(run)
    code = session.process.wait(300)
    disk.empty() if fault == FULL else disk.uncover(run)
    assert code == 1, session.said
    told = [line for line in session.said.splitlines() if "run the same command again" in line]
    assert len(told) == 1, session.said
    assert f"{fault} and run the same command again" in told[0]
    assert "Traceback" not in session.said
    assert not (run / "stages" / "evaluation_2" / "manifest.json").exists()
    done = selfplay("run", SMALL, "--run-dir", run)
    assert done.returncode == 0, done.stderr
    assert products(run) == products(finished)
    ours, theirs = (read_json(folder / "summary.json") for folder in (run, finished))
    assert (ours["evaluation"], ours["gains"], ours["prompts"]) == (
        theirs["evaluation"],
        theirs["gains"],
        theirs["prompts"],
    )
