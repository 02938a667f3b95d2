"""Prompts that look to deduplication like real ones: function words, topics, a long tail, numbers, copies, variants.

What matters is how much unrelated ones overlap, above all the few that overlap much. Mean word-set Jaccard overlap of
pairs, shares of pairs above 0.2 and above 0.3, and mean 4th power, which is the chance of sharing a bucket of 4 rows:
GSM8K 0.133, 5.5%, 0.13%, 0.00052; what is made here 0.128, 6.8%, 0.16%, 0.00053. MATH-500, whose problems are of few
kinds and some very short, has more: 0.144, 19%, 3.4%, 0.0015. `overlap_figures` counts them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_COMMON = (
    "the a of . is , in and to that are ? if what find with for how many be all such each an as by at from let has "
    "which have one two on it number value so when there integer between real where ( ) = + $ positive then set "
    "points other no possible line are not both total than sum at least any three these over after his her per they "
    "given she he does first its same different exactly can into every time more would out through will during their "
    "compute determine prime distinct equal even odd largest smallest greatest"
)
FUNCTION_WORDS = _COMMON.split()
TOPICS, TOPIC_WORDS, TAIL = 60, 60, 60_000
ON_TOPIC = 0.1, 0.5
"""Least and greatest share of a prompt's words that are its topic's: some prompts are little else than their topic."""


def synthetic_prompts(count: int, seed: int = 0, copies: float = 0.02, variants: float = 0.1) -> list[str]:
    """Makes prompts of 12 to 150 words.

    Args:
        count: how many.
        seed: of all chance.
        copies: share that repeat an earlier prompt word for word.
        variants: share that repeat one with a few words exchanged.
    """
    rng = np.random.default_rng(seed)
    vocabulary = np.array([*FUNCTION_WORDS, *(_word(number) for number in range(TAIL))], dtype=object)
    # The same topics whatever the seed: more prompts are more of the same kind.
    topics = len(FUNCTION_WORDS) + np.random.default_rng(0).integers(0, TAIL, size=(TOPICS, TOPIC_WORDS))
    lengths = np.clip(rng.lognormal(3.9, 0.45, count), 12, 150).astype(np.int64)
    total = int(lengths.sum())
    owner = np.repeat(np.arange(count), lengths)
    kind = rng.random(total)
    ids = _zipf(rng, total, len(FUNCTION_WORDS), 1.1)
    topic = _zipf(rng, count, TOPICS, 1.0)[owner]
    of_topic = kind < rng.uniform(*ON_TOPIC, count)[owner]
    ids[of_topic] = topics[topic[of_topic], _zipf(rng, int(of_topic.sum()), TOPIC_WORDS, 1.3)]
    of_tail = kind >= 0.9
    ids[of_tail] = len(FUNCTION_WORDS) + _zipf(rng, int(of_tail.sum()), TAIL, 1.0)
    words = vocabulary[ids]
    numbers = kind > 0.96
    words[numbers] = rng.integers(0, 1000, int(numbers.sum())).astype(str)
    ends = np.cumsum(lengths)
    prompts = [" ".join(words[end - length : end]) for end, length in zip(ends, lengths, strict=True)]
    chance = rng.random(count)
    sources = (rng.random(count) * np.arange(count)).astype(np.int64)
    for place in np.flatnonzero(chance < copies + variants).tolist():
        again = prompts[sources[place]]
        prompts[place] = again if chance[place] < copies else _varied(again, rng)
    return prompts


def _word(number: int) -> str:
    """A word of its own for each number."""
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    text = ""
    while True:
        text += letters[number % 26]
        number //= 26
        if not number:
            return "w" + text


def _zipf(rng: np.random.Generator, count: int, ranks: int, exponent: float) -> NDArray[np.int64]:
    weights = 1 / (np.arange(ranks) + 1.5) ** exponent
    cumulative = np.cumsum(weights)
    found: NDArray[np.int64] = np.searchsorted(cumulative, rng.random(count) * cumulative[-1])
    return np.minimum(found, ranks - 1)


def _varied(text: str, rng: np.random.Generator) -> str:
    words = text.split(" ")
    for place in rng.integers(0, len(words), size=max(1, len(words) // 12)):
        words[place] = str(rng.integers(0, 1000))
    return " ".join(words)


def overlap_figures(prompts: list[str], sample: int = 600) -> dict[str, float]:
    """Of pairs of unrelated ones: mean overlap and mean 4th power, and the shares above 0.2 and 0.3."""
    sets = [frozenset(prompt.split()) for prompt in prompts[:sample]]
    found = np.array([len(a & b) / len(a | b) for place, a in enumerate(sets) for b in sets[:place]])
    return {
        "mean_overlap": round(float(found.mean()), 3),
        "mean_4th_power": round(float((found**4).mean()), 5),
        "share_above_0.2": round(float((found > 0.2).mean()), 3),
        "share_above_0.3": round(float((found > 0.3).mean()), 4),
        "mean_distinct_words": round(float(np.mean([len(one) for one in sets])), 1),
    }
