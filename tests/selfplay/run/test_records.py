"""Tables come back as they were written, and a wrong or damaged one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.run import tables
from selfplay.run.records import Candidate, LabelledTask, Pair, Seed, TestCase
from selfplay.run.tables import RecordError, read_batches, read_table, schema_of, write_table

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
seeds = st.builds(
    Seed,
    id=texts,
    domain=texts,
    split=st.sampled_from(["train", "heldout"]),
    source=texts,
    concepts=st.lists(texts, max_size=3).map(tuple),
    level=texts,
    rationale=texts,
    problem=texts,
    answer=st.none() | texts,
    tests=st.lists(st.builds(TestCase, texts, texts), max_size=2).map(tuple),
    solution=texts,
    solution_is_right=st.none() | st.booleans(),
)


@given(rows=st.lists(seeds, max_size=4))
def test_rows_come_back_as_written(rows: list[Seed], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("records") / "seeds.parquet"
    write_table(path, Seed, rows)
    assert read_table(path, Seed) == rows


def test_infinite_rewards_survive(tmp_path: Path) -> None:
    row = Candidate("i", "s", 1, 0, "z", (1, 2), False, float("-inf"), float("-inf"), float("-inf"), False)
    write_table(tmp_path / "c.parquet", Candidate, [row])
    assert read_table(tmp_path / "c.parquet", Candidate) == [row]


def test_another_record_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "p.parquet", Pair, [])
    with pytest.raises(RecordError, match="holds Pair version 1, but this code reads Seed"):
        read_table(tmp_path / "p.parquet", Seed)


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
    rows = [LabelledTask(str(n), "p", "d", "x", "1", (), 1.0, 0.5, "tie" if n % 2 else "", None) for n in range(8)]
    write_table(tmp_path / "t.parquet", LabelledTask, (row for row in rows))
    batches = list(read_batches(tmp_path / "t.parquet", LabelledTask))
    assert [len(batch) for batch in batches] == [3, 3, 2]
    assert [row for batch in batches for row in batch] == read_table(tmp_path / "t.parquet", LabelledTask) == rows
    kept = [row for batch in read_batches(tmp_path / "t.parquet", LabelledTask, only_kept=True) for row in batch]
    assert kept == rows[::2]


def test_what_breaks_off_leaves_no_table(tmp_path: Path) -> None:
    def rows() -> Iterator[Pair]:
        yield Pair("i", "t", "p", "c", "r", "s")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_table(tmp_path / "p.parquet", Pair, rows())
    assert not (tmp_path / "p.parquet").exists()
