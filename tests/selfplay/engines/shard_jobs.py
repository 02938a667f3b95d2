"""Jobs of engines, with what tests mostly leave as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfplay.config.compute import EngineSettings
from selfplay.engines.base import ModelRef, Sampling, ScoringRequest
from selfplay.engines.jobs import GenerateJob, ScoreJob


def generate_job(
    model: ModelRef,
    prompts: Sequence[str],
    sampling: Sampling,
    seed: int = 0,
    **settings: Any,
) -> GenerateJob:
    """Prompts to complete on the CPU, by an engine of these settings."""
    engine = EngineSettings.model_validate({"batch_tokens": 4096} | settings)
    return GenerateJob(model=model, device="cpu", settings=engine, prompts=prompts, sampling=sampling, seed=seed)


def score_job(
    model: ModelRef, requests: Sequence[ScoringRequest], journal: Path | None = None, **settings: Any
) -> ScoreJob:
    """Requests to score on the CPU, by an engine of these settings."""
    engine = EngineSettings.model_validate({"batch_tokens": 4096} | settings)
    return ScoreJob(model=model, device="cpu", settings=engine, journal=journal, requests=requests)
