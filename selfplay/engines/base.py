"""The types of an engine: sampling settings, samples, and requests for log-probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from selfplay.config.section import MeasuredSampling, SamplingSettings

MASTERS = "masters"
"""The folder of the trained weights within that of the model which engines read, where both are kept."""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model by its place, and a fingerprint that changes whenever its weights do."""

    path: str
    """A folder, or a hub name."""
    fingerprint: str
    revision: str | None = None
    dtype: str = "float32"
    chat: bool = False
    """Whether prompts given to `generate(..., chat=True)` go through its chat template."""
    base: ModelRef | None = None
    """Where the folder holds an adapter alone, the model that it belongs to."""
    masters: ModelRef | None = None
    """The model that trainings go on from, where that is more exact than what engines read."""
    stretch: float = 1.0
    """Factor by which YaRN stretches its positions when engines read it."""

    @property
    def trainable(self) -> ModelRef:
        """The model that a training starts from."""
        return self.masters or self

    def stretched(self, factor: float) -> ModelRef:
        """The same model, and the base of an adapter, with its positions stretched."""
        return replace(self, stretch=factor, base=self.base and replace(self.base, stretch=factor))

    @classmethod
    def local(cls, folder: Path, fingerprint: str, dtype: str, chat: bool, masters: ModelRef | None = None) -> ModelRef:
        """A model in a folder of the run."""
        return cls(path=str(folder), fingerprint=fingerprint, dtype=dtype, chat=chat, masters=masters)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn; temperature 0 is greedy."""

    temperature: float
    max_new_tokens: int
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    system: str = ""
    """Text of the system's turn, for models whose prompts go through a chat template."""

    @classmethod
    def of(cls, settings: SamplingSettings, temperature: float | None = None) -> Sampling:
        """As a recipe says; where a temperature is given, at that one, from the whole distribution."""
        if temperature is not None:
            return cls(temperature, settings.max_new_tokens)
        system = settings.system_prompt if isinstance(settings, MeasuredSampling) else ""
        cut = (settings.top_p, settings.top_k, settings.min_p)
        return cls(settings.temperature, settings.max_new_tokens, *cut, system)

    def known(self) -> dict[str, Any]:
        """Settings by which a stored completion is found; those that leave all as it is are no part of it."""
        later = {field.name: field.default for field in fields(self) if field.name in ("top_k", "min_p", "system")}
        return {name: value for name, value in asdict(self).items() if value != later.get(name, ...)}

    def messages(self, prompt: str) -> list[dict[str, str]]:
        """The turns of a chat that end with a prompt."""
        turns = [{"role": "system", "content": self.system}] if self.system else []
        return [*turns, {"role": "user", "content": prompt}]


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion."""

    text: str
    token_ids: tuple[int, ...]
    """The sampled ids, without the end-of-sequence token; empty where an endpoint does not give them."""
    complete: bool
    """Whether the model ended it; False when it was cut at the token limit."""
    prompt_tokens: int = 0
    """Tokens of the prompt, as far as the engine says."""
    completion_tokens: int = 0
    """Tokens of the completion, its thinking and its end included, as far as the engine says."""
    logprobs: tuple[float, ...] = ()
    """Log-probability of each sampled id under the model itself, at temperature 1, nats; empty where the engine has
    none."""
    end: int | None = None
    """The id that ended it, one of several in some models; None where it was cut, or nobody says."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A completion that an engine could not get."""

    reason: str
    kind: Literal["request", "endpoint", "budget"]
    """Whether this prompt was refused, the endpoint gives no answers now, or a budget is spent."""


Segment = str | tuple[int, ...]
Spans = list[tuple[int, int]]
Encoded = tuple[list[int], Spans]
"""The ids of a sequence, and half-open spans of positions with start >= 1 whose log-probabilities are wanted."""


@dataclass(frozen=True, slots=True)
class ScoringRequest:
    """A prefix, then segments whose log-probabilities are wanted.

    Each part is tokenised on its own and the ids are joined, so that a segment has the same ids wherever it stands;
    a segment may be given as token ids, such as those that were sampled.
    """

    prefix: str
    segments: tuple[Segment, ...]
    ends: bool = True
    """Whether the end-of-sequence token belongs to the last segment."""
    chat: bool = False
    """Whether the prefix goes through the model's chat template first; for models on this machine."""

    def encoded(self, prefix: list[int], ids_of: Callable[[str], list[int]], end: int) -> Encoded:
        """The ids of the request after those of its prefix, each part tokenised on its own, and each segment's span."""
        ids, spans = list(prefix), []
        for place, segment in enumerate(self.segments):
            start = len(ids)
            ids += ids_of(segment) if isinstance(segment, str) else segment
            if self.ends and place == len(self.segments) - 1:
                ids.append(end)
            spans.append((start, len(ids)))
        return ids, spans


OnProgress = Callable[[int], None]
"""Called with the number of items that have just been finished."""


class Policy(Protocol):
    """An engine that completes prompts with one model, here or at an endpoint."""

    model: ModelRef

    def stream(
        self, prompts: Sequence[str], sampling: Sampling, seed: int, on_progress: OnProgress | None = None
    ) -> Iterator[Sequence[Sample | Missing]]:
        """One completion a prompt, in order, some at a time; or why this prompt was refused.

        Raises:
            BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
        """
