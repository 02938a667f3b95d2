"""What a training leaves on disk while it runs: its log, and the mark of a checkpoint that is whole."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from selfplay.trl_trainers.callbacks import CHECKPOINT_COMPLETE, LogToFile, MarkCheckpoints, is_whole

STATE = SimpleNamespace(global_step=3, max_steps=9, is_world_process_zero=True)
OTHER = SimpleNamespace(global_step=3, max_steps=9, is_world_process_zero=False)


def test_the_first_rank_logs_its_numbers_and_nothing_else(tmp_path: Path) -> None:
    log = LogToFile(tmp_path / "log.jsonl")
    log.on_log(None, STATE, None, {"loss": 0.5, "lr": "1e-06", "note": "warming up", "list": [1]})
    log.on_log(None, OTHER, None, {"loss": 0.7})
    log.on_log(None, STATE, None, {})
    log.on_log(None, STATE, None, {"loss": 0.25})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    taken = [line["metrics"].pop("memory/host") for line in lines]
    assert 0.01 < taken[0] <= taken[1] < 1000
    assert lines == [
        {"step": 3, "of": 9, "metrics": {"loss": 0.5, "lr": 1e-06}},
        {"step": 3, "of": 9, "metrics": {"loss": 0.25}},
    ]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint-3"
    (folder / "states").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "states" / "rank_0").write_bytes(b"state")
    return folder


def test_a_checkpoint_is_whole_once_it_is_marked_and_as_long_as_its_files_are(checkpoint: Path) -> None:
    args = SimpleNamespace(output_dir=str(checkpoint.parent))
    assert not is_whole(checkpoint)
    MarkCheckpoints().on_save(args, OTHER, None)
    assert not is_whole(checkpoint), "the first rank marks it"
    MarkCheckpoints().on_save(args, STATE, None)
    assert is_whole(checkpoint)
    (checkpoint / "states" / "rank_0").write_bytes(b"stat")
    assert not is_whole(checkpoint)
    (checkpoint / "states" / "rank_0").unlink()
    assert not is_whole(checkpoint)


@pytest.mark.parametrize(("mark", "whole"), [(b"", True), (b"{", False), (b"{}", False), (b'{"bytes": [1]}', False)])
def test_marks_of_older_code_count_and_damaged_ones_do_not(checkpoint: Path, mark: bytes, whole: bool) -> None:
    (checkpoint / CHECKPOINT_COMPLETE).write_bytes(mark)
    assert is_whole(checkpoint) is whole


def test_a_trainer_that_saves_nothing_marks_nothing(tmp_path: Path) -> None:
    MarkCheckpoints().on_save(SimpleNamespace(output_dir=str(tmp_path)), STATE, None)
    assert list(tmp_path.iterdir()) == []
