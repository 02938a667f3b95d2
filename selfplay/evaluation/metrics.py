"""avg@k, pass@k and their 95% intervals: bootstrap over problems, paired where two rounds are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Outcomes = Sequence[bool | None]
"""The verdicts on one problem's completions; None could not be checked, and is left out."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over problems with its 95% interval."""

    value: float
    low: float
    high: float
    n: int
    """Number of problems."""


def avg_at_k(outcomes: Outcomes) -> float | None:
    """Share of a problem's checked completions that passed; None when none could be checked."""
    checked = [outcome for outcome in outcomes if outcome is not None]
    return sum(checked) / len(checked) if checked else None


def pass_at_k(outcomes: Outcomes, k: int) -> float | None:
    """Unbiased probability that one of k completions passes, 1 - C(n-c, k)/C(n, k); None when fewer than k checked."""
    checked = [outcome for outcome in outcomes if outcome is not None]
    if len(checked) < k:
        return None
    failed = len(checked) - sum(checked)
    return 1.0 - math.comb(failed, k) / math.comb(len(checked), k)


def estimate(values: Sequence[float | None], resamples: int, seed: int) -> Estimate:
    """The mean over problems and its percentile bootstrap interval; problems without a value are left out."""
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if known.size == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    rng = np.random.default_rng(seed)
    means = [known[rng.integers(0, known.size, known.size)].mean() for _ in range(resamples)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(known.mean()), float(low), float(high), int(known.size))


def paired_gain(before: Sequence[float | None], after: Sequence[float | None], resamples: int, seed: int) -> Estimate:
    """The mean difference over problems that have both values; `before` and `after` are in the same order."""
    pairs = zip(before, after, strict=True)
    return estimate([b - a if a is not None and b is not None else None for a, b in pairs], resamples, seed)
