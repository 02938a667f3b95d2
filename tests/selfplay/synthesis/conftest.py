"""The toy language's model, made once."""

from __future__ import annotations

import pytest

from selfplay.engines.base import ModelRef
from tests.selfplay.synthesis import toy


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    """A tiny Qwen3 that writes the toy language, well but not surely."""
    return toy.fitted_model(tmp_path_factory.mktemp("toy") / "model")
