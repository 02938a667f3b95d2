"""Completions of tasks by a policy: k of each, in order, as fast as they come."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from selfplay import formats
from selfplay.config.domains import ProblemKind
from selfplay.config.section import SamplingSettings
from selfplay.engines.base import Missing, OnProgress, Policy, Sample, Sampling
from selfplay.run.records import LabelledTask, Rollout, Seed
from selfplay.run.seeding import content_id
from verifiers.model import Verdict

NO_SAMPLE = Sample("", (), complete=False)
"""Stands for what an endpoint refused to complete."""


PosedTask = Seed | LabelledTask
"""A problem for a policy; it may lack the label."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where completions come from, as the rows of their table say it."""

    names: tuple[str | int, ...]
    """Names from which the rows' ids derive, besides the task and the index."""
    round: int
    mode: str
    """How they are sampled, such as `T=1.0` or `greedy`."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A policy's text for a task; judged, it is a rollout."""

    task: PosedTask
    origin: Origin
    index: int
    """Among those of the task."""
    prompt: str
    """The prompt that the policy read."""
    sample: Sample
    refusal: str = ""
    """Why an endpoint refused the prompt; empty where it did not."""

    @property
    def text(self) -> str:
        """The text."""
        return self.sample.text

    def whole(self) -> Completion:
        """Itself if it ended, else with nothing written: the last number of half a solution is not an answer."""
        return self if self.sample.complete else replace(self, sample=NO_SAMPLE)

    def judged(self, verdict: Verdict) -> Rollout:
        """The row of the completion with its verdict."""
        return Rollout(
            id=content_id(*self.origin.names, self.task.id, self.index),
            task_id=self.task.id,
            domain=self.task.domain,
            round=self.origin.round,
            mode=self.origin.mode,
            index=self.index,
            completion=self.sample.text,
            passed=verdict.passed,
            reward=verdict.reward,
            status=verdict.status,
            reason=verdict.reason,
            token_ids=self.sample.token_ids,
            logprobs=self.sample.logprobs,
        )


def complete(
    policy: Policy,
    tasks: Sequence[PosedTask],
    sampling: SamplingSettings,
    k: int,
    seed: int,
    *,
    domains: Mapping[str, ProblemKind],
    origin: Origin,
    first: int = 0,
    on_progress: OnProgress | None = None,
) -> Iterator[list[Completion]]:
    """k completions a task, those of a task one after the other, some at a time.

    Args:
        policy: an opened engine.
        k: completions a task.
        domains: what the policy reads of a task of each.
        origin: for the rows.
        first: the index of a task's first completion, where earlier ones were drawn before.
        on_progress: hears of completions that are done.

    Raises:
        BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
    """
    prompts = [formats.solver_input(domains[task.domain], task.task) for task in tasks]
    asked = [prompt for prompt in prompts for _ in range(k)]
    places = itertools.product(range(len(tasks)), range(k))
    for samples in policy.stream(asked, Sampling.of(sampling), seed, on_progress):
        yield [
            Completion(tasks[place], origin, first + number, prompts[place], *_got(sample))
            for sample, (place, number) in zip(samples, places, strict=False)
        ]


def _got(sample: Sample | Missing) -> tuple[Sample, str]:
    return (NO_SAMPLE, sample.reason) if isinstance(sample, Missing) else (sample, "")
