"""Recipes with annotators on a local server, seed files for them, and the stage in this process."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from selfplay.compute.clock import Clock
from selfplay.config.load import load_recipe
from selfplay.config.recipe import Recipe
from selfplay.pipeline.extension import Extension
from selfplay.pipeline.main_loop import run_pipeline
from selfplay.pipeline.stage_runner import Reached
from selfplay.pipeline.stages import planned, stage_table
from selfplay.run.directory import RunDirectory, Stage
from selfplay.run.records import Annotation, Seed
from selfplay.stage.context import Context

QUICK: dict[str, Any] = {"pause_s": 0.01, "longest_pause_s": 0.05, "timeout_s": 10, "concurrency": 4}


def teach(prompt: str, seed: int) -> str:
    """A teacher's answer: three concepts with the seed among them, or a rationale that names its first concept."""
    if "<concepts>" not in prompt:
        return f'These: ["concept {seed % 5}", "sums", "whole numbers"]'
    first = prompt.split("1. ")[1].split("\n", maxsplit=1)[0]
    return f"<!-- BEGIN RATIONALE -->Start from {first}, seed {seed}.<!-- END RATIONALE -->"


def problem(number: int) -> dict[str, Any]:
    """A bare problem."""
    return {"problem": f"What is {number} + 2?", "answer": number + 2}


def annotator(url: str, model: str = "big", endpoint: Mapping[str, Any] | None = None, **settings: Any) -> Any:
    """The settings of an annotator at an endpoint."""
    share = {"share": settings.pop("share")} if "share" in settings else {}
    where = QUICK | {"base_url": url} | dict(endpoint or {})
    return {"engine": {"kind": "openai", "model": model, "endpoint": where} | settings} | share


def recipe_file(
    folder: Path,
    annotators: Mapping[str, Any],
    train: list[dict[str, Any]],
    heldout: list[dict[str, Any]] | None = None,
    **settings: Any,
) -> Path:
    """A recipe with bare problems of one domain; `settings` replace parts of it."""
    for name, rows in (("train", train), ("heldout", heldout or [problem(1000 + n) for n in range(3)])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    domain = {"seeds": {"kind": "file", "train": "train.jsonl", "heldout": "heldout.jsonl", "level": "easy"}}
    whole: dict[str, Any] = {
        "name": "annotated",
        "compute": {"device": "cpu", "workers": 1},
        "model": {"kind": "scratch"},
        "domains": {"math": domain | settings.pop("domain", {})},
        "cold_start": {
            "annotators": dict(annotators),
            "annotation": {"concepts": 3, "pause_s": 0.01} | settings.pop("annotation", {}),
        },
        "tracking": {"wandb": {"mode": "disabled"}},
    }
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(whole | settings, sort_keys=False))
    return file


class Listener:
    """Hears what a stage says."""

    def __init__(self) -> None:
        self.done = 0
        self.metrics: list[dict[str, float]] = []

    def stage(self, name: str, index: int, total: int, done: bool) -> None:
        """Nothing to note."""

    def begin(self, description: str, total: int) -> None:
        """Counts anew."""
        self.done = 0

    def advance(self, count: int) -> None:
        """Counts."""
        self.done += count

    def note(self, text: str) -> None:
        """Nothing to note."""

    def log(self, stage: str, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keeps them."""
        self.metrics.append(dict(metrics))


class Annotated:
    """What the stage left."""

    def __init__(self, stage: Stage, listener: Listener, domain: str) -> None:
        self.counts: dict[str, Any] = stage.manifest["counts"]
        self.train: list[Seed] = stage.read(f"{domain}-train", Seed)
        self.heldout: list[Seed] = stage.read(f"{domain}-heldout", Seed)
        self.rows: list[Annotation] = stage.read("annotations", Annotation)
        self.listener = listener


def annotate(folder: Path, recipe: Path | Recipe, workers: Any, domain: str = "math") -> Annotated:
    """Runs the first two stages of a recipe in a run directory."""
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    listener = Listener()
    workers.busy_seconds = 0.0
    with RunDirectory.open(folder, loaded) as run:
        table = stage_table(loaded)
        Extension(run, table).begin()
        run.claim(planned(table).stages)
        context = Context(run, workers, None, listener, Clock(folder / "clock.json", workers))  # type: ignore[arg-type]
        with contextlib.suppress(Reached):
            run_pipeline(context, table, until="annotation")
        return Annotated(run.stage("annotation"), listener, domain)
