"""Named suites from files, suites of one's own, and what is said of those that cannot be used."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selfplay.config.evaluation import UserSuite
from selfplay.config.load import RecipeError, section_of
from selfplay.suites.catalogue import PINS, SUITES, table
from selfplay.suites.load import load_suite
from selfplay.suites.published import FORMS
from selfplay.suites.rows import SuiteError
from tests.docs.pages import pages
from verifiers.model import Task
from verifiers.registry import load as load_verifier

ROOT = Path(__file__).resolve().parents[3]


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def own(path: Path, **settings: Any) -> UserSuite:
    return UserSuite(name="mine", file=str(path), **settings)


def published(count: int) -> list[dict[str, str]]:
    return [{"id": str(number), "problem": f"{number} + 1 = ?", "answer": str(number + 1)} for number in range(count)]


ROWS: dict[str, dict[str, Any]] = {
    "gsm8k": {"question": "2 + 2?", "answer": "2 + 2 = <<2+2=4>>4\n#### 1,004"},
    "olympiadbench": {"question": "Roots?", "final_answer": ["$1$", "$2$"]},
    "gpqa-diamond": {
        "Question": "Which?",
        "Correct Answer": "right",
        **{f"Incorrect Answer {number}": f"wrong {number}" for number in (1, 2, 3)},
    },
    "minerva": {"question": "Mass?", "answer": "3e5"},
}


def test_each_form_becomes_tasks(tmp_path: Path) -> None:
    for name, row in ROWS.items():
        lines(tmp_path / f"{name}.jsonl", [row])
    found = {name: load_suite(name, tmp_path, incomplete=True).problems[0].task for name in ROWS}
    assert found["gsm8k"].answer == "1004"
    assert found["olympiadbench"].answer == "1, 2"
    assert found["minerva"].answer == "3e5"
    letter = found["gpqa-diamond"].answer
    assert f"\n{letter}. right" in found["gpqa-diamond"].problem
    assert sorted(line[:2] for line in found["gpqa-diamond"].problem.splitlines()[2:]) == ["A.", "B.", "C.", "D."]


def test_rows_that_the_authors_released_are_asked_in_their_words(tmp_path: Path) -> None:
    turns = "<|im_start|>user\nHalf of 1?\nAnswer in a box.<|im_end|>\n<|im_start|>assistant\n<think>\n"
    row = {"idx": 0, "prompt": turns, "reference_solution": "\\boxed{\\frac{1}{2}}\n#### \\frac{1}{2}"}
    lines(tmp_path / "promptcot2_hmmt25_test.jsonl", [row])
    suite = load_suite("hmmt25", tmp_path, incomplete=True)
    assert suite.problems[0].task == Task("Half of 1?\nAnswer in a box.", "\\frac{1}{2}")
    assert (suite.prompts, suite.wording) == (("{problem}",), "as released")
    lines(tmp_path / "hmmt25.jsonl", [{"problem": "Half of 1?", "answer": "1/2"}])
    ours = load_suite("hmmt25", tmp_path, incomplete=True)
    assert ours.wording == "ours for this suite", "the suite's own name goes before"
    assert ours.prompts == (SUITES["hmmt25"].solving.solver_template,)
    lines(tmp_path / "promptcot2_aime25_test.jsonl", [row | {"reference_solution": "####"}])
    with pytest.raises(SuiteError, match=r"line 1: `reference_solution` has no answer behind its last ####"):
        load_suite("aime25", tmp_path, incomplete=True)


@pytest.mark.usefixtures("needs_sandbox")
def test_statements_judge_programs(tmp_path: Path) -> None:
    humaneval = {
        "task_id": "T/0",
        "prompt": "import math\n\ndef helper(x):\n    return x + 1\n\ndef solve(x: float):\n    '''Add 1.'''\n",
        "entry_point": "solve",
        "test": "def check(candidate):\n    for x in range(3):\n        assert candidate(x) == helper(x)\n",
    }
    mbpp = {"task_id": 11, "text": "Add.", "test_list": ["assert set(add(1, 2)) == {3}"], "test_setup_code": ""}
    lines(tmp_path / "humaneval.jsonl", [humaneval])
    lines(tmp_path / "mbpp.jsonl", [mbpp])
    tasks = [load_suite(name, tmp_path, incomplete=True).problems[0].task for name in ("humaneval", "mbpp")]
    assert [task.entry_point for task in tasks] == ["solve", "add"]
    verifier = load_verifier(SUITES["humaneval"].solving.verifier)
    answers = [
        (tasks[0], "```python\ndef solve(x):\n    return math.floor(x) + 1\n```", "accepted"),
        (tasks[0], "```python\ndef solve(x):\n    return x\n```", "wrong_answer"),
        (tasks[0], "```python\nraise SystemExit(0)\n```", "wrong_answer"),
        (tasks[0], "```python\nimport os\nos._exit(0)\n```", "wrong_answer"),
        (tasks[0], "```python\ndef other(x):\n    return x\n```", "runtime_error"),
        (tasks[0], "no program", "no_answer"),
        (tasks[1], "```python\ndef add(a, b):\n    return [a + b]\n```", "accepted"),
        (tasks[1], "```python\ndef add(a, b):\n    return [a - b]\n```", "wrong_answer"),
    ]
    try:
        found = verifier.verify_many([(task, text) for task, text, _ in answers])
    finally:
        verifier.close()
    assert [one.status for one in found] == [status for *_, status in answers]


def test_counts_are_checked(tmp_path: Path) -> None:
    lines(tmp_path / "aime2025.jsonl", published(15))
    with pytest.raises(SuiteError, match=r"has 15 of 30 published problems; give the whole suite, or .* --incomplete"):
        load_suite("aime25", tmp_path)
    assert load_suite("aime25", tmp_path, incomplete=True).note == "15 of 30 published problems"
    lines(tmp_path / "aime24.jsonl", published(30))
    whole = load_suite("aime24", tmp_path)
    assert (len(whole.problems), whole.note) == (30, "")
    assert load_suite("aime24", tmp_path, limit=3).note == "3 of 30 published problems"


def test_the_content_tells_suites_apart(tmp_path: Path) -> None:
    rows = published(30)
    first = load_suite("aime24", lines(tmp_path / "aime24.jsonl", rows).parent).content
    rows[7]["answer"] = "9999"
    assert load_suite("aime24", lines(tmp_path / "aime24.jsonl", rows).parent).content != first


def test_files_of_every_kind_give_the_same_problems(tmp_path: Path) -> None:
    rows = [{"id": "a", "question": "1 + 1?\n(short)", "gold": 2}, {"id": "b", "question": '"x", é', "gold": 3}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_text('\ufeffid,question,gold\na,"1 + 1?\n(short)",2\nb,"""x"", é",3\n')
    lines(tmp_path / "rows.jsonl", rows)
    fields: Any = {"problem": "question", "answer": "gold"}
    files = [tmp_path / f"rows.{ending}" for ending in ("json", "parquet", "csv", "jsonl")]
    found = [load_suite(own(file, fields=fields), None) for file in files]
    assert len({suite.content for suite in found}) == 1
    assert [one.task.answer for one in found[0].problems] == ["2", "3"]


def test_programs_of_ones_own(tmp_path: Path) -> None:
    tests = [{"args": [1, 2], "expected": 3}]
    rows = [{"task_id": "x", "statement": "Add.", "entry_point": "add", "tests": tests}]
    suite = load_suite(
        own(lines(tmp_path / "rows.jsonl", rows), verifier="code", fields={"problem": "statement"}), None
    )
    assert suite.problems[0].task.tests[0].args == (1, 2)
    assert suite.solving.runs_programs


@pytest.mark.parametrize(
    ("rows", "fields", "says"),
    [
        ([], {}, "has 0 problems"),
        (
            [{"problem": "x", "answer": "1"}],
            {"problem": "question"},
            "has no column `question`.* it has answer, pr",
        ),
        ([{"problem": "x"}], {}, "has neither `answer` nor `tests`; map one with --fields answer=COLUMN"),
        ([{"question": "x", "answer": "1"}], {}, "has no text in `problem`; map it with --fields problem=COLUMN"),
        ([{"id": 1, "problem": "x", "answer": "1"}] * 2, {}, "line 2: bears the id '1'"),
        ([[1]], {}, "is not a JSON object"),
        # As pandas writes an empty cell: it became the label "nan", which nothing passes.
        ([{"problem": "x", "answer": float("nan")}], {}, "`answer` is nan, which no completion gives"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, rows: list[Any], fields: Any, says: str) -> None:
    with pytest.raises(SuiteError, match=says):
        load_suite(own(lines(tmp_path / "rows.jsonl", rows), fields=fields), None)


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "csv", "json"])
def test_a_file_that_was_cut_off_is_named(tmp_path: Path, ending: str) -> None:
    rows = [{"id": str(number), "problem": "x" * 40, "answer": "1"} for number in range(5)]
    path = tmp_path / f"rows.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif ending == "csv":
        path.write_text("id,problem,answer\n" + "".join(f'{row["id"]},"{row["problem"]}",1\n' for row in rows))
    else:
        path.write_text(json.dumps(rows) if ending == "json" else "".join(json.dumps(row) + "\n" for row in rows))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SuiteError, match=str(path)):
        load_suite(own(path), None)


@pytest.mark.parametrize(("answer", "says"), [(b"7", "not bytes"), (date(2024, 1, 2), "not date")])
def test_cells_that_are_no_answer_are_named(tmp_path: Path, answer: Any, says: str) -> None:
    """They became the labels "b'7'" and "2024-01-02"."""
    pq.write_table(pa.Table.from_pylist([{"problem": "x", "answer": answer}]), tmp_path / "rows.parquet")
    with pytest.raises(SuiteError, match=f"`answer` must be text or a number, {says}"):
        load_suite(own(tmp_path / "rows.parquet"), None)


def test_a_number_that_is_none_is_no_published_answer(tmp_path: Path) -> None:
    lines(tmp_path / "aime24.jsonl", [{"id": "a", "problem": "x", "answer": math.inf}])
    with pytest.raises(SuiteError, match="has no text in `answer`"):
        load_suite("aime24", tmp_path, incomplete=True)


def test_unknown_names_get_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="did you mean aime25"):
        load_suite("aime26", tmp_path)
    with pytest.raises(SuiteError, match="a window is written as in"):
        load_suite("livecodebench:2024", tmp_path)
    with pytest.raises(SuiteError, match=r"has no file math500.jsonl or math_500.jsonl"):
        load_suite("math500", tmp_path)


def test_a_data_set_that_cannot_be_loaded_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no route to any host")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(SuiteError, match=r"math500: .*is not on this machine, and no hub answers; .* with --data"):
        load_suite("math500", None)


def test_a_data_set_of_ones_own(tmp_path: Path) -> None:
    lines(tmp_path / "test.jsonl", [{"q": "1?", "a": "1"}])
    settings = section_of(
        UserSuite, ["name=mine", f"dataset={tmp_path}", "fields={problem: q, answer: a}"], "the suite"
    )
    assert load_suite(settings, None).problems[0].task.answer == "1"
    with pytest.raises(RecipeError, match="either `file` or `dataset`"):
        section_of(UserSuite, ["name=mine"], "the suite")


def test_the_page_has_the_table_of_suites() -> None:
    assert table() in pages("reference/suites.md")


def test_every_suite_has_what_its_form_needs() -> None:
    for name, suite in SUITES.items():
        assert suite.name == name
        assert suite.form in FORMS
        assert suite.licence


def test_commits_that_are_shipped_are_those_of_data_sets_here() -> None:
    assert set(PINS) <= {suite.dataset for suite in SUITES.values()}
    assert all(len(commit) == 40 and int(commit, 16) for commit in PINS.values())


def test_problems_without_labels_are_taken_where_that_is_said(tmp_path: Path) -> None:
    file = lines(tmp_path / "rows.jsonl", [{"problem": "1 + 1?"}, {"problem": "2 + 2?", "answer": "4"}])
    with pytest.raises(SuiteError, match=r"has neither `answer` nor `tests`; .* ask without judging with --unlabelled"):
        load_suite(own(file), None)
    assert [one.task.answer for one in load_suite(own(file, unlabelled=True), None).problems] == [None, "4"]
