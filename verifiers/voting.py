"""Majority among sampled answers: what most of them equal, the same in whatever order the answers come."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Equal = Callable[[str, str], bool]
Canonical = Callable[[str], str]

SAME_SIZE = 1e-9
"""Relative difference up to which two weights or shares are equal: what rounding may do to them."""


@dataclass(frozen=True, slots=True)
class Majority:
    """The outcome: the winning answer, if any, and the share of all samples that gave it."""

    answer: str | None
    agreement: float
    """The share, in [0, 1], of all samples that equal the first of `counts`, those without an answer included."""
    counts: Mapping[str, float] = field(default_factory=dict)
    """How many samples equal the leader of each class, or what they weigh, by that leader, largest first."""
    reason: str = ""
    """Why there is no winner; empty when there is one."""


def reaches(share: float, least: float) -> bool:
    """Whether a share of weights is at least so much, up to rounding: nine votes of twelve are 0.75 at any weight."""
    return share >= least or math.isclose(share, least, rel_tol=SAME_SIZE)


def vote(
    answers: Sequence[str | None],
    equal: Equal,
    *,
    min_agreement: float = 0.0,
    ties: Literal["drop", "first"] = "drop",
    canonical: Canonical | None = None,
    weights: Sequence[float] | None = None,
) -> Majority:
    """Returns the answer that the largest share of the samples equals.

    `equal` must be symmetric. It need not be transitive: "3" may equal "3 hours" and "3 minutes", which differ. So only
    what leads a class (see `classes`) can win, and its share is of the samples that equal it, whichever class they are
    in. `canonical` maps an answer to a spelling that only equal answers share, which saves comparisons. A tie gives no
    winner (`drop`) or, among the tied, the class whose answer was given first (`first`, the one choice that depends on
    the order of the samples). A missing answer never wins, but counts in the agreement. `weights`, none below 0, says
    what each sample counts; all count alike without it.
    """
    if ties not in ("drop", "first"):
        raise ValueError(f"ties must be drop or first, not {ties!r}")
    if weights is not None and (len(weights) != len(answers) or any(not 0 <= w < math.inf for w in weights)):
        raise ValueError("weights must be finite, not below 0, and one for each answer")
    weighed = list(zip(answers, weights if weights is not None else [1] * len(answers), strict=True))
    given = [(answer, weight) for answer, weight in weighed if answer is not None and answer.strip() and weight > 0]
    if not given:
        return Majority(None, 0.0, {}, "no sample has an answer")
    found = _Spellings(given, canonical).classes(equal)
    sizes = {one.leader: one.weight for one in found}
    ranked = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    counts = dict(ranked)
    best = ranked[0][1]
    agreement = min(best / math.fsum(weight for _, weight in weighed), 1.0)
    leaders = [answer for answer, size in ranked if math.isclose(size, best, rel_tol=SAME_SIZE)]
    if not reaches(agreement, min_agreement):
        return Majority(None, agreement, counts, f"agreement {agreement:.2f} is below {min_agreement:g}")
    if len(leaders) > 1 and ties == "drop":
        return Majority(None, agreement, counts, f"{len(leaders)} answers are tied with {best:g} votes each")
    first = {answer: at for at, (answer, _) in reversed(list(enumerate(given)))}
    tied = [one for one in found if one.leader in leaders]
    return Majority(min(tied, key=lambda one: min(map(first.__getitem__, one.members))).leader, agreement, counts)


def classes(answers: Sequence[str], equal: Equal, canonical: Canonical | None = None) -> list[list[str]]:
    """Returns distinct answers in classes, each of what equals its leader; independent of the order.

    The answer that was given most often leads the first class, which takes all that equal it; of the others, the one
    that was given most often leads the next, and so on.
    """
    found = _Spellings([(answer, 1) for answer in answers], canonical).classes(equal)
    return sorted(sorted(one.members) for one in found)


@dataclass(frozen=True, slots=True)
class _AnswerClass:
    leader: str
    members: frozenset[str]
    """The answers that no earlier class has, and that equal the leader."""
    weight: float
    """Of all samples that equal the leader; an exact sum, so that their order does not show."""


class _Spellings:
    """Answers that are one by their canonical form, with what they weigh together."""

    def __init__(self, given: Sequence[tuple[str, float]], canonical: Canonical | None) -> None:
        self._groups: dict[str, set[str]] = {}
        for answer in sorted({answer for answer, _ in given}):
            self._groups.setdefault(canonical(answer) if canonical else answer, set()).add(answer)
        by_answer: dict[str, list[float]] = {}
        for answer, weight in given:
            by_answer.setdefault(answer, []).append(weight)
        tally = Counter(answer for answer, _ in given)
        self._weights = {key: [w for a in group for w in by_answer[a]] for key, group in self._groups.items()}
        self._speakers = {
            key: min(group, key=lambda answer: (-tally[answer], len(answer), answer))
            for key, group in self._groups.items()
        }

    def classes(self, equal: Equal) -> list[_AnswerClass]:
        """The classes, the heaviest leader first; no two answers are compared twice."""
        speakers = self._speakers
        order = sorted(speakers, key=lambda key: (-math.fsum(self._weights[key]), len(speakers[key]), speakers[key]))
        found: list[_AnswerClass] = []
        left = list(order)
        unlike: set[tuple[str, str]] = set()
        while left:
            leader = left[0]
            alike = [
                key
                for key in order
                if key == leader or ((key, leader) not in unlike and equal(speakers[leader], speakers[key]))
            ]
            unlike |= {(leader, key) for key in order} - {(leader, key) for key in alike}
            claimed = [key for key in left if key in set(alike)]
            total = math.fsum(weight for key in alike for weight in self._weights[key])
            members = frozenset(answer for key in claimed for answer in self._groups[key])
            found.append(_AnswerClass(speakers[leader], members, int(total) if total.is_integer() else total))
            left = [key for key in left if key not in claimed]
        return found
