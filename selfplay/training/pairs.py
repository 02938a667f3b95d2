"""What dpo and rft learn from, out of verified rollouts: pairs of a right and a wrong one, or the right ones."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

from selfplay.run.records import Pair, Rollout
from selfplay.run.seeding import content_id, derive
from selfplay.training.validity import Thinking, fault

Groups = dict[str, list[Rollout]]


def by_task(rollouts: Sequence[Rollout]) -> Groups:
    """The rollouts of each task, in order."""
    groups: Groups = {}
    for rollout in rollouts:
        groups.setdefault(rollout.task_id, []).append(rollout)
    return groups


def faults(rollouts: Sequence[Rollout], thinking: Thinking = "optional") -> dict[str, int]:
    """How many rollouts may not teach, by reason."""
    return dict(Counter(found for rollout in rollouts if (found := fault(rollout, thinking))))


def pass_rates(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """The share of each task's checked rollouts that passed; tasks without any are left out."""
    checked = {task: [r.passed for r in group if r.passed is not None] for task, group in by_task(rollouts).items()}
    return {task: sum(found) / len(found) for task, found in checked.items() if found}


def make_pairs(
    rollouts: Sequence[Rollout], prompts: dict[str, str], cap: int, seed: int, thinking: Thinking = "optional"
) -> list[Pair]:
    """Unique valid passes with unique valid fails, min(#pass, #fail, cap) a task, drawn by the seed (paper 4.1).

    Args:
        rollouts: with verdicts.
        prompts: the policy's input of each task.
        cap: most pairs a task.
        seed: of the draw.
        thinking: whether a valid rollout must think.
    """
    pairs: list[Pair] = []
    for task_id, group in by_task(rollouts).items():
        valid = [rollout for rollout in group if not fault(rollout, thinking)]
        passed = sorted({rollout.completion for rollout in valid if rollout.passed})
        # A text that a verifier once passed and once failed is no loser.
        failed = sorted({rollout.completion for rollout in valid if not rollout.passed} - set(passed))
        rng = random.Random(derive(seed, "pairs", task_id))
        rng.shuffle(passed)
        rng.shuffle(failed)
        for chosen, rejected in zip(passed[:cap], failed[:cap], strict=False):
            identifier = content_id("pair", task_id, chosen, rejected)
            pairs.append(Pair(identifier, task_id, prompts[task_id], chosen, rejected, "self-play"))
    return pairs


def right_completions(rollouts: Sequence[Rollout], cap: int, thinking: Thinking = "optional") -> list[Rollout]:
    """Verified completions of each task, the most frequent text first, at most `cap`.

    Uniform choice among distinct texts would give more weight to right answers reached by wrong steps, which are rare
    one by one but many.
    """
    chosen: list[Rollout] = []
    for group in by_task(rollouts).values():
        passed = [rollout for rollout in group if rollout.passed and not fault(rollout, thinking)]
        counts = Counter(rollout.completion for rollout in passed)
        first = {rollout.completion: rollout for rollout in reversed(passed)}
        ranked = sorted(counts, key=lambda text: (-counts[text], text))
        chosen += [first[text] for text in ranked[:cap]]
    return chosen


def balanced(chosen: Sequence[Rollout], rates: dict[str, float], bands: int, seed: int) -> list[Rollout]:
    """Of the chosen samples so many that no band of pass rates has more than an even share of all of them.

    Without that, what is easy is most of what passes, and the policy learns what it knows. Bands that are smaller than
    their share stay whole, so that nothing hard is lost; within one, each prompt keeps its first samples longest.

    Args:
        chosen: samples, those of a prompt in their order of preference.
        rates: pass rate of each task.
        bands: how many equal bands the rates from 0 (excluded) to 1 are cut into; 0 leaves all as it is.
        seed: decides which prompts of a band go first.
    """
    if bands < 1:
        return list(chosen)
    groups: dict[int, list[tuple[int, int, int]]] = {}
    ranks: Counter[str] = Counter()
    order = {task: place for place, task in enumerate(_shuffled(sorted(by_task(chosen)), seed))}
    for place, row in enumerate(chosen):
        band = min(bands, math.ceil(rates[row.task_id] * bands - 1e-9))
        groups.setdefault(band, []).append((ranks[row.task_id], order[row.task_id], place))
        ranks[row.task_id] += 1
    share = math.ceil(len(chosen) / len(groups)) if groups else 0
    kept = {place for group in groups.values() for _, _, place in sorted(group)[:share]}
    return [row for place, row in enumerate(chosen) if place in kept]


def _shuffled(names: list[str], seed: int) -> list[str]:
    random.Random(derive(seed, "balance")).shuffle(names)
    return names
