"""Artifacts of a stage: its tables as data sets, and the models that it trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfplay.run.place import inside
from selfplay.run.plan import Kind

MODEL_MARK = "config.json"
ADAPTER_MARK = "adapter_config.json"
SMALL_FILES = ("config.json", "generation_config.json", "adapter_config.json", "fingerprint.json")
"""Files that are kept of a model whose weights stay where they are."""


@dataclass(frozen=True, slots=True)
class WantedArtifact:
    """One artifact."""

    name: str
    kind: str
    """`dataset` or `model`."""
    files: tuple[tuple[str, Path], ...]
    """(name inside, where it lies)."""
    metadata: dict[str, Any] = field(default_factory=dict)
    is_input: bool = False
    """Whether the run started from it."""


def of_stage(
    run_path: Path, stage: str, kind: str, recipe: Mapping[str, Any], counts: Mapping[str, Any]
) -> list[WantedArtifact]:
    """The artifacts of a stage that is done, as the recipe wants them; rounds are versions of one artifact.

    Args:
        kind: of the stage, which names the artifacts.
    """
    wanted = recipe["tracking"]["wandb"].get("artifacts", "tables")
    folder = inside(run_path, "stages", stage)
    if wanted == "none" or not folder.is_dir():
        return []
    about = {"run": recipe["name"], "stage": stage, "seed": recipe["seed"], "counts": dict(counts)}
    base = kind or stage
    tables = tuple((file.name, file) for file in sorted(folder.glob("*.parquet")))
    found = [WantedArtifact(base, "dataset", tables, about, is_input=kind == Kind.SEEDS)] if tables else []
    marks = {*folder.glob(f"*/{MODEL_MARK}"), *folder.glob(f"*/{ADAPTER_MARK}")}
    for model in sorted({mark.parent for mark in marks}):
        name = model.name if model.name == "policy" else f"{base}-{model.name}"
        whole = wanted == "models"
        files = tuple(
            (str(file.relative_to(model)), file)
            for file in sorted(model.rglob("*"))
            if file.is_file() and (whole or file.name in SMALL_FILES)
        )
        metadata = about | {
            "weights": "in this artifact" if whole else f"stages/{stage}/{model.name} of the run directory",
            "base": recipe["model"].get("name", "scratch"),
        }
        found.append(WantedArtifact(name, "model", files, metadata))
    return found
