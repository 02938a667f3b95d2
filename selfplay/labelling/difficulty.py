"""Difficulty by the pass rate: its interval, which prompts it drops, and when no further rollout is needed.

A prompt's rollouts are a sequence, and everything here is a function of that sequence: it is looked at after each
rollout in turn, however many were drawn at once. So the size of a wave changes what is paid, never what is decided.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from selfplay.config.labelling import Difficulty, DropRule, Labelling
from verifiers.conformance.report import wilson_interval

NOT_MEASURED = "difficulty: no rollout could be checked"
_HALF_OR_NEVER = "difficulty: solved in more than half of the tries, or never"


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound of the pass rate beyond which a prompt is dropped; each is monotone in the rate."""

    side: Literal["above", "below"]
    rate: float
    inclusive: bool
    """Whether the rate itself is dropped."""
    reason: str

    def drops(self, rate: float) -> bool:
        """Whether a prompt with this pass rate is dropped."""
        if rate == self.rate:
            return self.inclusive
        return rate > self.rate if self.side == "above" else rate < self.rate


RULES: dict[DropRule, tuple[Limit, ...]] = {
    "always_solved": (Limit("above", 1.0, True, "difficulty: always solved"),),
    "at_least_half_solved": (Limit("above", 0.5, True, "difficulty: solved in at least half of the tries"),),
    "above_half_solved": (Limit("above", 0.5, False, _HALF_OR_NEVER), Limit("below", 0.0, True, _HALF_OR_NEVER)),
    "never_solved": (Limit("below", 0.0, True, "difficulty: never solved"),),
}
"""Paper section 4.1 drops `at_least_half_solved`; the authors' code drops `above_half_solved`."""


def limits_of(settings: Labelling) -> list[Limit]:
    """The bounds that the settings name, in the order in which their reasons count."""
    limits = [limit for rule in settings.drop for limit in RULES[rule]]
    if settings.band is not None:
        limits.append(Limit("below", settings.band.low, False, "difficulty: pass rate below the band"))
        limits.append(Limit("above", settings.band.high, False, "difficulty: pass rate above the band"))
    return limits


def drop_reason(rate: float, limits: Sequence[Limit]) -> str:
    """Why a prompt with this pass rate is dropped; empty where it stays."""
    return next((limit.reason for limit in limits if limit.drops(rate)), "")


@dataclass(frozen=True, slots=True)
class Decision:
    """The state of a prompt after a sequence of rollouts."""

    drawn: int
    """Rollouts that were looked at, those that could not be checked included."""
    tried: int
    passed: int
    pass_rate: float | None
    """An estimate without bias, whatever stopped the rollouts (`_Paths`); None where none could be checked."""
    whole: bool
    """Whether nothing could have stopped the rollouts earlier, so that the pass rate is the share that passed."""
    reason: str
    """Why the prompt is dropped; empty where it stays."""
    sure: bool
    """Whether the prompt needs no further rollout."""


def decide(outcomes: Sequence[bool | None], limits: Sequence[Limit], settings: Difficulty) -> Decision:
    """Looks at the rollouts one after the other, until it is sure or there are no more.

    Sure means, by `settings.stop`:

    - `certain`: whatever the rollouts left say, and whether they can be checked or not, the prompt is dropped, as it
      would be after all k. One that stays has all k;
    - `likely`: that, or the Wilson interval lies strictly on one side of every bound. It may differ from what all k
      would say. Since the interval is looked at after each rollout, it errs more often than 1 - confidence.
    - `never`: all k have been looked at.

    Args:
        outcomes: whether each rollout passed, in the order in which they were drawn; None for one that could not be
            checked, which counts neither way. Those beyond k are not looked at.
        settings: k, when to stop, and the level of the interval.
    """
    drawn = tried = passed = 0
    sure = _sure(0, 0, 0, limits, settings)
    paths = _Paths()
    for outcome in outcomes[: settings.rollouts]:
        if sure:
            break
        drawn += 1
        if outcome is not None:
            tried += 1
            passed += outcome
            paths.go_on()
        sure = _sure(drawn, tried, passed, limits, settings)
        if not sure:
            paths.keep([other for other in range(tried + 1) if not _sure(drawn, tried, other, limits, settings)])
    reason = drop_reason(passed / tried, limits) if tried else (NOT_MEASURED if limits else "")
    return Decision(drawn, tried, passed, paths.rate(passed), paths.whole(tried, passed), reason, sure)


class _Paths:
    """The orders of outcomes that come to each number of passes without having been stopped on their way.

    Of all orders that end where this one does, the share that begin with a pass estimates the rate without bias,
    whatever rule stops them (Girshick, Mosteller and Savage 1946). Where nothing stops them it is the share that
    passed; where the r-th pass does, after n rollouts, it is (r - 1) / (n - 1).
    """

    def __init__(self) -> None:
        self._orders = {0: 1}
        self._begun_by_pass: dict[int, int] | None = None

    def go_on(self) -> None:
        """One more rollout that could be checked."""
        self._begun_by_pass = {1: 1} if self._begun_by_pass is None else _one_more(self._begun_by_pass)
        self._orders = _one_more(self._orders)

    def keep(self, open_ends: Sequence[int]) -> None:
        """Leaves out what is stopped here: all but these numbers of passes."""
        self._orders = _only(self._orders, open_ends)
        self._begun_by_pass = None if self._begun_by_pass is None else _only(self._begun_by_pass, open_ends)

    def rate(self, passed: int) -> float | None:
        """The estimate where it ends with this number of passes; None where nothing could be checked."""
        if self._begun_by_pass is None:
            return None
        return self._begun_by_pass.get(passed, 0) / self._orders[passed]

    def whole(self, tried: int, passed: int) -> bool:
        """Whether no order was stopped before it came to this end."""
        return self._orders[passed] == math.comb(tried, passed)


def _only(orders: Mapping[int, int], ends: Sequence[int]) -> dict[int, int]:
    return {passed: count for passed, count in orders.items() if passed in ends}


def _one_more(orders: Mapping[int, int]) -> dict[int, int]:
    longer = Counter(orders)
    longer.update({passed + 1: count for passed, count in orders.items()})
    return dict(longer)


def _sure(drawn: int, tried: int, passed: int, limits: Sequence[Limit], settings: Difficulty) -> bool:
    left = settings.rollouts - drawn
    if left <= 0:
        return True
    # A rate takes at least one rollout that could be checked.
    if settings.stop == "never" or tried == 0:
        return False
    lowest, highest = passed / (tried + left), (passed + left) / (tried + left)
    dropped = any(limit.drops(lowest) and limit.drops(highest) for limit in limits)
    if dropped and all(limit.drops(lowest) == limit.drops(highest) for limit in limits):
        return True
    if settings.stop == "certain":
        return False
    low, high = wilson_interval(passed, tried, settings.confidence)
    # Without a bound there is nothing to be sure of, and the rate itself is what is wanted.
    return bool(limits) and all(high < limit.rate or low > limit.rate for limit in limits)
