"""A trained model on disk: its files, and a fingerprint that changes whenever the weights do. Loads no library.

A folder holds what engines read: a whole model in the recipe's number format, or an adapter and the name of the base
that it belongs to. Where that is less exact than what was trained, `masters` within it holds the trained weights
themselves, in float32 or as an adapter, and the next training starts there (see `keeping`).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from selfplay.engines.base import MASTERS, ModelRef
from selfplay.run.files import RunError, contents_hash, read_json, remove_folder, write_json

FINGERPRINT = "fingerprint.json"
STAGES = "stages"
"""The folder of a run's stages."""


def weights_hash(folder: Path) -> str:
    """SHA-256 over the safetensors files of a folder."""
    return contents_hash(sorted(folder.glob("*.safetensors")))


def write_fingerprint(folder: Path, dtype: str, base: ModelRef | None = None) -> None:
    """Writes what identifies the model in a folder; an adapter's fingerprint depends on its base's too."""
    weights = weights_hash(folder)
    known: dict[str, Any] = {"sha256": weights, "dtype": dtype, "masters": (folder / MASTERS).is_dir()}
    if base is not None:
        known["sha256"] = hashlib.sha256(f"{weights} on {base.fingerprint}".encode()).hexdigest()
        known["base"] = {
            "path": _as_seen_from(folder, base.path),
            "fingerprint": base.fingerprint,
            "revision": base.revision,
            "dtype": base.dtype,
        }
    write_json(folder / FINGERPRINT, known)


def trained_model(folder: Path, chat: bool = False) -> ModelRef:
    """The reference to a model that `keeping.keep` wrote."""
    known = read_json(folder / FINGERPRINT)
    base = known.get("base")
    if base is None:
        masters = trained_model(folder / MASTERS) if (folder / MASTERS).is_dir() else None
        return ModelRef.local(folder, known["sha256"], known["dtype"], chat, masters)
    path = base["path"]
    if path.startswith(os.pardir):
        path = os.path.normpath(folder / path)
    own = ModelRef(path, base["fingerprint"], base["revision"], base["dtype"])
    return ModelRef(str(folder), known["sha256"], None, known["dtype"], chat, own)


def demand_masters(folder: Path) -> None:
    """Refuses to go on from a trained model whose weights are there in the engines' format alone.

    Raises:
        RunError: its masters were dropped, or an earlier version kept none.
    """
    known = read_json(folder / FINGERPRINT)
    if "masters" not in known and known.get("dtype") in ("bfloat16", "float16") and "base" not in known:
        raise RunError(
            f"{folder}: an earlier version of promptcot rounded these weights to {known['dtype']} and kept no others, "
            "so that a training from them would lose the one before; start anew in another --run-dir"
        )
    if known.get("masters") and not (folder / MASTERS).is_dir():
        raise RunError(
            f"{folder}: its float32 weights, from which a training would go on, were dropped (compute.masters: "
            "newest); start anew in another --run-dir, without --reuse of this run"
        )


def drop_masters(folder: Path) -> None:
    """Removes the weights that trainings go on from; engines still read the model."""
    remove_folder(folder / MASTERS)


def _as_seen_from(folder: Path, path: str) -> str:
    """A path within the same run relative to the folder, so that a run can be moved and copied; others as they are."""
    stages = next((place for place in folder.resolve().parents if place.name == STAGES), None)
    if stages is None or not Path(path).is_dir() or not Path(path).resolve().is_relative_to(stages.parent):
        return path
    return os.path.relpath(Path(path).resolve(), folder.resolve())
