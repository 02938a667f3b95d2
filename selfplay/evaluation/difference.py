"""Two models on the same problems: the paired difference with its interval, its p-value, and the sentence for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfplay.evaluation.metrics import RESAMPLES_AT_ONCE, stratified_estimate

Floats = NDArray[np.float64]
Values = Mapping[str, Mapping[str, float | None]]
"""For each suite, a value for each problem by its id; None where none could be checked."""

LEVEL = 0.05
FEWEST = 6
"""Problems below which even the same difference on each comes about by chance in more than 5% of all sign changes."""
SEEN = 0.01
"""The difference, 1 point, for which it is said how many problems would show it."""
_Z_INTERVAL, _Z_POWER = 1.959964, 0.841621
"""Normal quantiles of a 95% interval, and of a power of 80%."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean over suites of the mean paired difference over problems, second less first."""

    value: float
    low: float
    high: float
    n: int
    """Problems that both models were measured on."""
    p: float
    """Two-sided, by permutation: the signs of the differences are exchanged at random."""
    times: float
    """How many times as many problems would show a difference of 1 point in 80% of such comparisons; nan where these
    problems cannot say it: none of them differs, or some suite has only one."""
    changed: int
    """Problems on which the models differ."""

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves 0 out and the p-value is below 0.05: both, since each errs where n is small."""
        return self.n > 0 and (self.low > 0 or self.high < 0) and self.p < LEVEL

    @property
    def sentence(self) -> str:
        """As a person would say it of the second model."""
        if not self.n:
            return "no problem was measured for both"
        if not self.changed:
            return f"the same on each of {self.n} problems"
        shown = f"{abs(self.value) * 100:.1f} points"
        if self.told_apart:
            low, high = sorted((abs(self.low), abs(self.high)))
            better = "better" if self.value > 0 else "worse"
            return f"{better} by {shown} [{low * 100:.1f}, {high * 100:.1f}] on {self.n} problems ({_p(self.p)})"
        found = f"{self.value * 100:+.1f} points [{self.low * 100:.1f}, {self.high * 100:.1f}], {_p(self.p)}"
        return f"cannot be told apart on {self.n} problems ({found}); {self._needed}"

    @property
    def _needed(self) -> str:
        if self.n < FEWEST:
            return f"with fewer than {FEWEST} problems no difference can be"
        if not math.isfinite(self.times):
            return "how many problems would show 1 point cannot be said from these"
        if self.times <= 1:
            return "a difference of 1 point would most likely have been seen"
        times = f"{self.times:,.0f}" if self.times >= 10 else f"{self.times:.1f}"
        return f"{times} times as many problems would be needed to see 1 point"


def difference(first: Values, second: Values, resamples: int, seed: int) -> Difference:
    """Compares two models on the problems that both have values for.

    Args:
        first: of one model.
        second: of the other.
        resamples: of the bootstrap, and of the permutations where they cannot all be tried.
        seed: of their draws.
    """
    strata = [_paired(first[suite], second[suite]) for suite in first if suite in second]
    strata = [values for values in strata if values.size]
    if not strata:
        return Difference(math.nan, math.nan, math.nan, 0, math.nan, math.nan, 0)
    found = stratified_estimate([list(values) for values in strata], resamples, seed)
    p = _p_value(strata, resamples, seed)
    changed = sum(int(np.count_nonzero(values)) for values in strata)
    return Difference(found.value, found.low, found.high, found.n, p, _times(strata), changed)


def _times(strata: list[Floats]) -> float:
    if min(values.size for values in strata) < 2:
        return math.nan
    variance = sum(float(values.var(ddof=1)) / values.size for values in strata) / len(strata) ** 2
    return variance * ((_Z_INTERVAL + _Z_POWER) / SEEN) ** 2 or math.nan


def _paired(first: Mapping[str, float | None], second: Mapping[str, float | None]) -> Floats:
    both = [(first[problem], second[problem]) for problem in first if problem in second]
    return np.array([b - a for a, b in both if a is not None and b is not None], dtype=np.float64)


def _p_value(strata: list[Floats], resamples: int, seed: int) -> float:
    """The share of sign changes by which the mean over suites is at least as far from 0, on either side."""
    from scipy.stats import permutation_test

    values = np.concatenate(strata)
    weights = np.concatenate([np.full(one.size, 1 / (len(strata) * one.size)) for one in strata])
    # Of one problem both signs are as far from 0.
    if not values.any() or values.size == 1:
        return 1.0

    def weighed(sample: Floats, axis: int = -1) -> Any:
        # Rounded, so that sums that differ by the order of their parts are ties.
        return np.round(np.tensordot(sample, weights, axes=(axis, 0)), 12)

    found = permutation_test(
        (values,),
        weighed,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=RESAMPLES_AT_ONCE,
        random_state=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"
