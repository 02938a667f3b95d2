"""A tiny real model, made once, for the tests of engines and trainers."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds
from tests.selfplay.in_process import InProcess


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    """An untrained Qwen3 of 32 dimensions, saved as a folder."""
    from selfplay.quickstart import tiny_model as builder

    problems = seeds.generate("math", 50, 0) + seeds.generate("code", 50, 0)
    texts = [f"{p.problem} {p.rationale} {p.solution}" for p in problems]
    tokenizer = builder.build_tokenizer(texts, 400)
    folder = tmp_path_factory.mktemp("tiny-model")
    builder.save(tokenizer, builder.build_model(tokenizer, 0, hidden=32, layers=1, heads=2), folder)
    return ModelRef.local(folder, "tiny", "float32", chat=False)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    """An untrained Qwen3 with heads of 32, the smallest that vLLM's attention on a CPU takes."""
    from selfplay.quickstart import tiny_model as builder

    texts = [f"{p.problem} {p.rationale} {p.solution}" for p in seeds.generate("math", 50, 0)]
    tokenizer = builder.build_tokenizer(texts, 400)
    folder = tmp_path_factory.mktemp("small-model")
    builder.save(tokenizer, builder.build_model(tokenizer, 0, hidden=64, layers=1, heads=2), folder)
    return ModelRef.local(folder, "small", "float32", chat=False)


@pytest.fixture
def in_process() -> InProcess:
    return InProcess()


@pytest.fixture
def store_folder(tmp_path: Path) -> Path:
    return tmp_path / "store"
