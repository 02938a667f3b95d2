"""Engines that several files of tests share."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="module")
def vllm_engine() -> Any:
    pytest.importorskip("vllm", reason="needs vLLM: make vllm, then .venv-vllm/bin/python -m pytest -m long")
    from selfplay.engines import vllm_engine

    yield vllm_engine
    vllm_engine.close()
