"""Seeds from files and from generators, and what is said of bad rows."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selfplay.config.domains import Domain
from selfplay.config.recipe import Recipe
from selfplay.config.rows import FileRows
from selfplay.quickstart.seed_problem import Split
from selfplay.quickstart.seeds import exact_solver
from selfplay.run.records import Seed
from selfplay.run.tables import write_table
from selfplay.seeds.rows import SeedError
from selfplay.seeds.stage import ANNOTATIONS, external_problems, load_seeds, seed_files
from verifiers.jsonl import read_rows
from verifiers.model import Task, Test

ROW: dict[str, Any] = {"problem": "2 + 2?", "concepts": ["sum"], "level": "easy", "rationale": "Add.", "answer": 4}


UNANNOTATED = {"problem": "2 + 2?", "level": "easy", "answer": 4}


def written(folder: Path, *rows: Any) -> Path:
    file = folder / "seeds.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return file


def parquet(folder: Path, *rows: Any) -> Path:
    file = folder / "seeds.parquet"
    columns = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.Table.from_pylist([columns | row for row in rows]), file)
    return file


def read(file: Path, split: Split = "train", unannotated: bool = False, **settings: Any) -> list[Seed]:
    seeds = {"kind": "file", "train": str(file), "heldout": str(file)} | settings
    lacking = ANNOTATIONS if unannotated else ()
    return load_seeds(0, "math", Domain.model_validate({"seeds": seeds}), split, lacking)


def test_a_file_is_read(tmp_path: Path) -> None:
    code = {k: v for k, v in ROW.items() if k != "answer"} | {
        "problem": "Add one.",
        "tests": [{"input": "1", "output": "2"}],
        "solution": "x",
    }
    first, second = read(written(tmp_path, ROW, "", code))
    assert (first.task.answer, first.task.tests, first.solution_is_right) == ("4", (), None)
    assert (second.task.answer, second.task.tests, second.solution_is_right) == (None, (Test("1", "2"),), True)


def test_columns_of_programs_mean_nothing_where_there_are_none(tmp_path: Path) -> None:
    [seed] = read(written(tmp_path, ROW | {"language": "en", "comparison": 3}))
    assert seed.task == Task("2 + 2?", "4")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{", "line 2: is not JSON"),
        ("[]", "line 2: is not a JSON object"),
        (ROW | {"problem": ""}, "line 2: `problem` must be a text, not empty"),
        (ROW | {"level": 3}, "`level` must be a text, not int"),
        (ROW | {"concepts": "sum"}, "`concepts` must be a list"),
        (ROW | {"concepts": []}, "`concepts` must be a list"),
        (ROW | {"answer": [4]}, "`answer` must be text or a number, not list; write it as text"),
        (ROW | {"answer": " "}, "line 2: needs `answer` or `tests`, and both are empty"),
        (ROW | {"answer": None}, "needs `answer` or `tests`"),
        (ROW | {"tests": [{"input": 1}]}, "line 2: `tests[0].input` must be text"),
        ('{"problem": "\\ud800"}', "line 2: is not JSON in UTF-8"),
        ("[" * 100_000, "nested deeper than 100 levels"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: Any, says: str) -> None:
    with pytest.raises(SeedError) as error:
        read(written(tmp_path, ROW, row))
    assert says in str(error.value)
    assert "seeds.jsonl" in str(error.value)


@pytest.mark.parametrize(
    "seeds",
    [
        {"kind": "quickstart", "grammar": "math", "train": 20, "heldout": 5},
        {"kind": "quickstart", "grammar": "code", "train": 20, "heldout": 5},
        {"kind": "reasoning_gym", "train": 20, "heldout": 5},
    ],
    ids=["math", "code", "reasoning_gym"],
)
def test_generators_share_one_interface(seeds: dict[str, Any]) -> None:
    domain = Domain.model_validate({"seeds": seeds})
    train, heldout = (load_seeds(1, "d", domain, split) for split in ("train", "heldout"))  # type: ignore[arg-type]
    assert (len(train), len(heldout)) == (20, 5)
    assert not {seed.concepts for seed in train} & {seed.concepts for seed in heldout}
    assert all(seed.task.answer or seed.task.tests for seed in train)


@pytest.mark.parametrize("grammar", ["math", "code"])
def test_labels_are_judged_by_the_exact_solver(grammar: str) -> None:
    domain = Domain.model_validate({"seeds": {"kind": "quickstart", "grammar": grammar, "train": 10}})
    solver = exact_solver(domain)
    assert solver is not None
    for seed in load_seeds(0, "d", domain, "train"):
        assert solver(seed.task)
        wrong = tuple(Test(test.input, test.output + "1") for test in seed.task.tests)
        assert not solver(dataclasses.replace(seed.task, answer=f"{seed.task.answer}1", tests=wrong))
    assert not solver(Task("What is love?", "5", (Test("1", "1"),)))


def test_other_sources_have_no_exact_solver() -> None:
    assert exact_solver(Domain.model_validate({"seeds": {"kind": "reasoning_gym"}})) is None


def test_other_encodings_are_named(tmp_path: Path) -> None:
    file = tmp_path / "seeds.jsonl"
    file.write_bytes(json.dumps(ROW).encode() + b"\n" + '{"problem": "d\u00e9j\u00e0"}'.encode("latin-1"))
    with pytest.raises(SeedError, match="line 2: is not JSON in UTF-8"):
        read(file)


def test_a_grammar_that_is_too_small_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selfplay.quickstart.seeds._ATTEMPTS_A_PROBLEM", 1)
    seeds = {"kind": "quickstart", "grammar": "code", "train": 10**6}
    with pytest.raises(SeedError, match=r"domains\.d\.seeds\.heldout"):
        load_seeds(0, "d", Domain.model_validate({"seeds": seeds | {"heldout": 3000}}), "heldout")


def test_every_source_gives_the_same_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON lines, Parquet, and a data set in a folder, under other column names."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    rows = [
        {"question": f"{n} + 2?", "concepts": ["sum"], "level": "easy", "rationale": "Add.", "gold": str(n + 2)}
        for n in range(600)
    ]
    fields = {"problem": "question", "answer": "gold"}
    lines = read(written(tmp_path, *rows), fields=fields)
    assert [(s.problem, s.task.answer) for s in lines[:2]] == [("0 + 2?", "2"), ("1 + 2?", "3")]
    assert read(parquet(tmp_path, *rows), fields=fields) == lines
    folder = tmp_path / "set"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet")
    pq.write_table(pa.Table.from_pylist(rows[:3]), folder / "test.parquet")
    seeds = {"kind": "dataset", "name": str(folder), "fields": fields, "train": "train[:50%]"}
    domain = Domain.model_validate({"seeds": seeds})
    train, heldout = load_seeds(0, "math", domain, "train"), load_seeds(0, "math", domain, "heldout")
    assert [s.problem for s in train] == [s.problem for s in lines[:300]]
    assert [s.id for s in heldout] == [s.id for s in lines[:3]]


def test_code_tests_come_through_parquet(tmp_path: Path) -> None:
    row = {k: v for k, v in ROW.items() if k != "answer"} | {"tests": [{"input": "1", "output": "2"}]}
    assert read(parquet(tmp_path, row))[0].task.tests == (Test("1", "2"),)


WHOLE: dict[str, Any] = {
    "problem": "Halve each.",
    "entry_point": "halve",
    "tests": [
        {"args": [[1, 3]], "expected": [0.5, 1.5]},
        {"args": [[]], "expected": []},
        {"args": [None], "expected": None},
    ],
    "time_limit_s": 1.5,
    "memory_mb": 128,
    "float_tolerance": 1e-6,
    "tolerance_kind": "relative",
    "comparison": "any_order",
}
IN_COLUMNS = WHOLE | {"tests": [{name: json.dumps(value) for name, value in test.items()} for test in WHOLE["tests"]]}
"""The same for columns of one type."""
CHECKED = {
    "problem": "Any divisor.",
    "language": "cpp",
    "tests": [{"input": "6", "output": "2"}],
    "checker": "import sys\nsys.exit(int(open(sys.argv[1]).read()) % int(open(sys.argv[2]).read()))",
}


def external(file: Path) -> list[Seed]:
    seeds = {"kind": "file", "train": str(file), "heldout": str(file)}
    domain = Domain.model_validate({"seeds": seeds, "verifier": "code", "shared_input_format": True})
    return external_problems("code", domain, FileRows(kind="file", path=str(file)), "required")


@pytest.mark.parametrize("write", ["json lines", "json texts", "parquet", "data set"])
def test_a_task_is_read_with_its_whole_label(tmp_path: Path, write: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [IN_COLUMNS if write != "json lines" else WHOLE, CHECKED]
    if write == "data set":
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
        (tmp_path / "set").mkdir()
        parquet(tmp_path, *rows).rename(tmp_path / "set" / "train.parquet")
        settings = {"kind": "dataset", "name": str(tmp_path / "set"), "level": "easy"}
        domain = Domain.model_validate({"seeds": settings, "verifier": "code", "shared_input_format": True})
        found = load_seeds(0, "code", domain, "train", ANNOTATIONS)
    else:
        found = external(parquet(tmp_path, *rows) if write == "parquet" else written(tmp_path, *rows))
    tests = (
        Test(args=([1, 3],), expected=[0.5, 1.5]),
        Test(args=([],), expected=[]),
        Test(args=(None,), expected=None),
    )
    assert [seed.task for seed in found] == [
        Task(
            "Halve each.",
            tests=tests,
            entry_point="halve",
            time_limit_s=1.5,
            memory_mb=128,
            float_tolerance=1e-6,
            tolerance_kind="relative",
            comparison="any_order",
        ),
        Task("Any divisor.", tests=(Test("6", "2"),), language="cpp", checker=CHECKED["checker"]),
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"entry_point": None}, "`tests[0].input` must be text; tests of functions need `entry_point`"),
        ({"entry_point": "f; g"}, "`entry_point` 'f; g' is no name of a function"),
        ({"language": "cpp"}, "`entry_point` names a function, and those of cpp programs are not called"),
        ({"language": "cobol"}, "`language` must be one of python, cpp, cpp17, cpp20, cpp23, not 'cobol'"),
        ({"time_limit_s": 0}, "`time_limit_s` must be more than 0"),
        ({"memory_mb": "big"}, "`memory_mb` must be a number"),
        ({"float_tolerance": -1}, "`float_tolerance` must be a number that is not negative"),
        ({"tolerance_kind": "odd"}, "`tolerance_kind` must be one of either, absolute, relative"),
        ({"comparison": "odd"}, "`comparison` must be one of tokens,"),
        ({"checker": "exit(0)"}, "`checker` reads standard output, and this task calls a function"),
        ({"checker": '#include "testlib.h"', "entry_point": None, "tests": []}, "`checker` includes testlib.h"),
        ({"tests": [{"args": 1, "expected": 1}]}, "`tests[0].args` must be a list of arguments"),
        ({"tests": [{"args": [1]}]}, "`tests[0].expected` is missing"),
        ({"tests": [{"args": "[1", "expected": "1"}]}, "`tests[0].args` is not JSON"),
        ({"tests": [{"args": "[1]", "expected": 1}]}, "`tests[0].expected` is not JSON"),
        ({"tests": [{"args": json.loads("[" * 150 + "]" * 150), "expected": 1}]}, "is nested deeper than 100"),
        ({"tests": {"args": [1]}}, "`tests` must be a list of tests, not dict"),
    ],
)
def test_a_field_of_a_task_that_cannot_be_used_is_named(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(SeedError) as error:
        external(written(tmp_path, WHOLE, WHOLE | change))
    assert str(error.value).startswith(f"{tmp_path / 'seeds.jsonl'}, line 2: ")
    assert says in str(error.value)


def test_a_table_of_seeds_that_a_run_wrote_is_a_file_of_seeds(tmp_path: Path) -> None:
    seeds = external(written(tmp_path, WHOLE, CHECKED))
    write_table(tmp_path / "code-train.parquet", Seed, seeds)
    assert external(tmp_path / "code-train.parquet") == seeds


def test_the_rows_are_those_of_the_verify_command(tmp_path: Path) -> None:
    """One reader serves both."""
    rows = [row | {"completion": ""} for row in (WHOLE, IN_COLUMNS, CHECKED)]
    file = written(tmp_path, *rows)
    assert [row.task for row in read_rows(file, "code")] == [seed.task for seed in external(file)]


def test_unannotated_problems_are_for_annotators_alone(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        UNANNOTATED,
        UNANNOTATED | {"problem": "3?", "rationale": "Ask."},
        UNANNOTATED | ROW | {"problem": "4?"},
    )
    lacking, half, whole = read(file, unannotated=True)
    assert (lacking.concepts, lacking.rationale) == ((), "")
    assert (half.concepts, half.rationale) == ((), "Ask.")
    assert (whole.concepts, whole.rationale) == (("sum",), "Add.")
    with pytest.raises(SeedError, match=r"line 1: `rationale` must be a text; or name annotators in cold_start"):
        read(file)


def test_a_level_and_answers_may_be_left_to_the_recipe(tmp_path: Path) -> None:
    file = written(tmp_path, {"problem": "Why?", "answer": None})
    with pytest.raises(SeedError, match=r"`level` must be a text; or set seeds\.level"):
        read(file, unannotated=True)
    with pytest.raises(SeedError, match=r"both are empty; fill one of them in; or set seeds\.answers to optional"):
        read(file, unannotated=True, level="AIME")
    assert read(file, unannotated=True, level="AIME", answers="optional")[0].level == "AIME"
    with pytest.raises(SeedError, match="line 1: needs `answer` or `tests`"):
        read(file, "heldout", unannotated=True, level="AIME", answers="optional")
    bare = written(tmp_path, {"problem": "Why?"})
    with pytest.raises(SeedError, match=r"no column `answer` or `tests`; it has .*; or set seeds\.answers to optional"):
        read(bare, unannotated=True, level="AIME")


@pytest.mark.parametrize("make", [written, parquet], ids=["json lines", "parquet"])
def test_a_column_that_is_not_there_is_named(tmp_path: Path, make: Any) -> None:
    with pytest.raises(SeedError, match=r"'question', which fields\.problem names"):
        read(make(tmp_path, ROW), fields={"problem": "question"})


def test_what_is_no_parquet_is_named(tmp_path: Path) -> None:
    file = tmp_path / "seeds.parquet"
    file.write_text("{}")
    with pytest.raises(SeedError, match=r"seeds\.parquet: is not readable as Parquet .*; write it again, or as JSON"):
        read(file)


def test_a_column_of_parquet_that_stands_twice_is_named(tmp_path: Path) -> None:
    """Of one that is read by its name, nobody knows which."""
    file = tmp_path / "seeds.parquet"
    texts = pa.array(["2 + 2?"])
    pq.write_table(pa.Table.from_arrays([texts, texts, texts], ["problem", "answer", "problem"]), file)
    with pytest.raises(SeedError, match=r"seeds\.parquet: has the column 'problem' twice; keep one of them"):
        read(file)


def test_a_row_without_end_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifiers.untrusted.files.LONGEST_ROW", 100)
    with pytest.raises(SeedError, match="line 1: is longer than 100 bytes"):
        read(written(tmp_path, ROW | {"problem": "x" * 200}))
    with pytest.raises(SeedError, match="row 1: is longer than 100 characters"):
        read(parquet(tmp_path, ROW | {"problem": "x" * 200}))


def test_a_data_set_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    seeds = {"kind": "dataset", "name": str(tmp_path / "nowhere")}
    with pytest.raises(SeedError, match="nowhere, split train: the datasets library cannot load it"):
        load_seeds(0, "math", Domain.model_validate({"seeds": seeds}), "train")


def test_other_contents_are_other_inputs(tmp_path: Path) -> None:
    def recipe() -> Recipe:
        seeds = {"kind": "file", "train": str(tmp_path / "seeds.jsonl"), "heldout": str(tmp_path / "seeds.jsonl")}
        return Recipe.model_validate({"name": "r", "model": {"kind": "scratch"}, "domains": {"math": {"seeds": seeds}}})

    written(tmp_path, ROW)
    before = seed_files(recipe())
    assert before == seed_files(recipe())
    written(tmp_path, ROW | {"answer": "5"})
    assert before != seed_files(recipe())


@pytest.mark.parametrize("zone", ["Mars/Phobos", "+99:00", "../../etc/passwd", "Europe/Berlin\0"])
@pytest.mark.parametrize("column", ["problem", "level"])
def test_a_time_zone_that_is_none_is_one_sentence(tmp_path: Path, zone: str, column: str) -> None:
    file = tmp_path / "seeds.parquet"
    columns = {"problem": pa.array(["2 + 2?"]), "answer": pa.array(["4"])}
    columns[column] = pa.array([0], pa.timestamp("us", tz=zone))
    pq.write_table(pa.table(columns), file)
    with pytest.raises(SeedError, match="is not readable as Parquet after row 0"):
        read(file, unannotated=True)
