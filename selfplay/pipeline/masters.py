"""Trained weights from stage to stage: that they are there before a training goes on from them, and which may go.

What a stage trained is needed by the trainings among the later stages that name it as an input, by the export of the
best policy, and by another run that takes the stage over. The first can be known here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from selfplay.engines.base import MASTERS
from selfplay.pipeline.rounds_summary import Done, best_policy
from selfplay.run.directory import RunDirectory
from selfplay.run.plan import Kind
from selfplay.stage.spec import StageSpec
from selfplay.trl_trainers.model_folder import FINGERPRINT, demand_masters, drop_masters

GO_ON = (Kind.EM, Kind.FEEDBACK, Kind.SELFPLAY)
"""Kinds of stages whose trainings go on from models of others."""


def demand_inputs(run: RunDirectory, spec: StageSpec) -> None:
    """Refuses a stage whose trainings could not go on from the newest models among its inputs.

    Raises:
        RunError: their masters were dropped, or an earlier version of this code kept none.
    """
    if spec.kind not in GO_ON:
        return
    newest: dict[str, Path] = {}
    for name in spec.inputs:
        stage = run.stage(name)
        if stage.done:
            newest |= {folder.name: folder for folder in _models(stage.folder)}
    for folder in newest.values():
        demand_masters(folder)


def demand_all_inputs(run: RunDirectory, table: Mapping[str, StageSpec]) -> None:
    """The same for the stages of a run that are not done yet, as far as there is something to look at."""
    for spec in table.values():
        if not run.stage(spec.name).done:
            demand_inputs(run, spec)


def drop_unneeded(run: RunDirectory, table: Mapping[str, StageSpec], passed: Collection[str], stages: Done) -> None:
    """Removes the masters that no training of this run will go on from.

    The last ones of p, q and the policy stay, with those of the policy that is the best so far.

    Args:
        passed: names of those that were passed over.
        stages: those that took place.
    """
    best = Path(best_policy(run, stages).place)
    for _, stage in stages:
        later = [spec.name for spec in table.values() if spec.kind in GO_ON and stage.name in spec.inputs]
        waiting = [name for name in later if name not in passed and not run.stage(name).done]
        if waiting or not any(run.stage(name).done for name in later):
            continue
        for folder in _models(stage.folder):
            if (folder / MASTERS).is_dir() and folder != best:
                drop_masters(folder)


def _models(folder: Path) -> list[Path]:
    return sorted(mark.parent for mark in folder.glob(f"*/{FINGERPRINT}"))
