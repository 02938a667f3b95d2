"""The plan of a run, `RUN/plan.json`: its stages in order, each with its kind and its round.

Whoever looks at a run from outside finds here which stage is which; nobody reads that off a stage's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from selfplay.run.files import RunError, read_json, write_json
from selfplay.run.shapes import Manifest, read_as

FILE = "plan.json"


class Kind(StrEnum):
    """The kinds of stages, in the order in which a run first comes to them."""

    SEEDS = "seeds"
    ANNOTATION = "annotation"
    BASE = "base"
    COLD_START = "cold_start"
    EM = "em"
    SYNTHESIS = "synthesis"
    CURATION = "curation"
    LABELLING = "labelling"
    TEACHER = "teacher"
    EVALUATION = "evaluation"
    SELECTION = "selection"
    FEEDBACK = "feedback"
    RELABELLING = "relabelling"
    SELFPLAY = "selfplay"
    OWN = "own"
    """Of somebody's own code (`hooks.stages`)."""


ONCE = {Kind.SEEDS, Kind.ANNOTATION, Kind.BASE, Kind.COLD_START, Kind.TEACHER}
"""Kinds of which a run has one stage at most."""
OF_PROMPTS = {Kind.SYNTHESIS, Kind.CURATION, Kind.LABELLING}
"""Kinds whose first stage, that of round 1, bears no number."""


def stage_name(kind: Kind, number: int) -> str:
    """The name of a stage, which is its folder's: `em_2`, `evaluation_0`, `synthesis`, `synthesis_2`."""
    if kind in ONCE or (kind in OF_PROMPTS and number == 1):
        return str(kind)
    return f"{kind}_{number}"


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """One stage of a run."""

    kind: Kind
    round: int = 0
    """Of EM, or of self-play; 0 where there are no rounds, and for what comes before the first."""
    line: str = ""
    """Its work in one line, for people."""
    own: str = ""
    """The name by which a recipe calls a stage of its own."""

    @property
    def name(self) -> str:
        """Its name within the run."""
        return f"{self.own}_{self.round}" if self.own else stage_name(self.kind, self.round)


class Plan:
    """The stages of a run, in order."""

    def __init__(self, stages: Iterable[PlannedStage] = ()) -> None:
        self.stages = tuple(stages)
        self._by_name = {stage.name: stage for stage in self.stages}

    def __iter__(self) -> Iterator[PlannedStage]:
        return iter(self.stages)

    @property
    def names(self) -> list[str]:
        """The names of all stages."""
        return [stage.name for stage in self.stages]

    def get(self, name: str) -> PlannedStage | None:
        """The stage of that name; None where the run has none."""
        return self._by_name.get(name)

    def of_kind(self, *kinds: Kind) -> list[PlannedStage]:
        """The stages of some kinds."""
        return [stage for stage in self.stages if stage.kind in kinds]


def expected(run_path: Path, plan: Plan) -> Plan:
    """The plan less what a run has passed over for good, since a selection of its ended it early."""
    for place, stage in enumerate(plan.stages):
        if stage.kind is Kind.SELECTION and manifest_of(run_path, stage.name).get("counts", {}).get("stopped"):
            return Plan(plan.stages[: place + 1])
    return plan


def manifest_of(run_path: Path, stage: str) -> dict[str, Any]:
    """The manifest of a stage; empty where it is not done.

    Raises:
        RunError: it is damaged.
    """
    file = run_path / "stages" / stage / "manifest.json"
    return read_as(file, Manifest) if file.exists() else {}


def write_plan(run_path: Path, stages: Sequence[PlannedStage]) -> None:
    """Writes the plan of a run."""
    rows = [
        {"kind": str(stage.kind), "round": stage.round, "line": stage.line} | ({"own": stage.own} if stage.own else {})
        for stage in stages
    ]
    write_json(run_path / FILE, {"stages": rows})


def read_plan(run_path: Path) -> Plan:
    """The plan of a run.

    Raises:
        RunError: the run has none, since an earlier version made it, or it is damaged.
    """
    file = run_path / FILE
    if not file.exists():
        raise RunError(
            f"{run_path}: has no {FILE}, so an earlier version of promptcot made it; use that version, or start anew "
            "in another --run-dir"
        )
    try:
        rows = read_json(file)["stages"]
        return Plan(
            PlannedStage(Kind(row["kind"]), int(row["round"]), str(row["line"]), str(row.get("own", "")))
            for row in rows
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RunError(f"{file}: is damaged ({error}); run the recipe again, which writes it anew") from error
