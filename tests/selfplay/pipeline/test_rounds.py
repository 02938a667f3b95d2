"""Rounds that end early, and the policy that is kept: whole runs of a tiny model in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfplay.compute.clock import Clock
from selfplay.config import load as recipe_file
from selfplay.config.recipe import Recipe
from selfplay.pipeline.main_loop import run_pipeline
from selfplay.pipeline.stages import is_finished, planned, stage_table
from selfplay.rollouts.judge import Judge
from selfplay.run.directory import RunDirectory
from selfplay.run.plan import expected
from selfplay.run.records import RoundPrompt
from selfplay.stage.context import Context
from selfplay.trl_trainers.model_folder import weights_hash
from tests.selfplay.in_process import InProcess
from tests.selfplay.synthesis.toy import Quiet


def recipe(**training: Any) -> Recipe:
    """All prompts are external, so that nothing but the rounds takes time."""
    return Recipe.model_validate(
        {
            "name": "r",
            "model": {
                "kind": "scratch",
                "hidden_size": 32,
                "layers": 1,
                "vocabulary": 400,
                "args": {"max_steps": 2, "per_device_train_batch_size": 4},
            },
            "domains": {
                "math": {"seeds": {"kind": "quickstart", "grammar": "math", "train": 24, "dev": 4, "heldout": 4}}
            },
            "training": {
                "algorithm": "continued_sft",
                "continued_sft": {"args": {"max_steps": 1, "per_device_train_batch_size": 4, "learning_rate": 1e-3}},
                "pool": {"arm": "external"},
            }
            | training,
            "evaluation": {
                "problems": 4,
                "samples": 1,
                "temperatures": [1.0],
                "greedy": False,
                "max_new_tokens": 8,
                "bootstrap": 100,
            },
        }
    )


def run_whole(folder: Path, settings: Recipe) -> tuple[dict[str, Any], list[str]]:
    """Runs a recipe to its end; returns the summary and what a person was told."""
    with RunDirectory.open(folder, settings) as run:
        workers: Any = InProcess()
        judge, listener = Judge(settings, run.store_folder, 1), Quiet()
        context, table = (
            Context(run, workers, judge, listener, Clock(folder / "clock.json", workers)),
            stage_table(settings),
        )
        run.claim(planned(table).stages)
        try:
            summary = run_pipeline(context, table)
        finally:
            judge.close()
        assert is_finished(run, table)
    return summary, listener.notes


def test_rounds_without_gain_end_the_run_and_the_base_is_the_best(tmp_path: Path) -> None:
    """The model is too poor to solve anything, so that no round is better than the base."""
    run = tmp_path / "run"
    settings = recipe(rounds=5, selection={"problems": 4, "samples": 1, "temperature": 0, "patience": 1})
    summary, notes = run_whole(run, settings)
    plan = planned(stage_table(settings))
    assert sorted(path.name for path in (run / "stages").iterdir()) == sorted(expected(run, plan).names)
    assert expected(run, plan).names[-1] == "selection_1"
    assert plan.names[-1] == "selection_5"
    [note] = notes
    assert note.startswith("self-play ended after round 1: it was no better")
    assert summary["selection"]["stopped"] == note
    assert summary["best"]["round"] == 0
    assert (run / "best").resolve() == (run / "stages" / "base" / "model").resolve()
    assert [row["round"] for row in summary["rounds"]] == [1]
    assert {row["round"] for row in summary["gains"]} == {1}
    again, _ = run_whole(run, settings)
    assert again["best"] == summary["best"]


def test_the_best_round_is_kept_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.1, 0.4, 0.3])
    from selfplay.evaluation import selection

    real: Callable[..., dict[str, Any]] = selection.score_of
    # The tiny model's own scores are all alike.
    monkeypatch.setattr(selection, "score_of", lambda rows, number: real(rows, number) | {"score": next(scores)})
    run = tmp_path / "run"
    summary, _ = run_whole(run, recipe(rounds=2, selection={"problems": 4, "samples": 1}))
    assert summary["best"] == {
        "round": 1,
        "chosen_by": "development problems",
        "score": 0.4,
        "place": str(run / "stages" / "selfplay_1" / "policy"),
    }
    assert summary["paths"]["model"] == summary["best"]["place"]
    assert weights_hash(run / "best") == weights_hash(run / "stages" / "selfplay_1" / "policy")
    moved = tmp_path / "moved"
    run.rename(moved)
    assert (moved / "best" / "config.json").exists()


def test_external_prompts_are_trained_on_and_tracked_by_source(tmp_path: Path) -> None:
    rows = [{"problem": f"Say {n}.", "answer": str(n), "source": f"book {n % 2}"} for n in (1, 2, 3, 3)]
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    # Every text has an even or an odd number of characters, so that pairs are there to learn from.
    (tmp_path / "parity.py").write_text("def judge(task, completion):\n    return len(completion) % 2 == 0\n")
    settings = recipe(
        algorithm="dpo",
        rounds=1,
        dpo={"rollouts": 16, "args": {"max_steps": 1}},
        sampling={"max_new_tokens": 250},  # as it seldom ends
        pool={"arm": "external", "external": {"math": str(file)}},
    )
    domain = settings.domains["math"].model_copy(update={"verifier": "parity:judge"})
    settings = settings.model_copy(update={"domains": {"math": domain}})
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        summary, _ = run_whole(tmp_path / "run", settings)
    assert list(stage_table(settings)) == ["seeds", "base", "evaluation_0", "selfplay_1", "evaluation_1"]
    with RunDirectory.open(tmp_path / "run", settings) as run:
        prompts = run.stage("selfplay_1").read("prompts", RoundPrompt)
    assert sorted((row.task.problem, row.source, row.origin) for row in prompts) == [
        ("Say 1.", "external", "book 1"),
        ("Say 2.", "external", "book 0"),
        ("Say 3.", "external", "book 1"),
    ]
    assert summary["rounds"][0]["sources"] == {"external": 3}
    assert summary["prompts"] == {"made": 0, "kept": 0, "lost": {}}


def test_where_a_policy_is_pushed_may_change_while_a_run_goes_on() -> None:
    plain, pushed = (recipe(**more).model_dump(mode="json") for more in ({}, {"push_to_hub": "me/mine"}))
    assert recipe_file.deciding(plain) == recipe_file.deciding(pushed)
    assert recipe_file.deciding(plain) != recipe_file.deciding(recipe(rounds=7).model_dump(mode="json"))
