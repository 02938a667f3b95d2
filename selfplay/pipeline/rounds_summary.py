"""The closing table's part on the rounds: their prompts, what ended them, and which policy is the best."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.config.section import PretrainedModel
from selfplay.run.directory import RunDirectory, Stage
from selfplay.run.place import BEST
from selfplay.run.plan import Kind, PlannedStage, stage_name
from selfplay.run.results import CurationResult, LabellingResult, SelectionResult, SelfplayResult, SynthesisResult
from selfplay.training.rules import POLICY


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


Done = Sequence[tuple[PlannedStage, Stage]]
"""The stages that took place, in order."""


def of_kind(stages: Done, kind: Kind) -> list[tuple[int, Stage]]:
    """The stages of a kind, each with its round."""
    return [(planned.round, stage) for planned, stage in stages if planned.kind is kind]


def round_rows(stages: Done) -> list[dict[str, Any]]:
    """One row a round: what it was trained on, and what ended its training early, if anything did."""
    return [
        {"round": number} | stage.result(SelfplayResult).counts() for number, stage in of_kind(stages, Kind.SELFPLAY)
    ]


def prompt_counts(stages: Done) -> dict[str, Any]:
    """How many prompts were made and what became of them, over all rounds; labels that were looked at again count
    once, as they were first."""
    curated, labelled = dict(of_kind(stages, Kind.CURATION)), dict(of_kind(stages, Kind.LABELLING))
    made, kept, lost = 0, 0, Counter[str]()
    for number, stage in of_kind(stages, Kind.SYNTHESIS):
        written, curation = stage.result(SynthesisResult), curated[number].result(CurationResult)
        made += written.made
        lost.update(written.lost)
        lost.update(curation.lost)
        if number in labelled:
            labels = labelled[number].result(LabellingResult)
            kept += labels.tasks
            lost.update(labels.lost)
        else:
            kept += curation.kept
    return {"made": made, "kept": kept, "lost": dict(lost)}


def selection_summary(stages: Done) -> dict[str, Any] | None:
    """The scores, the best round, and the sentence that ended the run early; None where nothing was selected by."""
    found = [stage.result(SelectionResult) for _, stage in of_kind(stages, Kind.SELECTION)]
    if not found:
        return None
    return {"scores": [one.score for one in found], "best": found[-1].best, "stopped": found[-1].stopped}


def best_policy(run: RunDirectory, stages: Done) -> Best:
    """The best round by its score on development problems; without selection, the last."""
    selection = selection_summary(stages)
    if selection is not None:
        best = selection["best"]
        [score] = [row["score"] for row in selection["scores"] if row["round"] == best]
        return Best(best, "development problems", score, _place(run, best))
    last = max((number for number, _ in of_kind(stages, Kind.SELFPLAY)), default=0)
    return Best(last, "being the last", None, _place(run, last))


def _place(run: RunDirectory, number: int) -> str:
    if number:
        return str(run.stage(stage_name(Kind.SELFPLAY, number)).folder / POLICY)
    model = run.recipe.model
    return model.name if isinstance(model, PretrainedModel) else str(run.stage(Kind.BASE).folder / "model")


def link_best(run: RunDirectory, best: Best) -> None:
    """Makes `RUN/best` lead to the policy, relative to the run, so that it may be moved; none where that is no folder
    of the run."""
    link, folder = run.path / BEST, Path(best.place)
    if link.is_symlink():
        link.unlink()
    # Somebody may have put a file of their own there.
    if not link.exists() and folder.is_dir() and folder.resolve().is_relative_to(run.path.resolve()):
        link.symlink_to(os.path.relpath(folder, run.path), target_is_directory=True)
