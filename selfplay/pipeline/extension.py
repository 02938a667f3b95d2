"""A run directory that is run again with other settings: what they leave as it is stays, evaluations are made again,
and everything else is refused; where nothing but the seeds was finished, the run begins anew, since nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping

from selfplay.pipeline.masters import demand_all_inputs
from selfplay.pipeline.outside import demand_same_models, outside
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
        self.note = ""
        """One line for a person whose run begins anew; else empty."""
        self.again: list[str] = []
        """The finished stages that will be made again."""
        known = (run.path / "recipe.json").exists()
        if known and _finished(run) <= {Kind.SEEDS}:
            self._begin_anew(table)
            return
        if known:
            read_plan(run.path)
            demand_all_inputs(run, table)
            if not is_finished(run, table):
                demand_same_models(run, table)
        changed = run.changed_settings()
        stale = _stale(run, table) if changed else []
        self.again = [spec.name for spec in stale]
        kept = [spec.name for spec in stale if spec.kind not in MADE_AGAIN]
        if kept:
            raise RunError(
                f"{run.path}: finished stages ({', '.join(kept)}) were made with other settings; undo these changes, "
                f"or give another --run-dir, with --reuse {run.path} to take over what they leave as it is:\n  "
                + "\n  ".join(changed)
            )

    def _begin_anew(self, table: Mapping[str, StageSpec]) -> None:
        """Goes on with the recipe as it is now, since an earlier attempt finished nothing that took long."""
        read = [spec for spec in table.values() if spec.kind is Kind.SEEDS and self._run.stage(spec.name).done]
        self.again = [spec.name for spec in read if not _as_it_was(self._run, spec)]
        if self.again or _differs(self._run):
            done = "nothing but the seeds" if read else "no stage"
            again = ", which are read again" if self.again else ""
            self.note = (
                f"{self._run.path}: an earlier attempt finished {done}{again}; begins anew with the recipe as it is"
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


def _finished(run: RunDirectory) -> set[str]:
    """The names of all stages that are done, also of those that the recipe no longer has."""
    return {manifest.parent.name for manifest in run.path.glob("stages/*/manifest.json")}


def _as_it_was(run: RunDirectory, spec: StageSpec) -> bool:
    """Whether a stage without inputs would be made now as it was: of the same settings, files and code."""
    return stage_key(spec, run.settings, outside(spec, run, {}).key, {}) == run.stage(spec.name).manifest.get("inputs")


def _differs(run: RunDirectory) -> bool:
    """Whether a run was begun with other settings, or by other code, whose recipe can't be read."""
    try:
        return bool(run.changed_settings())
    except RunError:
        return True
