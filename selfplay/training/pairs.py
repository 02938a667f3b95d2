"""Training data of dpo and rft, out of verified rollouts: pairs of a right and a wrong one, or the right ones."""

from __future__ import annotations

import itertools
import math
import operator
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from selfplay.run.records import Pair, Rollout
from selfplay.run.seeding import content_id, derive
from selfplay.training.validity import ANY_FORM, ValidForm, fault


def by_task(rollouts: Iterable[Rollout]) -> Iterator[list[Rollout]]:
    """The rollouts of one task after the other; in a table they stand together."""
    for _, group in itertools.groupby(rollouts, key=operator.attrgetter("task_id")):
        yield list(group)


def faults(rollouts: Iterable[Rollout], form: ValidForm = ANY_FORM) -> dict[str, int]:
    """How many rollouts may not teach, by reason."""
    return dict(Counter(found for rollout in rollouts if (found := fault(rollout, form))))


def pass_rates(outcomes: Iterable[tuple[str, bool | None]]) -> dict[str, float]:
    """The share of each task's checked rollouts that passed; tasks without any are left out.

    Args:
        outcomes: of each rollout its task, and whether it passed.
    """
    checked, passed = Counter[str](), Counter[str]()
    for task, outcome in outcomes:
        if outcome is not None:
            checked[task] += 1
            passed[task] += outcome
    return {task: passed[task] / count for task, count in checked.items()}


def make_pairs(
    rollouts: Iterable[Rollout],
    prompt_of: Callable[[str], str],
    cap: int,
    seed: int,
    form: ValidForm = ANY_FORM,
) -> Iterator[Pair]:
    """Unique valid passes with unique valid fails, min(#pass, #fail, cap) a task, drawn by the seed (paper 4.1).

    Args:
        rollouts: with verdicts, those of a task together.
        prompt_of: the policy's input of a task, by its id.
        cap: most pairs a task.
        form: of a valid completion.
    """
    for group in by_task(rollouts):
        task = group[0].task_id
        valid = [rollout for rollout in group if not fault(rollout, form)]
        passed = sorted({rollout.completion for rollout in valid if rollout.passed})
        # A text that a verifier once passed and once failed is no loser.
        failed = sorted({rollout.completion for rollout in valid if not rollout.passed} - set(passed))
        rng = random.Random(derive(seed, "pairs", task))
        rng.shuffle(passed)
        rng.shuffle(failed)
        for chosen, rejected in zip(passed[:cap], failed[:cap], strict=False):
            identifier = content_id("pair", task, chosen, rejected)
            yield Pair(identifier, task, prompt_of(task), chosen, rejected, "self-play")


def right_completions(rollouts: Iterable[Rollout], cap: int, form: ValidForm = ANY_FORM) -> Iterator[Rollout]:
    """Verified completions of each task, the most frequent text first, at most `cap`.

    Uniform choice among distinct texts would give more weight to right answers reached by wrong steps, which are rare
    one by one but many.

    Args:
        rollouts: with verdicts, those of a task together.
        cap: most completions a task.
        form: of a valid completion.
    """
    for group in by_task(rollouts):
        passed = [rollout for rollout in group if rollout.passed and not fault(rollout, form)]
        counts = Counter(rollout.completion for rollout in passed)
        first = {rollout.completion: rollout for rollout in reversed(passed)}
        yield from (first[text] for text in sorted(counts, key=lambda text: (-counts[text], text))[:cap])


def balanced(tasks: Sequence[str], rates: Mapping[str, float], bands: int, seed: int) -> list[bool]:
    """Which of the chosen samples to keep, so that no band of pass rates has more than an even share of all of them.

    Without that, what is easy is most of what passes, and the policy learns what it knows. Bands that are smaller than
    their share stay whole, so that nothing hard is lost; within one, each prompt keeps its first samples longest.

    Args:
        tasks: the task of each sample, those of a task in their order of preference.
        rates: pass rate of each task.
        bands: how many equal bands the rates from 0 (excluded) to 1 are cut into; 0 keeps all.
        seed: decides which prompts of a band go first.
    """
    if bands < 1:
        return [True] * len(tasks)
    groups: dict[int, list[tuple[int, int, int]]] = {}
    ranks: Counter[str] = Counter()
    order = {task: place for place, task in enumerate(_shuffled(sorted(set(tasks)), seed))}
    for place, task in enumerate(tasks):
        # A rate at the upper end of a band belongs to it, whatever floating point makes of the product.
        band = min(bands, math.ceil(rates[task] * bands - 1e-9))
        groups.setdefault(band, []).append((ranks[task], order[task], place))
        ranks[task] += 1
    share = math.ceil(len(tasks) / len(groups)) if groups else 0
    kept = [False] * len(tasks)
    for group in groups.values():
        for _, _, place in sorted(group)[:share]:
            kept[place] = True
    return kept


def _shuffled(names: list[str], seed: int) -> list[str]:
    random.Random(derive(seed, "balance")).shuffle(names)
    return names
