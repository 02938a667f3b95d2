"""A tiny real model, made once, for the tests of engines and trainers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds


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


class InProcess:
    """Stands for the workers: every job runs in this process."""

    device = "cpu"
    count = 1
    busy_seconds = 0.0

    def __init__(self) -> None:
        self.jobs = 0

    def as_done(self, function: Any, jobs: Any, on_tick: Any = None) -> Iterator[tuple[int, Any]]:
        for place, job in enumerate(jobs):
            self.jobs += 1
            yield place, function(job)

    def map(self, function: Any, jobs: Any, on_tick: Any = None) -> list[Any]:
        return [done for _, done in self.as_done(function, jobs)]

    def together(self, function: Any, job: Any, on_tick: Any = None) -> Any:
        return function(job)


@pytest.fixture
def in_process() -> InProcess:
    return InProcess()


@pytest.fixture
def store_folder(tmp_path: Path) -> Path:
    return tmp_path / "store"
