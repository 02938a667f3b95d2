"""A trained model on disk: its files, and a fingerprint that changes whenever the weights do. Loads no library.

A folder holds a whole model, or an adapter and the name of the base that it belongs to.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from selfplay.engines.base import ModelRef
from selfplay.run.files import RunError, read_json, write_json
from verifiers.untrusted.files import add_file

FINGERPRINT = "fingerprint.json"


def weights_hash(folder: Path) -> str:
    """SHA-256 over the safetensors files of a folder."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        add_file(digest, file, RunError)
    return digest.hexdigest()


def write_fingerprint(folder: Path, dtype: str, base: ModelRef | None = None) -> None:
    """Writes what identifies the model in a folder; an adapter's fingerprint depends on its base's too."""
    weights = weights_hash(folder)
    known: dict[str, Any] = {"sha256": weights, "dtype": dtype}
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
    """The reference to a model that `save_model` kept."""
    known = read_json(folder / FINGERPRINT)
    base = known.get("base")
    if base is None:
        return ModelRef.local(folder, known["sha256"], known["dtype"], chat)
    path = base["path"]
    if path.startswith(os.pardir):
        path = os.path.normpath(folder / path)
    own = ModelRef(path, base["fingerprint"], base["revision"], base["dtype"])
    return ModelRef(str(folder), known["sha256"], None, known["dtype"], chat, own)


def _as_seen_from(folder: Path, path: str) -> str:
    """A path within the same run relative to the folder, so that a run can be moved and copied; others as they are."""
    run = folder.resolve().parents[2]
    inside = Path(path).is_dir() and Path(path).resolve().is_relative_to(run)
    return os.path.relpath(Path(path).resolve(), folder.resolve()) if inside else path
