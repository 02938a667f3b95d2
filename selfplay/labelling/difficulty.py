"""Difficulty by the pass rate: its interval, which prompts it drops, and when no further rollout is needed.

A prompt's rollouts are a sequence, and everything here is a function of that sequence: it is looked at after each
rollout in turn, however many were drawn at once. So the size of a wave changes what is paid, never what is decided.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    reason: str
    """Why the prompt is dropped; empty where it stays."""
    sure: bool
    """Whether the prompt needs no further rollout."""

    @property
    def pass_rate(self) -> float:
        """Share of the checked rollouts that passed; 0 where none was checked."""
        return self.passed / self.tried if self.tried else 0.0


def decide(outcomes: Sequence[bool | None], limits: Sequence[Limit], settings: Difficulty) -> Decision:
    """Looks at the rollouts one after the other, until it is sure or there are no more.

    Sure means, by `settings.stop`:

    - `certain`: whatever the rollouts left say, and whether they can be checked or not, the decision is the same as
      that of all k;
    - `likely`: that, or the Wilson interval lies strictly on one side of every bound. It may differ from what all k
      would say. Since the interval is looked at after each rollout, it errs more often than 1 - confidence.
    - `never`: all k have been looked at.

    Args:
        outcomes: whether each rollout passed, in the order in which they were drawn; None for one that could not be
            checked, which counts neither way. Those beyond k are not looked at.
        limits: the bounds.
        settings: k, when to stop, and the level of the interval.
    """
    drawn = tried = passed = 0
    sure = _sure(0, 0, 0, limits, settings)
    for outcome in outcomes[: settings.rollouts]:
        if sure:
            break
        drawn += 1
        tried += outcome is not None
        passed += outcome is True
        sure = _sure(drawn, tried, passed, limits, settings)
    reason = drop_reason(passed / tried, limits) if tried else (NOT_MEASURED if limits else "")
    return Decision(drawn, tried, passed, reason, sure)


def _sure(drawn: int, tried: int, passed: int, limits: Sequence[Limit], settings: Difficulty) -> bool:
    left = settings.rollouts - drawn
    if left <= 0:
        return True
    # A rate takes at least one rollout that could be checked.
    if settings.stop == "never" or tried == 0:
        return False
    lowest, highest = passed / (tried + left), (passed + left) / (tried + left)
    if all(limit.drops(lowest) == limit.drops(highest) for limit in limits):
        return True
    if settings.stop == "certain":
        return False
    low, high = wilson_interval(passed, tried, settings.confidence)
    return all(high < limit.rate or low > limit.rate for limit in limits)
