"""A model on a suite: rows, classes of answers, and figures that other code finds from the table, too."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.config.domains import ProblemKind
from selfplay.config.sandbox import SandboxSettings
from selfplay.config.section import MeasuredSampling
from selfplay.engines.base import Missing, ModelRef, Sample
from selfplay.evaluation.figures import outcome_of, overall_rows, suite_rows
from selfplay.evaluation.measuring import MeasuredProblem, measured_problems
from selfplay.rollouts.completions import Origin, complete
from selfplay.rollouts.judge import Judge
from selfplay.run.store import content_key
from selfplay.run.tables import read_table, write_table
from selfplay.suites.load import Suite, load_suite
from tests.selfplay.suites.test_load import lines, own
from verifiers.model import Task

TEXTS = {
    "1 + 1 = ?": [r"\boxed{2}", r"so \boxed{\frac{4}{2}}", r"\boxed{3}", "no idea"],
    "1 + 2 = ?": [r"\boxed{4}", r"\boxed{4.0}", r"\boxed{3}", r"\boxed{\frac{8}{2}}"],
    "1 + 3 = ?": ["", r"\boxed{4}", "refused", r"\boxed{5}"],
}
CUT = ""


class Scripted:
    """A policy that gives what is written down."""

    model = ModelRef("scripted", "scripted")

    def stream(self, prompts: Any, sampling: Any, seed: int, on_progress: Any = None) -> Iterator[list[Any]]:
        place: dict[str, int] = {}
        for prompt in prompts:
            problem = prompt.split("\n")[0]
            text = TEXTS[problem][place.setdefault(problem, 0)]
            place[problem] += 1
            if text == "refused":
                yield [Missing("too long", "request")]
            else:
                yield [Sample(text, (), complete=text != CUT, prompt_tokens=5, completion_tokens=len(text))]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    rows = [{"id": f"p{n}", "problem": f"1 + {n} = ?", "answer": str(n + 1)} for n in (1, 2, 3)]
    return load_suite(own(lines(tmp_path_factory.mktemp("suite") / "rows.jsonl", rows)), None)


@pytest.fixture(scope="module")
def table(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    domains = {suite.name: suite.solving}
    judge = Judge(SimpleNamespace(domains=domains, sandbox=SandboxSettings()), folder, workers=1)
    batches = complete(
        Scripted(),
        suite.problems,
        MeasuredSampling(),
        4,
        0,
        domains=domains,
        origin=Origin(("evaluate",), 0, "mine"),
    )
    try:
        write_table(folder / "table.parquet", MeasuredProblem, measured_problems(judge, suite, batches))
    finally:
        judge.close()
    return folder / "table.parquet"


def test_rows_hold_what_was_asked_and_said(table: Path) -> None:
    first, second, third = read_table(table, MeasuredProblem)
    assert (first.published, first.label) == ("p1", "2")
    assert first.prompt == ProblemKind().solver_template.replace("{problem}", "1 + 1 = ?")
    assert first.completions == tuple(TEXTS["1 + 1 = ?"])
    assert first.passed == (True, True, False, False)
    assert first.statuses == ("correct", "correct", "wrong", "no_answer")
    assert third.statuses[:3] == ("cut", "correct", "refused")
    assert third.passed[2] is None
    assert third.cut == (True, False, False, False)
    assert second.tokens == tuple(map(len, TEXTS["1 + 2 = ?"]))


def test_equal_answers_are_one_class(table: Path) -> None:
    first, second, third = read_table(table, MeasuredProblem)
    assert first.classes == (0, 0, 1, None)
    # 4, 4.0 and 8/2 are wrong here, and the same.
    assert second.classes == (1, 1, 0, 1)
    assert third.classes[0] is None
    assert third.classes[1] == 0


def test_other_code_finds_the_same_figures(table: Path) -> None:
    rows = read_table(table, MeasuredProblem)
    found = {row["metric"]: row for row in suite_rows("mine", outcome_of(table), 500, 0)}
    checked = [[one for one in row.passed if one is not None] for row in rows]
    assert found["avg@4"]["value"] == pytest.approx(sum(sum(one) / len(one) for one in checked) / 3)
    pairs = [list(itertools.combinations(one, 2)) for one in checked]
    assert found["pass@2"]["value"] == pytest.approx(sum(sum(map(any, one)) / len(one) for one in pairs) / 3)
    # Of the third problem only three could be checked, so that it has no pass@4.
    assert (found["pass@4"]["value"], found["pass@4"]["n"]) == (1.0, 2)
    # First: 2 twice, 3 once. Second: 4 thrice. Third: 4 and 5 once each, and 4 is right.
    assert found["maj@4"]["value"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert found["cut share"]["value"] == pytest.approx(1 / 12)
    assert found["not checked"]["value"] == pytest.approx(1 / 12)
    assert found["tokens"]["value"] == pytest.approx(sum(sum(map(len, TEXTS[p])) for p in TEXTS) / 12 - 7 / 12)
    assert next(iter(found)) == "avg@4"


def test_the_mean_over_suites_counts_each_once(table: Path) -> None:
    one = outcome_of(table)
    assert overall_rows({"a": one}, 500, 0) == []
    [row] = overall_rows({"a": one, "b": one}, 500, 0)
    assert row["metric"] == "avg@4"
    assert row["n"] == 6
    assert row["value"] == pytest.approx(suite_rows("a", one, 500, 0)[0]["value"])


def test_keys_of_verdicts_go_with_the_task_and_its_domain(tmp_path: Path) -> None:
    """What is hashed once for the completions of a task is that of no other task."""
    domains = {"a": ProblemKind(), "b": ProblemKind(verifier="choice")}
    judge = Judge(SimpleNamespace(domains=domains, sandbox=SandboxSettings()), tmp_path, workers=1)
    first, second = Task("1?", "A"), Task("1?", "B")
    items = [("a", first, "x"), ("a", first, "y"), ("a", second, "x"), ("b", first, "x"), ("a", first, "x")]
    try:
        keys, _ = judge.look_up(items)
        expected = [
            content_key("verdict", judge.verifiers[domain].fingerprint, asdict(task), text)  # type: ignore[attr-defined]
            for domain, task, text in items
        ]
    finally:
        judge.close()
    assert keys == expected
    assert len(set(keys)) == 4
