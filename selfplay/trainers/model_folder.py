"""A trained model on disk: its files, and a fingerprint that changes whenever the weights do. Loads no library."""

from __future__ import annotations

import hashlib
from pathlib import Path

from selfplay.engines.base import ModelRef
from selfplay.run import read_json

FINGERPRINT = "fingerprint.json"


def weights_hash(folder: Path) -> str:
    """SHA-256 over the safetensors files of a folder."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as handle:
            while block := handle.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def trained_model(folder: Path, chat: bool = False) -> ModelRef:
    """The reference to a model that `save_model` kept."""
    known = read_json(folder / FINGERPRINT)
    return ModelRef.local(folder, known["sha256"], known["dtype"], chat)
