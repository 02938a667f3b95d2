"""Plans of runs that tests write by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selfplay.run.plan import Kind, Plan, PlannedStage, stage_name, write_plan

KNOWN = {stage_name(kind, number): PlannedStage(kind, number) for kind in Kind for number in reversed(range(20))}
WHOLE = (
    *("seeds", "annotation", "base", "cold_start", "em_1", "em_2", "em_3", "synthesis", "curation", "labelling"),
    *("evaluation_0", "selfplay_1", "evaluation_1"),
    *(
        f"{kind}_{n}"
        for n in range(2, 16)
        for kind in ("synthesis", "curation", "labelling", "relabelling", "selfplay")
    ),
    *(f"evaluation_{n}" for n in range(2, 16)),
)
"""More stages than any run by hand has."""


def plan_of(names: Iterable[str] = WHOLE) -> Plan:
    """The plan of stages with these names."""
    return Plan(KNOWN[name] for name in names)


def put_plan(run: Path, names: Iterable[str] = WHOLE) -> None:
    """Writes such a plan into a run directory."""
    write_plan(run, plan_of(names).stages)


def placed(row: dict[str, Any]) -> dict[str, Any]:
    """A line of metrics.jsonl, with the kind and the round of its stage."""
    stage = KNOWN.get(row["stage"])
    return row if stage is None else row | {"kind": str(stage.kind), "round": stage.round}
