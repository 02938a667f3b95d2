"""Rows as people have them: every form of file gives the same problems, and what cannot be used is named."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selfplay.config.domains import Domain
from selfplay.config.rows import DatasetRows, FileRows
from selfplay.run.records import Seed
from selfplay.seeds.rows import SeedError, Unreachable, rows_of
from selfplay.seeds.stage import ANNOTATIONS, load_seeds

ALONE = ANNOTATIONS | {"level"}
PROBLEMS = [{"question": f"What is {n} + 2, or {n}\n+ 2?", "gold": str(n + 2)} for n in range(30)]
FIELDS = {"problem": "question", "answer": "gold"}


def as_csv(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def file_of(folder: Path, kind: str) -> Path:
    file = folder / f"problems.{kind.split(maxsplit=1)[0]}"
    match kind:
        case "csv":
            file.write_text("\ufeff" + as_csv(PROBLEMS))
        case "csv of a spreadsheet":
            file.write_text(as_csv(PROBLEMS, ";"))
        case "csv with tabs":
            file.write_text(as_csv(PROBLEMS, "\t"))
        case "csv that names its separator":
            file.write_text("sep=;\r\n" + as_csv(PROBLEMS, ";"))
        case "csv that Excel calls Unicode text":
            file.write_bytes(as_csv(PROBLEMS, "\t").encode("utf-16"))
        case "tsv":
            file.write_text(as_csv(PROBLEMS, "\t"))
        case "json":
            file.write_text(json.dumps(PROBLEMS, indent=1))
        case "json of lines" | "jsonl":
            file.write_text("\n".join(map(json.dumps, PROBLEMS)))
        case "parquet":
            pq.write_table(pa.Table.from_pylist(PROBLEMS), file)
    return file


OF_SPREADSHEETS = ["csv of a spreadsheet", "csv with tabs", "csv that names its separator"]
UNICODE_TEXT = "csv that Excel calls Unicode text"
FORMS = ["csv", *OF_SPREADSHEETS, UNICODE_TEXT, "tsv", "json", "json of lines", "jsonl", "parquet"]


def of_file(file: Path, fields: dict[Any, str] | None = None) -> list[tuple[str, dict[str, Any]]]:
    return list(rows_of(FileRows(kind="file", path=str(file), fields=fields or {})))


@pytest.mark.parametrize("kind", FORMS)
def test_every_form_gives_the_same_rows(tmp_path: Path, kind: str) -> None:
    file = file_of(tmp_path, kind)
    rows = of_file(file, FIELDS)
    assert [row for _, row in rows] == [{"problem": row["question"], "answer": row["gold"]} for row in PROBLEMS]
    assert all(where.startswith(f"{file}, ") for where, _ in rows)


def test_cells_of_csv_hold_lists_and_numbers(tmp_path: Path) -> None:
    rows = [
        {"problem": "Halve.", "concepts": "sum; half", "tests": '[{"input": "4", "output": "2"}]', "time_limit_s": "2"},
        {"problem": "Double.", "concepts": '["sum", "a; b"]', "tests": "", "time_limit_s": ""},
    ]
    (tmp_path / "p.csv").write_text(as_csv(rows))
    first, second = (row for _, row in of_file(tmp_path / "p.csv"))
    assert (first["concepts"], first["time_limit_s"]) == (["sum", "half"], 2)
    assert second == {"problem": "Double.", "concepts": ["sum", "a; b"]}
    seeds = {"kind": "file", "train": str(tmp_path / "p.csv"), "answers": "optional", "heldout_share": 0.5}
    domain = Domain.model_validate({"seeds": seeds, "verifier": "code"})
    found = [load_seeds(0, "c", domain, "train", ALONE), load_seeds(0, "c", domain.model_copy(), "train", ALONE)]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.csv", "problem,answer\na,1,2\n", "p.csv, line 2: has 3 cells, but the first line names 2 columns"),
        ("p.csv", "sep=;\nproblem;answer\na;1;2\n", "p.csv, line 3: has 3 cells, but the first line names 2"),
        (
            "p.csv",
            "problem,answer\ra,1\rb,2\r",
            "p.csv: its lines end as on old Macs; save it with the usual line ends",
        ),
        ("p.csv", "PK\0\0problem", "p.csv, line 1: holds zero bytes, and so is no text; save it as CSV"),
        ("p.xlsx", "PK", "p.xlsx: is a spreadsheet; save it as CSV, which Excel calls 'CSV UTF-8'"),
        ("p.csv", "problem,problem\na,1\n", "p.csv, line 1: names no column, or one twice"),
        ("p.csv", "", "p.csv: is empty; write a first line that names the columns"),
        ("p.csv", 'problem,answer\n"a,1\n', "is not CSV (unexpected end of data)"),
        ("p.csv", "problem,memory_mb\na,much\n", "p.csv, line 2: `memory_mb` is not JSON"),
        (
            "p.csv",
            "problem,level\na,b\n",
            "has no 'gold', which fields.answer names; it has ['level', 'problem']: set fields",
        ),
        ("p.json", "[1]", "p.json, row 1: is not a JSON object"),
        ("p.json", '[{"a": 1}', "p.json: is not JSON"),
        ("p.json", '[{"problem": "\\ud800"}]', "p.json, row 1: is not JSON in UTF-8 (half of a character); write one"),
        ("p.jsonl", "[1]", "p.jsonl, line 1: is not a JSON object; write one JSON object a line, or a JSON array"),
        (
            "p.docx",
            "PK",
            "p.docx, line 1: is not JSON (Expecting value: line 1 column 1 (char 0)); write one",
        ),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SeedError) as error:
        of_file(tmp_path / name, {"answer": "gold"} if "gold" in says else {})
    assert says in str(error.value)


def test_an_object_that_holds_the_rows_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps({"version": 1, "data": [{"problem": "1 + 1?"}]}))
    source = FileRows(kind="file", path=str(tmp_path / "p.json"))
    with pytest.raises(
        SeedError, match=r"no column `problem`; .*; or, if the rows are in 'data', write that list alone"
    ):
        list(rows_of(source, needed={("problem",): ""}))


def test_other_encodings_of_csv_are_named(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes("problem\nd\u00e9j\u00e0\n".encode("latin-1"))
    with pytest.raises(SeedError, match=r"line 2: is not UTF-8 .* save it as UTF-8, which Excel calls 'CSV UTF-8'"):
        of_file(tmp_path / "p.csv")


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifiers.untrusted.files.LONGEST_ROW", 100)
    (tmp_path / "p.csv").write_text("problem\n" + "x" * 200)
    with pytest.raises(SeedError, match="line 2: is longer than 100 bytes"):
        of_file(tmp_path / "p.csv")


def domain_of(**seeds: Any) -> Domain:
    return Domain.model_validate({"seeds": seeds})


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_columns_under_other_names_are_asked_for(tmp_path: Path, form: str) -> None:
    file, place = file_of(tmp_path, form), "problems.parquet: " if form == "parquet" else "problems.csv, line 3: "
    for fields, lacks, remedy in (
        ({}, "`problem`", "problem"),
        ({"problem": "question"}, "`answer` or `tests`", "answer"),
    ):
        domain = domain_of(kind="file", train=str(file), fields=fields)
        with pytest.raises(SeedError) as error:
            load_seeds(0, "math", domain, "train", ALONE)
        assert f"{place}has no column {lacks}; it has ['gold', 'question']: say" in str(error.value)
        assert f"fields: {{{remedy}: NAME}}" in str(error.value)


def test_a_problem_that_comes_twice_is_named_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("problem,answer\n1 + 1?,2\n1 + 2?,3\n1 + 1?,2\n")
    with pytest.raises(SeedError, match=r"line 4: has the problem of .*p.csv, line 2 again: '1 . 1.'; keep one"):
        load_seeds(0, "math", domain_of(kind="file", train=str(tmp_path / "p.csv")), "train", ALONE)


def test_splits_name_their_own_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file to train on, and a data set of other columns to measure with."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "set").mkdir()
    pq.write_table(pa.Table.from_pylist([{"q": "1 + 1?", "gold": "2"}]), tmp_path / "set" / "test.parquet")
    heldout = {"kind": "dataset", "name": str(tmp_path / "set"), "split": "test", "fields": {"problem": "q"}}
    domain = domain_of(kind="file", train=str(file_of(tmp_path, "csv")), heldout=heldout, fields=FIELDS)
    train, held = (load_seeds(0, "math", domain, split, ALONE) for split in ("train", "heldout"))  # type: ignore[arg-type]
    assert len(train) == 30
    assert [(seed.problem, seed.task.answer, seed.source) for seed in held] == [("1 + 1?", "2", str(tmp_path / "set"))]
    of_set = domain_of(
        kind="dataset",
        name=str(tmp_path / "set"),
        heldout={"split": "test", "fields": {"problem": "q"}},
        fields={"answer": "gold"},
    )
    assert [seed.id for seed in load_seeds(0, "math", of_set, "heldout", ALONE)] == [seed.id for seed in held]


def test_problems_alone_are_enough(tmp_path: Path) -> None:
    """One file without level, concepts or rationales; a tenth of it is held back."""

    def split(text: str) -> tuple[list[Seed], list[Seed]]:
        (tmp_path / "own.csv").write_text(text)
        domain = domain_of(kind="file", train=str(tmp_path / "own.csv"), fields=FIELDS)
        return load_seeds(0, "math", domain, "train", ALONE), load_seeds(0, "math", domain, "heldout", ALONE)

    train, held = split(as_csv(PROBLEMS))
    assert (len(train), len(held)) == (27, 3)
    assert {seed.id for seed in train} & {seed.id for seed in held} == set()
    assert {(seed.level, seed.rationale, seed.concepts) for seed in train} == {("", "", ())}
    again, held_again = split(as_csv(PROBLEMS[::-1]))
    assert {seed.id for seed in held} == {seed.id for seed in held_again}
    assert len(again) == 27


def test_a_data_set_is_not_looked_for_where_no_hub_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("selfplay.run.hub._answers", lambda address: bool(asked.append(address)))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    source = DatasetRows(kind="dataset", name="nobody/no-such-set")
    with pytest.raises(Unreachable, match="no-such-set, split train: is not on this machine, and no hub answers"):
        list(rows_of(source))
    with pytest.raises(Unreachable):
        list(rows_of(source))
    assert len(asked) == 1
