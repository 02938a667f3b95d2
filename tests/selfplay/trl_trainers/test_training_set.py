"""Trainers' data sets: the rows of their tables in order, on disk, made once for all ranks and for what goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from selfplay.engines.base import ModelRef
from selfplay.engines.loading import load_tokenizer
from selfplay.run.records import Example, PolicyTask
from selfplay.run.tables import RecordError, typed_row, write_table
from selfplay.trl_trainers import training_set as module
from selfplay.trl_trainers.grpo import task_set
from selfplay.trl_trainers.jobs import GRPOJob, SFTJob
from selfplay.trl_trainers.sft import IGNORED, example_set, tokens_of
from selfplay.trl_trainers.training_set import Columns, training_set
from verifiers.model import Task, Test

SCHEMA = pa.schema([("length", pa.int32())])
EXAMPLES = [Example(f"Tom has {n}", (f" plums {n}.", " How many?")) for n in range(300)]


def lengths(rows: Sequence[Example]) -> Columns:
    return {"length": [len(row.prompt) for row in rows]}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_table(tmp_path / "examples.parquet", Example, EXAMPLES)
    return tmp_path / "examples.parquet"


def test_rows_keep_their_order_and_are_mapped_from_the_work_folder(table: Path, tmp_path: Path) -> None:
    found = training_set(table, Example, lengths, SCHEMA, tmp_path / "work", "known")
    assert found["length"][:] == [len(row.prompt) for row in EXAMPLES]
    [file] = found.cache_files
    assert Path(file["filename"]).parent == tmp_path / "work" / module.FOLDER


def test_it_is_made_once_for_what_it_depends_on(table: Path, tmp_path: Path) -> None:
    calls = []

    def counted(rows: Sequence[Example]) -> Columns:
        calls.append(len(rows))
        return lengths(rows)

    for known in ("a", "a", "b"):
        training_set(table, Example, counted, SCHEMA, tmp_path / "work", known)
    assert sum(calls) == 2 * len(EXAMPLES)
    assert max(calls) < len(EXAMPLES), "some at a time"
    write_table(table, Example, EXAMPLES[1:])
    assert len(training_set(table, Example, counted, SCHEMA, tmp_path / "work", "a")) == len(EXAMPLES) - 1


def test_what_breaks_off_leaves_nothing_that_could_be_taken_for_whole(table: Path, tmp_path: Path) -> None:
    def breaks(rows: Sequence[Example]) -> Columns:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training_set(table, Example, breaks, SCHEMA, tmp_path / "work")
    assert len(training_set(table, Example, lengths, SCHEMA, tmp_path / "work")) == len(EXAMPLES)


def test_a_damaged_table_is_refused(table: Path, tmp_path: Path) -> None:
    table.write_bytes(table.read_bytes()[:-20])
    with pytest.raises(RecordError, match="delete it and run again"):
        training_set(table, Example, lengths, SCHEMA, tmp_path / "work")


@pytest.mark.parametrize("loss", ["completion", "all"])
def test_examples_are_the_tokens_of_their_parts(tiny_model: ModelRef, table: Path, tmp_path: Path, loss: str) -> None:
    tokenizer = load_tokenizer(tiny_model)
    job = SFTJob(model=tiny_model, args={}, examples=table, loss=loss)  # type: ignore[arg-type]
    found = example_set(job, tokenizer, tmp_path / "work")
    assert len(found) == len(EXAMPLES)
    for row, example in zip(found, EXAMPLES[:20], strict=False):
        prefix, target = tokens_of(tokenizer, example.prompt, example.segments, False)
        assert row["input_ids"] == prefix + target
        assert row["labels"] == (prefix if loss == "all" else [IGNORED] * len(prefix)) + target


@pytest.mark.parametrize("chat", [False, True])
def test_tasks_come_back_whole_with_their_places(tiny_model: ModelRef, tmp_path: Path, chat: bool) -> None:
    tasks = [Task("1 + 1?", "2"), Task("Echo.", tests=(Test("a", "a"), Test(args=(1, [2]), expected={"x": None})))]
    rows = [PolicyTask(f"t{n}", "math", f"Solve {n}", task) for n, task in enumerate(tasks)]
    write_table(tmp_path / "tasks.parquet", PolicyTask, rows)
    model = ModelRef(tiny_model.path, "m", chat=chat)
    unused = {"rule": None, "domains": {}, "sandbox": None, "store": tmp_path}
    job = GRPOJob(model=model, args={}, tasks=tmp_path / "tasks.parquet", **unused)  # type: ignore[arg-type]
    found = task_set(job, tmp_path / "work")
    assert [row["row"] for row in found] == [0, 1]
    assert [typed_row(Task, row["task"]) for row in found] == tasks
    prompts = [[{"role": "user", "content": "Solve 0"}], [{"role": "user", "content": "Solve 1"}]]
    assert [row["prompt"] for row in found] == (prompts if chat else ["Solve 0", "Solve 1"])
