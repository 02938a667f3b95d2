"""What dpo and rft learn from, out of verified rollouts: pairs of a right and a wrong one, or the right ones."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

from selfplay.records import Pair, Rollout
from selfplay.seeding import content_id, derive

Groups = dict[str, list[Rollout]]
IsValid = Callable[[Rollout], bool]

NOT_ANSWERS = ("no_answer", "cut")


def by_task(rollouts: Sequence[Rollout]) -> Groups:
    """The rollouts of each task, in order."""
    groups: Groups = {}
    for rollout in rollouts:
        groups.setdefault(rollout.task_id, []).append(rollout)
    return groups


def is_valid(rollout: Rollout) -> bool:
    """Whether a verdict was reached on an answer: losers must be wrong answers, not failures of form."""
    return rollout.passed is not None and rollout.status not in NOT_ANSWERS


def make_pairs(rollouts: Sequence[Rollout], prompts: dict[str, str], cap: int, seed: int) -> list[Pair]:
    """Unique valid passes with unique valid fails, min(#pass, #fail, cap) a task, drawn by the seed.

    Args:
        rollouts: with verdicts.
        prompts: the policy's input of each task.
        cap: most pairs a task.
        seed: of the draw.
    """
    pairs: list[Pair] = []
    for task_id, group in by_task(rollouts).items():
        valid = [rollout for rollout in group if is_valid(rollout)]
        passed = sorted({rollout.completion for rollout in valid if rollout.passed})
        failed = sorted({rollout.completion for rollout in valid if not rollout.passed})
        rng = random.Random(derive(seed, "pairs", task_id))
        rng.shuffle(passed)
        rng.shuffle(failed)
        for chosen, rejected in zip(passed[:cap], failed[:cap], strict=False):
            identifier = content_id("pair", task_id, chosen, rejected)
            pairs.append(Pair(identifier, task_id, prompts[task_id], chosen, rejected, "self-play"))
    return pairs


def right_completions(rollouts: Sequence[Rollout], cap: int) -> list[Rollout]:
    """Verified completions of each task, the most frequent text first, at most `cap`.

    Uniform choice among distinct texts would give more weight to right answers reached by wrong steps, which are rare
    one by one but many.
    """
    chosen: list[Rollout] = []
    for group in by_task(rollouts).values():
        passed = [rollout for rollout in group if rollout.passed and is_valid(rollout)]
        counts = Counter(rollout.completion for rollout in passed)
        first = {rollout.completion: rollout for rollout in reversed(passed)}
        ranked = sorted(counts, key=lambda text: (-counts[text], text))
        chosen += [first[text] for text in ranked[:cap]]
    return chosen
