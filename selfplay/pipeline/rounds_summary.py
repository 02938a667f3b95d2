"""What the closing table says of the rounds: their prompts, what ended them, and which policy is the best."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.config.models import PretrainedModel
from selfplay.config.recipe import Recipe
from selfplay.evaluation.selection import selection_outcome
from selfplay.run.directory import RunDirectory, Stage
from selfplay.stage.plan import rounds_made
from selfplay.training.rules import POLICY

BEST = "best"


@dataclass(frozen=True, slots=True)
class Best:
    """The policy that the run is about."""

    round: int
    """0 for the base."""
    chosen_by: str
    score: float | None
    """On the development problems; None where nothing was chosen."""
    place: str
    """Its folder, or its name on the hub."""


def round_rows(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """One row a round: what it learnt from, and what ended its training early, if anything did."""
    return [
        {"round": int(stage.name.removeprefix("selfplay_"))} | stage.manifest["counts"]
        for stage in stages
        if stage.name.startswith("selfplay_")
    ]


def score_rows(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """The score of each round on the development problems, where the recipe selects by it."""
    return [stage.manifest["counts"]["score"] for stage in stages if stage.name.startswith("selection_")]


def prompt_counts(stages: Sequence[Stage]) -> dict[str, Any]:
    """How many prompts were made and what became of them, over all rounds; labels that were looked at again count
    once, as they were first."""
    counts = {stage.name: stage.manifest["counts"] for stage in stages}
    made, kept, lost = 0, 0, Counter[str]()
    for name in [name for name in counts if name == "synthesis" or name.startswith("synthesis_")]:
        number = name.removeprefix("synthesis")
        curation, labelling = counts[f"curation{number}"], counts.get(f"labelling{number}")
        made += counts[name]["made"]
        kept += labelling["tasks"] if labelling is not None else curation["kept"]
        for part in (counts[name], curation, labelling or {"lost": {}}):
            lost.update(part["lost"])
    return {"made": made, "kept": kept, "lost": dict(lost)}


def selection_summary(recipe: Recipe, scores: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The scores, the best round, and the sentence that ended the run early; None where nothing was selected by."""
    settings = recipe.training.selection
    if settings is None or not scores:
        return None
    outcome = selection_outcome(settings, scores)
    return {"scores": list(scores), "best": outcome.best, "stopped": outcome.stopped or None}


def best_policy(run: RunDirectory, stages: Sequence[Stage]) -> Best:
    """The best round by its score on development problems; without selection, the last."""
    recipe, scores = run.recipe, score_rows(stages)
    made = rounds_made([stage.name for stage in stages])
    if recipe.training.selection is not None and scores:
        outcome = selection_outcome(recipe.training.selection, scores)
        return Best(outcome.best, "development problems", outcome.score, _place(run, outcome.best))
    last = made[-1] if made else 0
    return Best(last, "being the last", None, _place(run, last))


def _place(run: RunDirectory, number: int) -> str:
    if number:
        return str(run.path / "stages" / f"selfplay_{number}" / POLICY)
    model = run.recipe.model
    return model.name if isinstance(model, PretrainedModel) else str(run.path / "stages" / "base" / "model")


def link_best(run: RunDirectory, best: Best) -> None:
    """Makes `RUN/best` lead to the policy, relative to the run, so that it may be moved; none where that is no folder
    of the run."""
    link, folder = run.path / BEST, Path(best.place)
    if link.is_symlink():
        link.unlink()
    # Somebody may have put a file of their own there.
    if not link.exists() and folder.is_dir() and folder.resolve().is_relative_to(run.path.resolve()):
        link.symlink_to(os.path.relpath(folder, run.path), target_is_directory=True)
