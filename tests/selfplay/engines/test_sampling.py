"""What a recipe says of sampling reaches the engines, and what it leaves out leaves the distribution whole."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from selfplay.config.em import EM
from selfplay.config.section import SamplingSettings
from selfplay.engines.base import Sampling


def test_every_cut_reaches_the_engine() -> None:
    given = SamplingSettings(temperature=0.7, top_p=0.9, top_k=20, min_p=0.05, max_new_tokens=8)
    assert Sampling.of(given) == Sampling(0.7, 8, 0.9, 20, 0.05)
    assert Sampling.of(SamplingSettings()) == Sampling(1.0, 4096)


def test_a_measure_at_a_temperature_cuts_nothing() -> None:
    assert Sampling.of(SamplingSettings(top_k=20, min_p=0.05), 0.6) == Sampling(0.6, 4096)


@pytest.mark.parametrize("cut", [{"top_k": 20}, {"min_p": 0.1}, {"top_p": 0.9}])
def test_soft_assignment_needs_candidates_of_the_model_itself(cut: dict[str, float]) -> None:
    EM.model_validate({"assignment": "soft"})
    with pytest.raises(ValidationError, match="candidates must come from q itself"):
        EM.model_validate({"assignment": "soft", "sampling": cut})
