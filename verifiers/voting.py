"""Majority among sampled answers: classes of equal answers, the same in whatever order the answers come."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Equal = Callable[[str, str], bool]
Canonical = Callable[[str], str]

SAME_SIZE = 1e-9
"""Relative difference up to which two weights of classes are a tie: what rounding may do to them."""


@dataclass(frozen=True, slots=True)
class Majority:
    """The outcome: the winning answer, if any, and the share of all samples that gave it."""

    answer: str | None
    agreement: float
    """The share, in [0, 1], that the largest class has of all samples, those without an answer included."""
    counts: Mapping[str, float] = field(default_factory=dict)
    """How many samples each class has, or what they weigh, under the spelling that stands for it, largest first."""
    reason: str = ""
    """Why there is no winner; empty when there is one."""


def vote(
    answers: Sequence[str | None],
    equal: Equal,
    *,
    min_agreement: float = 0.0,
    ties: Literal["drop", "first"] = "drop",
    canonical: Canonical | None = None,
    weights: Sequence[float] | None = None,
) -> Majority:
    """Returns the answer of the largest class of equal answers.

    `equal` must be symmetric; classes are its transitive closure. `canonical` maps an answer to a spelling
    that only equal answers share, which saves comparisons. A tie gives no winner (`drop`) or, among the
    tied, the class whose answer was given first (`first`, the one choice that depends on the order of the
    samples). A missing answer never wins, but counts in the agreement. `weights`, none below 0, says what each
    sample counts; all count alike without it.
    """
    if ties not in ("drop", "first"):
        raise ValueError(f"ties must be drop or first, not {ties!r}")
    if weights is not None and (len(weights) != len(answers) or any(not 0 <= w < math.inf for w in weights)):
        raise ValueError("weights must be finite, not below 0, and one for each answer")
    weighed = list(zip(answers, weights if weights is not None else [1] * len(answers), strict=True))
    given = [answer for answer, weight in weighed if answer is not None and answer.strip() and weight > 0]
    if not given:
        return Majority(None, 0.0, {}, "no sample has an answer")
    members = classes(given, equal, canonical)
    tally = Counter(given)
    sizes = {_spokesman(group, tally): _weight(group, weighed) for group in members}
    ranked = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    counts = dict(ranked)
    best = ranked[0][1]
    agreement = min(best / math.fsum(weight for _, weight in weighed), 1.0)
    leaders = [answer for answer, size in ranked if math.isclose(size, best, rel_tol=SAME_SIZE)]
    if agreement < min_agreement:
        return Majority(None, agreement, counts, f"agreement {agreement:.2f} is below {min_agreement:g}")
    if len(leaders) > 1 and ties == "drop":
        return Majority(None, agreement, counts, f"{len(leaders)} answers are tied with {best:g} votes each")
    return Majority(_earliest(leaders, members, given), agreement, counts)


def classes(answers: Sequence[str], equal: Equal, canonical: Canonical | None = None) -> list[list[str]]:
    """Returns the classes of distinct answers under `equal`, made transitive; independent of the order.

    A pair is compared only when its two answers aren't yet in one class.
    """
    groups: dict[str, set[str]] = {}
    for answer in sorted(set(answers)):
        groups.setdefault(canonical(answer) if canonical else answer, set()).add(answer)
    keys = sorted(groups)
    speakers = {key: min(groups[key], key=lambda answer: (len(answer), answer)) for key in keys}
    parent = {key: key for key in keys}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for at, key in enumerate(keys):
        for other in keys[:at]:
            if root(key) != root(other) and equal(speakers[other], speakers[key]):
                parent[root(key)] = root(other)
    merged: dict[str, list[str]] = {}
    for key in keys:
        merged.setdefault(root(key), []).extend(groups[key])
    return sorted(sorted(group) for group in merged.values())


def _weight(group: Sequence[str], weighed: Sequence[tuple[str | None, float]]) -> float:
    """The weight of a class's samples together; an exact sum, so that their order does not show."""
    members = set(group)
    total = math.fsum(weight for answer, weight in weighed if answer in members)
    return int(total) if total.is_integer() else total


def _spokesman(group: Sequence[str], tally: Counter[str]) -> str:
    return min(group, key=lambda answer: (-tally[answer], len(answer), answer))


def _earliest(leaders: Sequence[str], members: Sequence[Sequence[str]], given: Sequence[str]) -> str:
    if len(leaders) == 1:
        return leaders[0]
    first = {answer: at for at, answer in reversed(list(enumerate(given)))}
    by_leader = {leader: group for group in members for leader in leaders if leader in group}
    return min(leaders, key=lambda leader: min(first[answer] for answer in by_leader[leader]))
