"""Asks an endpoint a short question before a run counts on it."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from selfplay.config.annotation import Budget, OpenAIEngine
from selfplay.engines.api.engine import ApiEngine
from selfplay.engines.api.tokenizer import TokenizerError
from selfplay.engines.api.wire import generation, read_sample
from selfplay.engines.base import Sample, Sampling
from selfplay.run.store import SampleStore
from verifiers.endpoint.client import EndpointError, EndpointRefused

QUESTION = "Reply with the word yes."
SHORT = 16


def probe(
    settings: OpenAIEngine, owner: str, sampling: Sampling | None, scores: bool, budget: Budget | None = None
) -> str:
    """Tries one request of each kind that will be made; what it costs is on no budget.

    Args:
        settings: the endpoint and its model.
        owner: who will ask, for messages.
        sampling: how completions will be drawn; None where none will be.
        scores: whether log-probabilities of prompts will be needed.
        budget: a wider budget that its answers will count against.

    Returns:
        What was found, for a person.

    Raises:
        EndpointRefused: it cannot do what will be asked of it; the message says what mends that.
    """
    with tempfile.TemporaryDirectory(prefix="selfplay-probe-") as folder:
        store = SampleStore(Path(folder) / "answers.sqlite")
        try:
            engine = ApiEngine(settings.model_copy(update={"budget": Budget()}), store, owner)
        except TokenizerError as error:
            raise EndpointRefused(f"{owner}: {error}") from error
        try:
            found = [_completes(engine, sampling, [settings.budget, budget or Budget()])] if sampling else []
            return ", ".join(found + ([f"scores by {engine.find_score_mode()}"] if scores else []))
        except EndpointRefused:
            raise
        except EndpointError as error:
            raise EndpointRefused(f"{owner}: {engine.client.url}: {error}") from error
        finally:
            engine.close()
            store.close()


def _completes(engine: ApiEngine, sampling: Sampling, budgets: list[Budget]) -> str:
    short = replace(sampling, max_new_tokens=min(SHORT, sampling.max_new_tokens))
    raw = engine.settings.prompt_style == "raw" and engine.tokenizer is not None
    question = engine.tokenizer.ids(QUESTION) if raw and engine.tokenizer is not None else QUESTION
    path, body = generation(engine.settings, question, short, seed=0)
    sample: Sample
    sample, _ = engine.client.run(engine.client.ask(path, body, read_sample))
    limited = any(budget.tokens is not None or budget.cost is not None for budget in budgets)
    if limited and not sample.prompt_tokens + sample.completion_tokens:
        raise EndpointRefused(
            f"{engine.owner}: {engine.client.url} does not say how many tokens an answer took, so that no budget can "
            "be kept; remove the budget, or take another endpoint"
        )
    return f"{engine.settings.model} at {engine.client.url} answers"
