"""Suites beside a run's held-out problems: when they are due, what is written, and what figures see of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.config.evaluation import SuiteEvaluation
from selfplay.config.load import RecipeError, load_recipe
from selfplay.config.sandbox import SandboxSettings
from selfplay.engines.base import ModelRef
from selfplay.evaluation.evaluate import Values, comparable, gain_rows, metric_rows
from selfplay.evaluation.suites_of_run import load_suites, measure_suites, suite_contents, suite_tables, suite_values
from selfplay.report.charts import accuracy_charts
from selfplay.run.tables import write_table
from selfplay.suites.rows import SuiteError
from selfplay.tracking.alarms import _heldout
from selfplay.tracking.metric_log import metric_line, round_curves
from tests.selfplay.evaluation.test_measuring import TEXTS, Scripted
from tests.selfplay.suites.test_load import lines

POLICY = ModelRef("scripted", "scripted")


def settings_of(folder: Path, **more: Any) -> SuiteEvaluation:
    rows = [{"id": f"p{n}", "problem": f"1 + {n} = ?", "answer": str(n + 1)} for n in (1, 2, 3)]
    file = lines(folder / "mine.jsonl", rows)
    return SuiteEvaluation.model_validate({"own": [{"name": "mine", "file": str(file)}], "samples": 4} | more)


class Listener:
    def begin(self, what: str, total: int) -> None:
        self.begun = (what, total)

    def advance(self, count: int) -> None:
        pass

    def table(self, stage: str, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self.tables = {(stage, name): [dict(zip(columns, row, strict=True)) for row in rows]}


def measured(folder: Path, settings: SuiteEvaluation | None, number: int, listener: Listener | None = None) -> Path:
    """Measures round `number`; gives the folder of its evaluation."""
    stage = folder / f"evaluation_{number}"

    def write(table: str, record: type[Any], rows: Any) -> int:
        return write_table(stage / f"{table}.parquet", record, rows)

    context: Any = SimpleNamespace(
        recipe=SimpleNamespace(evaluation=SimpleNamespace(suites=settings), sandbox=SandboxSettings()),
        run=SimpleNamespace(store_folder=folder / "store"),
        listener=listener or Listener(),
        engine=lambda policy: Scripted(),
        seed=lambda *names: 0,
    )
    measure_suites(SimpleNamespace(write=write, folder=stage, name=stage.name), context, number, POLICY)  # type: ignore[arg-type]
    return stage


def test_rounds_that_are_due_are_measured(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, every=2)
    there = [number for number in range(5) if suite_tables(measured(tmp_path, settings, number))]
    assert there == [0, 2, 4]
    assert suite_tables(measured(tmp_path / "other", None, 0)) == {}


def test_accuracies_stand_among_those_of_domains(tmp_path: Path) -> None:
    stage = measured(tmp_path, settings_of(tmp_path), 0)
    values = suite_values(stage)
    assert set(values) == {("suite/mine", metric) for metric in ("avg@4", "pass@2", "pass@4", "maj@4")}
    recipe = SimpleNamespace(bootstrap=200)
    rows = metric_rows(values, recipe, 0, 0)  # type: ignore[arg-type]
    assert {row["n"] for row in rows if row["metric"] == "avg@4"} == {len(TEXTS)}
    gains = gain_rows(values, values, recipe, 1, 0)  # type: ignore[arg-type]
    assert all(row["value"] == 0 for row in gains)


def test_trackers_get_a_row_a_problem(tmp_path: Path) -> None:
    listener = Listener()
    measured(tmp_path, settings_of(tmp_path), 2, listener)
    [((stage, name), rows)] = listener.tables.items()
    assert (stage, name) == ("evaluation_2", "suite-mine_evaluation_2")
    assert [row["published"] for row in rows] == ["p1", "p2", "p3"]
    first, *_, last = rows
    assert (first["completion"], first["passed"], first["pass rate"]) == (r"\boxed{2}", True, 0.5)
    assert (last["completion"], last["passed"], last["cut share"]) == ("", False, 0.25)


def test_the_report_and_trackers_draw_suites_over_rounds(tmp_path: Path) -> None:
    settings: Any = SimpleNamespace(bootstrap=200)
    values = suite_values(measured(tmp_path, settings_of(tmp_path), 0))
    rows = [row for number in (0, 2) for row in metric_rows(values, settings, number, 0)]
    [chart] = accuracy_charts(rows).values()
    assert chart["title"] == "suite/mine"
    assert {trace["name"] for trace in chart["data"]} == {"avg@4", "pass@2", "pass@4", "maj@4"}
    assert [len(trace["x"]) for trace in chart["data"]] == [2] * 4
    logged = {"time": 0.0, "stage": "evaluation_2", "kind": "evaluation", "round": 2, "step": 2}
    line = metric_line(logged | {"metrics": {"suite/mine/avg@4": 0.5}})
    assert line is not None
    curves = round_curves(7, line)
    assert curves is not None
    assert (curves.round, curves.metrics) == (2, {"evaluation/suite/mine/avg@4": 0.5})


def test_a_base_that_answers_nothing_has_votes_that_are_never_right(tmp_path: Path) -> None:
    """It had no maj@k at all, and a run whose base was such a one could not be summed up when all was done."""
    after = suite_values(measured(tmp_path, settings_of(tmp_path), 1))
    key, silent = ("suite/mine", "maj@4"), {name: values for name, values in after.items() if name[1] != "maj@4"}
    between: Values = {("math", "greedy"): {"a": 1.0}}
    base, unmeasured, last = comparable([silent, between, after])
    assert unmeasured == between
    assert last == after
    assert set(base[key].values()) == {0.0}
    recipe = SimpleNamespace(bootstrap=200)
    [gain] = [row for row in gain_rows(base, last, recipe, 1, 0) if row["metric"] == "maj@4"]  # type: ignore[arg-type]
    known = [value for value in after[key].values() if value is not None]
    assert gain["value"] == pytest.approx(sum(known) / len(known))


def test_the_contents_are_those_of_the_problems(tmp_path: Path) -> None:
    assert suite_contents(None) == ""
    settings = settings_of(tmp_path)
    before = suite_contents(settings)
    assert before == suite_contents(settings)
    other = tmp_path / "other"
    other.mkdir()
    lines(other / "mine.jsonl", [{"problem": "2?", "answer": "2"}])
    changed = settings.model_copy(
        update={"own": (settings.own[0].model_copy(update={"file": str(other / "mine.jsonl")}),)}
    )
    assert suite_contents(changed) != before


def test_recipes_name_suites(tmp_path: Path) -> None:
    lines(tmp_path / "mine.jsonl", [{"q": "2?", "answer": "2"}])
    base = Path(__file__).parents[2] / "e2e" / "small.yaml"
    recipe = tmp_path / "recipe.yaml"
    own = {"name": "mine", "file": "mine.jsonl", "fields": {"problem": "q"}}
    recipe.write_text(json.dumps({"extends": str(base), "evaluation": {"suites": {"own": [own]}}}))
    # Relative to the recipe, as all files are.
    [suite] = load_suites(load_recipe(recipe).evaluation.suites)
    assert suite.problems[0].task.problem == "2?"
    with pytest.raises(RecipeError, match=r"system_prompt takes a chat template, .*: leave it out, or set model"):
        load_recipe(recipe, ["evaluation.suites.sampling.system_prompt=Be brief."])
    with pytest.raises(RecipeError, match="names no suite"):
        load_recipe(recipe, ["evaluation.suites.own=[]"])
    with pytest.raises(SuiteError, match="did you mean aime2"):
        load_suites(load_recipe(recipe, ["evaluation.suites.names=[aime2]"]).evaluation.suites)
    with pytest.raises(RecipeError, match="names a suite twice"):
        load_recipe(recipe, ["evaluation.suites.names=[mine]"])


def test_alarms_look_at_held_out_problems_alone() -> None:
    found = {"math/avg@4 T=1.0": [0.5, 0.4], "suite/aime24/avg@16": [0.9, 0.1], "math/pass@4 T=1.0": [1.0]}
    curves: Any = SimpleNamespace(named=lambda stage, start: found)
    assert _heldout(curves, "evaluation_1") == {"math/avg@4 T=1.0": 0.4}
