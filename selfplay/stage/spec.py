"""A stage of a run as one entry of a table: what it is called, what it depends on, and what it does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import selfplay
from selfplay.run.directory import Stage
from selfplay.run.plan import Kind, PlannedStage, stage_name
from selfplay.run.results import StageResult
from selfplay.stage.context import Context


def no_files() -> str:
    """The contents of a stage that reads no file outside the run."""
    return ""


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage of a recipe. Everything that treats stages alike is driven by these."""

    planned: PlannedStage
    sections: tuple[str, ...]
    """The settings that it reads, as dotted paths; it can read these, and those of its inputs, and no others."""
    inputs: tuple[str, ...]
    """Names of the stages whose tables or models it reads; those that were passed over are left out."""
    run: Callable[[StageWork], StageResult]
    result: type[StageResult]
    """The model of the figures that it leaves."""
    contents: Callable[[], str] = no_files
    """A hash of the files outside the run that it reads."""
    ends: frozenset[Kind] = frozenset()
    """Kinds of later stages that are passed over when its result says `stopped`."""
    follows: str = ""
    """The stage without which it does not take place, where that is decided only then."""

    @property
    def name(self) -> str:
        """Its name within the run."""
        return self.planned.name

    @property
    def kind(self) -> Kind:
        """Its kind."""
        return self.planned.kind


@dataclass(frozen=True, slots=True)
class StageWork:
    """A stage at work: where it writes, what it reads, and the means of the run."""

    spec: StageSpec
    stage: Stage
    context: Context
    """Its recipe shows the settings of the stage and of its inputs only."""
    inputs: Mapping[str, Stage]

    @property
    def number(self) -> int:
        """The round."""
        return self.spec.planned.round

    def input(self, kind: Kind, number: int = 0) -> Stage:
        """An input by its kind and round."""
        return self.inputs[stage_name(kind, number)]

    def has(self, kind: Kind, number: int = 0) -> bool:
        """Whether there is such an input."""
        return stage_name(kind, number) in self.inputs


def all_sections(spec: StageSpec, specs: Mapping[str, StageSpec]) -> set[str]:
    """The settings on which a stage depends: its own, and those of its inputs, and theirs."""
    found = set(spec.sections)
    for name in spec.inputs:
        found |= all_sections(specs[name], specs)
    return found


def stage_key(
    spec: StageSpec,
    settings: Mapping[str, Any],
    contents: str,
    keys: Mapping[str, str],
    version: str = selfplay.__version__,
) -> str:
    """A hash of all that a stage's outcome depends on; equal keys mean that one may stand for the other.

    Args:
        settings: the recipe's deciding settings, as plain JSON.
        contents: a hash of what it reads outside the run: files, models, libraries.
        keys: those of the stages that took place, by name.
        version: of this code.
    """
    own = {section: _at(settings, section) for section in spec.sections}
    inputs = {name: keys[name] for name in spec.inputs if name in keys}
    known = [spec.name, settings["seed"], own, contents, inputs, version]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _at(settings: Mapping[str, Any], section: str) -> Any:
    """The value at a dotted path; None where something on the way is None, as in optional sections."""
    found: Any = settings
    for key in section.split("."):
        found = None if found is None else found.get(key)
    return found


def by_name(specs: Sequence[StageSpec]) -> dict[str, StageSpec]:
    """The stages of a table by their names."""
    return {spec.name: spec for spec in specs}
