"""Runs on nested subsets of prompts, and the curve of their accuracies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.config.recipe import Recipe
from selfplay.config.training import PromptPool
from selfplay.evaluation.scaling import (
    NotScalable,
    SizedRun,
    parsed_sizes,
    scaling_curve,
    size_override,
    sized_runs,
    write_curve,
)
from selfplay.run.files import RunError, read_json, write_json
from selfplay.run.plan import Kind, PlannedStage, write_plan
from selfplay.run.records import LabelledTask
from selfplay.training.prompt_pool import Draw, Pools, choose
from tests.selfplay.evaluation.folders import write_evaluation
from verifiers.model import Task

SMALL = Path(__file__).parents[2] / "e2e" / "small.yaml"
BASE = [[False], [True], [False], [False]]
WORSE, BETTER = [[True], [True], [False], [False]], [[True], [True], [True], [True]]


def recipe(**training: Any) -> Recipe:
    domains = {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}}
    return Recipe.model_validate(
        {"name": "small", "model": {"kind": "scratch"}, "domains": domains, "training": training}
    )


@pytest.mark.parametrize("rounds", [1, 2])
def test_smaller_sizes_are_subsets_of_larger_ones(rounds: int) -> None:
    """Of one seed, and over all rounds together."""
    tasks = [LabelledTask(f"t{n}", f"p{n}", "math", Task(str(n), "1"), 1.0, 0.5, "", None) for n in range(100)]
    pools = Pools(dict.fromkeys((1, 2), tasks))

    def drawn(size: int, seed: int) -> set[str]:
        each = [choose(pools, PromptPool(), Draw(size, 0.0, seed), number) for number in range(1, rounds + 1)]
        return {one.task.id for chosen in each for one in chosen}

    assert len(drawn(10, 1)) == 10 * rounds
    assert drawn(10, 1) < drawn(30, 1) < drawn(50, 1)
    assert drawn(10, 1) != drawn(10, 2)


@pytest.mark.parametrize("text", ["100", "100,100", "0,5", "-1,5", "many,5", "", "100,300.5"])
def test_sizes_are_two_or_more_different_numbers(text: str) -> None:
    with pytest.raises(NotScalable, match="is written as in 100,300,1000"):
        parsed_sizes(text)


def test_sizes_come_in_order() -> None:
    assert parsed_sizes("300, 100,1000") == [100, 300, 1000]


def test_each_size_is_an_ordinary_run_with_one_more_setting(tmp_path: Path) -> None:
    wanted: list[str] = []

    def load(override: str) -> Recipe:
        wanted.append(override)
        return recipe(algorithm="rft")

    found = [run for run, _ in sized_runs(load, recipe(algorithm="rft"), [10, 30], tmp_path)]
    assert wanted == ["training.rft.prompts=10", "training.rft.prompts=30"]
    assert found == [SizedRun(10, tmp_path / "small-10"), SizedRun(30, tmp_path / "small-30")]


@pytest.mark.parametrize("training", [{"algorithm": "continued_sft"}, {"rounds": 0}])
def test_a_recipe_without_prompts_to_choose_from_is_refused(training: dict[str, Any]) -> None:
    with pytest.raises(NotScalable, match="draws no prompts"):
        size_override(recipe(**training), 10)


def ended(folder: Path, size: int, passed: list[list[bool]], prompts: int) -> SizedRun:
    """A run that has ended, as far as the curve looks at it: an evaluation has the same figures."""
    run = write_evaluation(folder / str(size), {"base": {"sums": BASE}, "round-1": {"sums": passed}})
    write_plan(run, [PlannedStage(Kind.SELFPLAY, 1, "")])
    counts = {"prompts": prompts}
    write_json(run / "stages" / "selfplay_1" / "manifest.json", {"seconds": 1.0, "counts": counts})
    write_json(run / "summary.json", {"best": {"place": "", "round": 1, "chosen_by": "being the last"}})
    return SizedRun(size, run)


def test_the_curve_has_the_base_and_each_size_with_intervals(tmp_path: Path) -> None:
    runs = [ended(tmp_path, 10, WORSE, 10), ended(tmp_path, 30, BETTER, 25)]
    curve = write_curve(runs, tmp_path, flips=1)
    assert [(row["size"], row["value"]) for row in curve.rows] == [(0, 0.25), (10, 0.5), (30, 1.0)]
    assert all(row["low"] <= row["value"] <= row["high"] for row in curve.rows)
    written = read_json(tmp_path / "scaling.json")
    # The second run had fewer prompts than it was to train on.
    assert [run["prompts"] for run in written["runs"]] == [[10], [25]]
    assert [(row["size"], row["value"]) for row in written["against_base"]] == [(10, 0.25), (30, 0.75)]
    page = (tmp_path / "scaling.html").read_text()
    assert "Over the number of training prompts" in page
    assert '"type": "log"' in page


def test_the_command_runs_each_size_over_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[tuple[int, str, str | None]] = []

    def launch(sized: Recipe, folder: Path, reuse: Path | None, until: str | None) -> None:
        size = sized.training.grpo.prompts
        launched.append((size, folder.name, None if reuse is None else reuse.name))
        ended(tmp_path, size, WORSE if size == 10 else BETTER, 10 if size == 10 else 25).path.rename(folder)

    monkeypatch.setattr("selfplay.cli.run.launch_run", launch)
    given = ["scale", str(SMALL), "--sizes", "30,10", "--out", str(tmp_path / "out")]
    (tmp_path / "out").mkdir()
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert launched == [(10, "small-10", None), (30, "small-30", "small-10")]
    assert "small-30: a round had only 25 prompts to train on" in done.stderr.replace("\n", "")
    assert "30 prompts against base" in done.stdout
    assert (tmp_path / "out" / "scaling.html").exists()


def test_a_run_that_has_not_ended_has_no_place_on_the_curve(tmp_path: Path) -> None:
    runs = [ended(tmp_path, 10, WORSE, 10), ended(tmp_path, 30, BETTER, 30)]
    (runs[1].path / "summary.json").unlink()
    with pytest.raises(RunError, match="has not ended; the same command goes on with it"):
        scaling_curve(runs)
