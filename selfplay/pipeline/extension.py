"""A run directory that is run again with other settings: what they leave as it is stays, evaluations are made again,
and everything else is refused."""

from __future__ import annotations

from collections.abc import Mapping

from selfplay.pipeline.masters import demand_all_inputs
from selfplay.pipeline.outside import demand_same_models
from selfplay.pipeline.stages import is_finished
from selfplay.run.directory import RunDirectory
from selfplay.run.files import RunError, remove_folder
from selfplay.run.plan import Kind, read_plan
from selfplay.stage.spec import StageSpec, stage_key

MADE_AGAIN = (Kind.EVALUATION, Kind.OWN)
"""Kinds of stages of which nothing else is made, so that other settings cost only them."""


class Extension:
    """The finished stages of a run that changed settings concern; those that can be are made again."""

    def __init__(self, run: RunDirectory, table: Mapping[str, StageSpec]) -> None:
        """
        Raises:
            RunError: a finished stage on which others depend was made with other settings, an earlier version of
                this code made the run, or weights are gone that a training would go on from.
        """
        self._run = run
        if (run.path / "recipe.json").exists():
            read_plan(run.path)
            demand_all_inputs(run, table)
            if not is_finished(run, table):
                demand_same_models(run, table)
        changed = run.changed_settings()
        stale = _stale(run, table) if changed else []
        self.again = [spec.name for spec in stale]
        """The finished stages that will be made again."""
        kept = [spec.name for spec in stale if spec.kind not in MADE_AGAIN]
        if kept:
            raise RunError(
                f"{run.path}: finished stages ({', '.join(kept)}) were made with other settings; undo these changes, "
                f"or give another --run-dir, with --reuse {run.path} to take over what they leave as it is:\n  "
                + "\n  ".join(changed)
            )

    def begin(self) -> None:
        """Removes what will be made again."""
        for name in self.again:
            remove_folder(self._run.stage(name).folder)


def _stale(run: RunDirectory, table: Mapping[str, StageSpec]) -> list[StageSpec]:
    """The finished stages that the recipe as it is now would have made otherwise."""
    keys: dict[str, str] = {}
    stale = []
    for spec in table.values():
        stage = run.stage(spec.name)
        if not stage.done:
            continue
        manifest = stage.manifest
        version = str(manifest.get("code_version"))
        keys[spec.name] = stage_key(spec, run.settings, str(manifest.get("contents")), keys, version)
        if keys[spec.name] != manifest.get("inputs"):
            stale.append(spec)
    return stale
