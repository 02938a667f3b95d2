"""Requests and replies of an OpenAI-compatible endpoint, and how its answers are read: trusting nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from selfplay.config.annotation import OpenAIEngine
from selfplay.engines.base import Sample, Sampling
from verifiers.endpoint.reply import Answered, choice_of, read_reply, tokens_of

CHAT, RAW = "/chat/completions", "/completions"
ENDED = frozenset(("stop", "eos", "eos_token", "stop_sequence", "end_turn"))
"""Finish reasons of completions that the model ended itself."""

ScoreMode = Literal["prompt_logprobs", "echo"]
SCORE_MODES: tuple[ScoreMode, ...] = ("prompt_logprobs", "echo")
"""Ways in which endpoints give log-probabilities of a prompt; vLLM's own names each token, so it is tried first."""
_HIGHEST_LOGPROB = 1e-3
"""Rounding may lift a log-probability above 0 by this much."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Log-probabilities of a prompt's tokens, nats; the first has none, and counts as 0."""

    logprobs: tuple[float, ...]
    prompt_tokens: int
    completion_tokens: int


def generation(
    settings: OpenAIEngine, prompt: str | Sequence[int], sampling: Sampling, seed: int
) -> tuple[str, dict[str, Any]]:
    """Path and body of a request for one completion."""
    body: dict[str, Any] = {
        "model": settings.model,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        # Not of OpenAI's own API; vLLM's and others' servers take them.
        **({"top_k": sampling.top_k} if sampling.top_k else {}),
        **({"min_p": sampling.min_p} if sampling.min_p else {}),
        settings.length_field: sampling.max_new_tokens,
        "seed": seed,
    }
    if settings.prompt_style == "chat":
        return CHAT, _with_extras(body | {"messages": sampling.messages(str(prompt))}, settings)
    return RAW, _with_extras(body | {"prompt": prompt if isinstance(prompt, str) else list(prompt)}, settings)


def scoring(settings: OpenAIEngine, ids: Sequence[int], mode: ScoreMode) -> tuple[str, dict[str, Any]]:
    """Path and body of a request for the log-probabilities of token ids."""
    wanted = {"prompt_logprobs": 1} if mode == "prompt_logprobs" else {"echo": True, "logprobs": 1}
    # One new token, since some servers refuse none.
    body = {"model": settings.model, "prompt": list(ids), "temperature": 0.0, "max_tokens": 1}
    return RAW, _with_extras(body | wanted, settings)


def _with_extras(body: dict[str, Any], settings: OpenAIEngine) -> dict[str, Any]:
    return {name: value for name, value in (body | settings.extra_body).items() if value is not None}


def read_sample(answer: Any, keep_thinking: bool = False) -> Sample:
    """The completion of an answer; with the thinking that stands apart, if wanted. Raises ValueError without one."""
    reply = read_reply(answer)
    text = reply.text or ""
    if keep_thinking and reply.thinking.strip():
        text = f"<think>\n{reply.thinking.strip()}\n</think>\n\n{text.lstrip()}"
    return Sample(
        # Half of a surrogate pair is no character, and could not be stored.
        text=text.encode("utf-8", "replace").decode("utf-8"),
        token_ids=(),
        complete=reply.finish_reason in ENDED,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
    )


def read_scores(answer: Any, ids: Sequence[int], mode: ScoreMode) -> Scored:
    """The log-probabilities of an answer to `scoring`. Raises ValueError where they are not those of the ids."""
    found = _named(answer, ids) if mode == "prompt_logprobs" else _echoed(answer, len(ids))
    if any(value is None for value in found[1:]):
        raise ValueError("a token of the prompt has no log-probability")
    return Scored((0.0, *(value or 0.0 for value in found[1:])), *tokens_of(answer))


_Logprob = Annotated[float, Field(allow_inf_nan=False, le=_HIGHEST_LOGPROB)]


class _Alternative(Answered):
    logprob: _Logprob


class _NamedChoice(Answered):
    prompt_logprobs: list[dict[str, Any] | None]


class _Echo(Answered):
    token_logprobs: list[_Logprob | None]


class _EchoedChoice(Answered):
    logprobs: _Echo


def _named(answer: Any, ids: Sequence[int]) -> list[float | None]:
    rows = choice_of(answer, _NamedChoice).prompt_logprobs
    if len(rows) != len(ids):
        raise ValueError(f"there are no log-probabilities for the prompt's {len(ids)} tokens")
    entries = [row.get(str(token)) if row else None for row, token in zip(rows, ids, strict=True)]
    return [None if entry is None else _Alternative.model_validate(entry).logprob for entry in entries]


def _echoed(answer: Any, count: int) -> list[float | None]:
    values = choice_of(answer, _EchoedChoice).logprobs.token_logprobs
    # More than one token beyond the prompt's would mean that the server put something before them.
    if not count <= len(values) <= count + 1:
        raise ValueError(f"there are no log-probabilities for the prompt's {count} tokens")
    return values[:count]
