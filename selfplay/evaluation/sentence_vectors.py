"""Vectors of texts by a model of sentence-transformers (the extra `embeddings`), by name or folder.

TF-IDF knows words; a sentence model knows that two texts say the same in other words. Weights are read from
safetensors, and no code of a model's folder runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfplay.config.errors import UserError
from selfplay.engines.model_files import ModelError, judge_modules
from selfplay.run.hub import offline_without_hub

BATCH = 64
Vectors = NDArray[np.float64]
Embed = Callable[[Sequence[str]], Any]
"""Texts to vectors of length 1, dense or sparse, [texts, components]."""


class NoSentenceModel(UserError):
    """The library is not installed, or the model cannot be loaded; the message says what mends that."""


def sentence_embedder(name: str) -> Embed:
    """A maker of vectors by a model, which is loaded at once.

    Args:
        name: a folder, or a name on the hub, such as `sentence-transformers/all-MiniLM-L6-v2`.

    Raises:
        NoSentenceModel: the library or the model is not here.
    """
    if not Path(name).is_dir():
        offline_without_hub()
    try:
        judge_modules(name)
    except ModelError as error:
        raise NoSentenceModel(f"--embeddings {name}: {error}") from error
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise NoSentenceModel(
            f"--embeddings {name}: needs the library sentence-transformers; `pip install 'promptcot[embeddings]'`, or "
            "leave it out for TF-IDF, which needs no model"
        ) from error
    try:
        model = SentenceTransformer(name, trust_remote_code=False, model_kwargs={"use_safetensors": True})
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise NoSentenceModel(
            f"--embeddings {name}: cannot be loaded ({reason}); give a folder with a sentence model in safetensors, or "
            "a name on the hub"
        ) from error

    def embed(texts: Sequence[str]) -> Vectors:
        found = model.encode(
            list(texts), batch_size=BATCH, show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True
        )
        return np.asarray(found, dtype=np.float64)

    return embed
