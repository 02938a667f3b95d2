"""The results of stages: a typed model for each kind, kept as `counts` in the stage's manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from selfplay.run.files import RunError, read_json

Measures = dict[str, float | None]
"""Measures of an EM round by name; null where one could not be taken."""


class StageResult(BaseModel):
    """Figures that a stage leaves in its manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def counts(self) -> dict[str, Any]:
        """The figures that there are, as plain JSON."""
        return self.model_dump(mode="python", exclude_none=True)


class SeedsResult(StageResult):
    """Of `seeds`."""

    problems: dict[str, int]
    """By domain and split, as in `math-train`."""
    contaminated: dict[str, int] | None = None
    """Those left out since they hold a problem that must stay unseen, likewise; none where there are none."""


class AnnotatorResult(StageResult):
    """One annotator's part in an annotation."""

    name: str
    asked: int
    used: int
    rationales: int
    failures: dict[str, int]
    prompt_tokens: int
    completion_tokens: int
    cost: float


class AnnotationResult(StageResult):
    """Of `annotation`."""

    triples: int
    as_they_were: int
    failed: int
    heldout_without_concepts: int
    tokens: int
    cost: float
    lost: dict[str, int]
    annotators: list[AnnotatorResult]


class ScratchResult(StageResult):
    """Of `base` and `teacher`."""

    trained: int
    """Models that were trained: 0 for a pretrained one."""
    examples: int | None = None


class ColdStartResult(StageResult):
    """Of `cold_start`."""

    triples: int
    row: Measures


class EMResult(StageResult):
    """Of a round of EM."""

    pairs: int
    row: Measures
    candidates: int | None = None
    stopped: str | None = None
    """A sentence, where the round is the last one."""


class FeedbackResult(StageResult):
    """Of `feedback`: one more round of EM on what was learnable."""

    fed_back: int
    measured: Measures
    pairs: int
    candidates: int | None = None


class SynthesisResult(StageResult):
    """Of `synthesis`."""

    made: int
    lost: dict[str, int]
    """Completions that are no problem, by reason."""
    repeated: dict[str, int] | None = None
    """Of each domain whose concepts have too few new combinations: how many were asked for again."""


class CurationResult(StageResult):
    """Of `curation`."""

    kept: int
    lost: dict[str, int]


class LabellingResult(StageResult):
    """Of `labelling` and `relabelling`."""

    tasks: int
    """That may be trained on."""
    lost: dict[str, int]
    label_accuracy: float | None = None
    """Share of right labels among those that an exact solver could check."""
    measured: int = 0
    difficulty_rollouts: int | None = None
    flags: dict[str, int] | None = None
    completions: int | None = None
    agreement: float | None = None
    differing: int | None = None
    """Programming problems whose programs ran and print different outputs: those that may want a checker."""
    programs: int | None = None
    """Programming problems that were voted on."""
    checkers: dict[str, int] | None = None
    """Checkers that were written, by their outcome."""


class EvaluationResult(StageResult):
    """Of `evaluation`."""

    rollouts: int
    not_checked: int


class SelectionResult(StageResult):
    """Of `selection`."""

    score: dict[str, int | float]
    """`round`, `score`, and the accuracy of each domain."""
    best: int
    stopped: str | None = None
    """A sentence, where the run ends here."""


class SelfplayResult(StageResult):
    """Of a round of self-play; which figures there are depends on the update rule."""

    prompts: int
    sources: dict[str, int]
    contaminated: int | None = None
    """Given prompts that were left out since they hold a problem that must stay unseen."""
    rollouts: int | None = None
    not_checked: int | None = None
    tokens: int | None = None
    informative_tokens: int | None = None
    informative_share: float | None = None
    groups: int | None = None
    groups_with_variance: int | None = None
    pairs: int | None = None
    samples: int | None = None
    set_aside: int | None = None
    traces: int | None = None
    mean_tokens: float | None = None
    invalid: dict[str, int] | None = None
    lost: dict[str, int] | None = None
    stopped: str | None = None
    """A sentence, where the training ended early."""


class OwnResult(StageResult):
    """Of a stage of somebody's own."""

    figures: dict[str, bool | int | float | str]


Result = TypeVar("Result", bound=StageResult)


def read_result(manifest: Path, kind: type[Result]) -> Result:
    """The result that a manifest holds.

    Raises:
        RunError: it is damaged, or of another version of this code.
    """
    try:
        return kind.model_validate(read_json(manifest)["counts"])
    except (KeyError, ValidationError) as error:
        detail = error.errors()[0]["msg"] if isinstance(error, ValidationError) else f"no {error}"
        raise RunError(
            f"{manifest}: does not hold the figures that this code reads ({detail}); another version wrote it, or it "
            "is damaged: delete the stage's folder and run again"
        ) from error
