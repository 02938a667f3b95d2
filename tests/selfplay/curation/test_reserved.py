"""What is trained on, less what holds a problem that must stay unseen: seeds, given prompts, traces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from selfplay.config.curation import Curation
from selfplay.config.recipe import Recipe
from selfplay.curation.reserved import Reserved, without_leaks
from selfplay.engines.base import ModelRef
from selfplay.run.directory import RunDirectory
from selfplay.run.records import Seed
from selfplay.seeds.stage import seeds_stage
from selfplay.training.external_prompts import external_tasks
from selfplay.training.teacher import learn_from_teacher
from tests.selfplay.curation.test_curation import seed
from tests.selfplay.training.test_teacher import round_of, table

HELD = "A farmer has 17 sheep and sells all but 9 of them. How many sheep are left on the farm?"
DEV = "A baker bakes 24 loaves and sells 15 of them before noon. How many loaves are left?"
NAMED = "Find the number of primes p below 100 for which p + 2 is a prime as well."
FREE = ["How many edges has a cube?", "A train covers 90 km in 40 minutes. What is its speed in km per hour?"]


def file(path: Path, *problems: str) -> str:
    row = {"concepts": ["sum"], "level": "easy", "rationale": "Add.", "answer": "4"}
    path.write_text("".join(json.dumps(row | {"problem": problem}) + "\n" for problem in problems))
    return str(path)


def recipe_of(folder: Path, **training: Any) -> Recipe:
    seeds = {
        "kind": "file",
        "train": file(folder / "train.jsonl", *FREE, HELD.replace(" ", "  "), f"{DEV} Explain.", NAMED.upper()),
        "dev": file(folder / "dev.jsonl", DEV, HELD.replace(",", "")),
        "heldout": file(folder / "heldout.jsonl", HELD),
    }
    named = {"kind": "file", "path": file(folder / "named.jsonl", NAMED)}
    return Recipe.model_validate(
        {
            "name": "r",
            "model": {"kind": "scratch"},
            "domains": {"math": {"seeds": seeds}},
            "curation": {"benchmarks": {"named": named}},
            "training": training,
        }
    )


def test_seeds_that_hold_a_problem_that_must_stay_unseen_are_left_out_and_counted(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path)
    with RunDirectory.open(tmp_path / "run", recipe) as run:
        stage = run.stage("seeds")
        found = seeds_stage(stage, recipe, (), lambda splits: without_leaks(recipe.curation, splits))
        left = {split: [row.problem for row in stage.read(f"math-{split}", Seed)] for split in ("train", "dev")}
    assert found.contaminated == {"math-train": 3, "math-dev": 1}
    assert found.problems == {"math-train": 2, "math-dev": 1, "math-heldout": 1}
    assert left == {"train": FREE, "dev": [DEV]}


def test_without_decontamination_all_seeds_stay() -> None:
    splits: Any = {"train": [seed(HELD, "train")], "dev": [], "heldout": [seed(HELD)]}
    assert without_leaks(Curation(decontamination_ngram=0), splits) == splits
    assert without_leaks(Curation(), splits)["train"] == []


def test_given_prompts_that_hold_one_are_left_out_and_counted(tmp_path: Path) -> None:
    given = file(tmp_path / "given.jsonl", f"**{NAMED}**", FREE[0], f"Think hard. {HELD}")
    recipe = recipe_of(tmp_path, pool={"arm": "external", "external": {"math": given}})
    reserved = Reserved(recipe.curation, [seed(HELD), seed(DEV, "dev")], [])
    found, leaks = external_tasks(recipe, [], reserved)
    assert ([row.task.problem for row in found], leaks) == ([FREE[0]], 2)


def test_traces_of_files_that_solve_one_are_dropped_with_the_reason(tmp_path: Path, tiny_model: ModelRef) -> None:
    rows = [{"problem": problem, "completion": "<think>\nx\n</think>\n\n\\boxed{4}"} for problem in (HELD, *FREE)]
    traces = tmp_path / "traces.jsonl"
    traces.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reserved = Reserved(Curation(), [seed(HELD)], [])
    with round_of(tmp_path / "run", tiny_model, {"files": {"paths": [str(traces)]}}, reserved) as this:
        counts = learn_from_teacher(this)
        assert (counts["samples"], counts["lost"]) == (2, {"contaminated": 1})
        assert [row.dropped for row in table(this)] == [f"contaminated (by held-out problems, {seed(HELD).id})", "", ""]
