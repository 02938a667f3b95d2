"""Tables come back as they were written, and a wrong or damaged one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.run import tables
from selfplay.run.records import Candidate, LabelledTask, Pair, RoundPrompt, Seed
from selfplay.run.tables import RecordError, read_batches, read_table, schema_of, write_table
from verifiers.model import Task, Test

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
calls = st.builds(Test, args=st.lists(values, max_size=3).map(tuple), expected=values)
tasks = st.builds(
    Task,
    problem=texts,
    answer=st.none() | texts,
    tests=st.lists(st.builds(Test, texts, texts) | calls, max_size=2).map(tuple),
    entry_point=st.none() | texts,
    language=st.sampled_from(["python", "cpp"]),
    time_limit_s=st.floats(0.1, 60),
    memory_mb=st.integers(1, 4096),
    float_tolerance=st.none() | st.floats(0, 1),
    tolerance_kind=st.sampled_from(["either", "absolute", "relative"]),
    comparison=st.none() | st.sampled_from(["tokens", "any_order"]),
    checker=st.none() | texts,
)
seeds = st.builds(
    Seed,
    id=texts,
    domain=texts,
    split=st.sampled_from(["train", "heldout"]),
    source=texts,
    concepts=st.lists(texts, max_size=3).map(tuple),
    level=texts,
    rationale=texts,
    task=tasks,
    solution=texts,
    solution_is_right=st.none() | st.booleans(),
)


@given(rows=st.lists(seeds, max_size=4))
def test_rows_come_back_as_written(rows: list[Seed], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("records") / "seeds.parquet"
    write_table(path, Seed, rows)
    assert read_table(path, Seed) == rows


def test_a_task_is_plain_columns_but_for_what_a_function_takes_and_returns(tmp_path: Path) -> None:
    call = Test(args=([1, {"a": None}], "x\ud800"), expected=2.5)
    task = Task("Add.", tests=(call,), entry_point="add", float_tolerance=1e-6)
    labelled = LabelledTask("t", "p", "d", task, 1.0, 0.5, "", None)
    path = tmp_path / "prompts.parquet"
    write_table(path, RoundPrompt, [RoundPrompt("i", 1, labelled, "external", "book", 1, False)])
    plain = pq.read_table(path).to_pylist()[0]["task"]["task"]
    assert plain["tests"] == [{"input": "", "output": "", "args": '[[1,{"a":null}],"x\\ud800"]', "expected": "2.5"}]
    assert {name: plain[name] for name in ("problem", "entry_point", "float_tolerance", "answer")} == {
        "problem": "Add.",
        "entry_point": "add",
        "float_tolerance": 1e-6,
        "answer": None,
    }
    assert read_table(path, RoundPrompt)[0].task.task == task


@pytest.mark.parametrize("text", ["__import__('os')", "[1", "[" * 200 + "]" * 200, "[" * 100_000])
def test_arguments_that_are_no_json_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.parquet"
    task = Task("Add.", tests=(Test(args=(1,), expected=1),), entry_point="f")
    write_table(path, LabelledTask, [LabelledTask("t", "p", "d", task, 1.0, 0.5, "", None)])
    rows = pq.read_table(path).to_pylist()
    rows[0]["task"]["tests"][0]["args"] = text
    tables.write_arrow(path, pa.Table.from_pylist(rows, schema=schema_of(LabelledTask)))
    with pytest.raises(RecordError, match=r"t\.parquet: holds what is not JSON"):
        read_table(path, LabelledTask)


def test_infinite_rewards_survive(tmp_path: Path) -> None:
    row = Candidate("i", "s", 1, 0, "z", (1, 2), False, float("-inf"), float("-inf"), float("-inf"), False)
    write_table(tmp_path / "c.parquet", Candidate, [row])
    assert read_table(tmp_path / "c.parquet", Candidate) == [row]


def test_another_record_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "p.parquet", Pair, [])
    with pytest.raises(RecordError, match="holds Pair version 1, but this code reads Seed version 2"):
        read_table(tmp_path / "p.parquet", Seed)


def test_a_table_of_before_is_refused_in_one_sentence(tmp_path: Path) -> None:
    table = pa.table({"id": ["t1"], "problem": ["1 + 1?"], "answer": ["2"]})
    before = table.replace_schema_metadata({"record": "LabelledTask", "version": "2"})
    tables.write_arrow(tmp_path / "tasks.parquet", before)
    with pytest.raises(RecordError) as error:
        read_table(tmp_path / "tasks.parquet", LabelledTask)
    assert str(error.value) == (
        f"{tmp_path / 'tasks.parquet'}: holds LabelledTask version 2, but this code reads LabelledTask version 5; "
        "start a new run directory or use the code version that wrote it"
    )


@pytest.mark.parametrize("content", [b"", b"PAR1 torn", b"\x00" * 64])
def test_a_damaged_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "seeds.parquet"
    path.write_bytes(content)
    with pytest.raises(RecordError, match="not a readable table"):
        read_table(path, Seed)


def test_no_partial_file_is_left(tmp_path: Path) -> None:
    write_table(tmp_path / "p.parquet", Pair, [])
    assert [file.name for file in tmp_path.iterdir()] == ["p.parquet"]


def test_the_schema_carries_name_and_version() -> None:
    assert schema_of(Pair).metadata == {b"record": b"Pair", b"version": b"1"}


def test_a_table_is_written_and_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 3)
    rows = [LabelledTask(str(n), "p", "d", Task("x", "1"), 1.0, 0.5, "tie" if n % 2 else "", None) for n in range(8)]
    write_table(tmp_path / "t.parquet", LabelledTask, (row for row in rows))
    batches = list(read_batches(tmp_path / "t.parquet", LabelledTask))
    assert [len(batch) for batch in batches] == [3, 3, 2]
    assert [row for batch in batches for row in batch] == read_table(tmp_path / "t.parquet", LabelledTask) == rows
    kept = [row for batch in read_batches(tmp_path / "t.parquet", LabelledTask, only_kept=True) for row in batch]
    assert kept == rows[::2]


def test_a_table_says_how_many_rows_it_has(tmp_path: Path) -> None:
    rows = [Pair(str(n), "t", "p", "c", "r", "s") for n in range(2 * tables.RECORDS_AT_ONCE + 1)]
    assert write_table(tmp_path / "p.parquet", Pair, rows) == len(rows)


def test_what_is_no_file_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=tables.DAMAGED):
        read_table(tmp_path, Pair)


def test_what_breaks_off_leaves_no_table(tmp_path: Path) -> None:
    def rows() -> Iterator[Pair]:
        yield Pair("i", "t", "p", "c", "r", "s")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_table(tmp_path / "p.parquet", Pair, rows())
    assert not (tmp_path / "p.parquet").exists()
