"""What handles rollouts takes no more memory for many of them than for some: each work in a process of its own."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks._rollout_works import WORKS
from benchmarks.rollout_memory import measure

FEW, MANY, WORDS = 500, 4000, 1000
HELD = 60
"""Bytes of a token and its log-probability in Python, at least."""


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return measure([FEW, MANY], WORDS)


@pytest.mark.long
@pytest.mark.parametrize("work", list(WORKS))
def test_the_peak_does_not_grow_with_the_rows(figures: dict[str, Any], work: str) -> None:
    few, many = (figures["works"][work][str(count)] for count in (FEW, MANY))
    assert many["made"] == few["made"] or many["made"] > 6 * few["made"]
    # Were they held, it would grow by hundreds of megabytes; allocators and buffers take some tens more or less.
    assert many["peak_mb"] - few["peak_mb"] < 0.3 * (MANY - FEW) * WORDS * HELD / 2**20
