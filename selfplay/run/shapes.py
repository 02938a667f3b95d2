"""The shapes of a run's small files, as far as others rely on them: a damaged one is one sentence, no traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfplay.run.files import RunError, read_json

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e15, le=1e15)]
Seconds = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e12)]
Count = Annotated[int, Field(ge=0, le=1 << 53)]


class Shape(BaseModel):
    """A file, or a part of one; what is not named here may be anything."""

    model_config = ConfigDict(strict=True, extra="ignore")

    remedy: ClassVar[str] = "delete it and run again"


class _StageCounts(Shape):
    row: dict[str, Number | None] | None = None
    stopped: str | None = None


class Manifest(Shape):
    """`manifest.json` of a stage that is done."""

    remedy: ClassVar[str] = "delete the stage's folder and run again"

    seconds: Seconds
    counts: _StageCounts
    inputs: str = ""
    contents: str = ""
    code_version: str = ""
    models: dict[str, str] = {}


class _Measured(Shape):
    round: Count
    domain: str
    metric: str
    n: Count
    value: Number | None = None
    low: Number | None = None
    high: Number | None = None


class _Timed(Shape):
    name: str
    seconds: Seconds


class _Labels(Shape):
    accuracy: Number | None = None
    n: Count = 0


class _BestPolicy(Shape):
    place: str
    round: Count
    chosen_by: str


class Summary(Shape):
    """`summary.json`, the closing table."""

    evaluation: list[_Measured] = []
    gains: list[_Measured] = []
    em: list[dict[str, Number | None]] = []
    stages: list[_Timed] = []
    labels: _Labels = _Labels()
    best: _BestPolicy | None = None
    versions: dict[str, str] = {}
    seed: int = 0
    total_seconds: Seconds = 0.0
    overhead_share: Number | None = None


class _Trackers(Shape):
    wandb: dict[str, Any]
    trackio: str | None = None


class RunSettings(Shape):
    """`recipe.json`, as far as it is read where versions of it need not agree in all else."""

    remedy: ClassVar[str] = "start a new run directory"

    name: str
    model: dict[str, Any]
    domains: dict[str, dict[str, Any]]
    tracking: _Trackers


class ProgressNote(Shape):
    """`progress.json` amid a piece of work."""

    stage: str
    work: str
    total: Count | None
    done: Count
    pieces: Count
    rate: Number | None
    stage_began: Number
    written: Number


class _Times(Shape):
    seconds: Seconds
    model_seconds: Number


class ClockTimes(Shape):
    """`clock.json`."""

    stages: dict[str, _Times]
    order: list[str] = []


def read_as(path: Path, shape: type[Shape]) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        RunError: it is damaged, or another version's; the message names the field.
    """
    content = read_json(path)
    if fault := fault_of(content, shape):
        raise RunError(f"{path}: is damaged ({fault}); {shape.remedy}")
    return content


def fault_of(content: Any, shape: type[Shape]) -> str:
    """The first thing that is wrong with a content; empty where it has the shape."""
    try:
        shape.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))[:200]!r}: {first['msg']}"
    return ""
