"""Learnable prompts as observed pairs (c, x) of the next EM round, so that both models grow together."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from selfplay.config.synthesis import Feedback
from selfplay.run.records import Prompt, Seed
from selfplay.run.seeding import derive
from selfplay.training.pairs import pass_rates
from verifiers.model import Task

SOURCE = "feedback"


def learnable_pairs(
    outcomes: Iterable[tuple[str, bool | None]],
    prompt_of_task: Mapping[str, str],
    prompts: Sequence[Prompt],
    settings: Feedback,
    seed: int,
) -> list[Seed]:
    """Synthesised prompts of a round as observed pairs, at most `settings.prompts` of each domain.

    Args:
        outcomes: of each rollout of the round its task, and whether it passed.
        prompt_of_task: the prompt of each task of the round.
        prompts: the run's synthesised prompts; external ones carry no concepts, and are no pairs.
    """
    rates: dict[str, float] = {}
    for task, rate in pass_rates(outcomes).items():
        rates[prompt_of_task[task]] = rate
    tried = sorted((prompt for prompt in prompts if prompt.id in rates), key=lambda prompt: prompt.id)
    chosen: list[Seed] = []
    for domain in sorted({prompt.domain for prompt in tried}):
        own = [prompt for prompt in tried if prompt.domain == domain]
        inside = [prompt for prompt in own if settings.low <= rates[prompt.id] <= settings.high]
        count = min(len(inside), settings.prompts)
        drawn = inside if settings.choice == "learnable" else own
        chosen += [_pair(one) for one in random.Random(derive(seed, SOURCE, domain)).sample(drawn, count)]
    return chosen


def _pair(prompt: Prompt) -> Seed:
    return Seed(
        id=prompt.id,
        domain=prompt.domain,
        split="train",
        source=SOURCE,
        concepts=prompt.concepts,
        level=prompt.level,
        rationale=prompt.rationale,
        task=Task(prompt.problem),
        solution="",
        solution_is_right=None,
    )
