"""Tables come back as they were written, and a wrong or damaged one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.records import Candidate, Pair, RecordError, Seed, TestCase, read_table, schema_of, write_table

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
