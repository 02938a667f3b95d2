"""A model that vLLM takes, too, for the tests of engines."""

from __future__ import annotations

import pytest

from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    """An untrained Qwen3 with heads of 32, the smallest that vLLM's attention on a CPU takes."""
    from selfplay.quickstart import tiny_model as builder

    texts = [f"{p.problem} {p.rationale} {p.solution}" for p in seeds.generate("math", 50, 0)]
    tokenizer = builder.build_tokenizer(texts, 400)
    folder = tmp_path_factory.mktemp("small-model")
    builder.save(tokenizer, builder.build_model(tokenizer, 0, hidden=64, layers=1, heads=2), folder)
    return ModelRef.local(folder, "small", "float32", chat=False)
