"""The toy language's model, made once, and a server that annotates."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from selfplay.engines.base import ModelRef
from tests.selfplay.engines.openai_server import OpenAIServer, openai_server
from tests.selfplay.synthesis import toy
from tests.selfplay.synthesis.annotators import teach


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    """A tiny Qwen3 that writes the toy language, well but not surely."""
    return toy.fitted_model(tmp_path_factory.mktemp("toy") / "model")


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with openai_server(teach) as server:
        yield server
