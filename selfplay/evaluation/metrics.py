"""avg@k, pass@k, maj@k and their 95% intervals: bootstrap over problems, paired where two rounds are compared."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES_AT_ONCE = 500
"""Resamples that are in memory together."""

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


def maj_at_k(classes: Sequence[int | None], outcomes: Outcomes) -> float | None:
    """Whether the answer that most of a problem's checked completions agree on is right; None where none was checked.

    Of classes that share the most votes each is chosen alike, so that a tie gives the share of them that is right.

    Args:
        classes: for each completion the class of its answer, equal ones alike; None for one without an answer.
        outcomes: whether each passed; those of one class agree.
    """
    voted = [(one, passed) for one, passed in zip(classes, outcomes, strict=True) if passed is not None]
    votes = Counter(one for one, _ in voted if one is not None)
    if not voted or not votes:
        return 0.0 if voted else None
    right = {one for one, passed in voted if passed}
    leaders = [one for one, count in votes.items() if count == max(votes.values())]
    return sum(one in right for one in leaders) / len(leaders)


def estimate(values: Sequence[float | None], resamples: int, seed: int) -> Estimate:
    """The mean over problems and its percentile bootstrap interval; problems without a value are left out."""
    return stratified_estimate([values], resamples, seed)


def stratified_estimate(strata: Sequence[Sequence[float | None]], resamples: int, seed: int) -> Estimate:
    """The mean over strata, such as suites, of their means over problems; problems are drawn anew within each.

    Args:
        strata: a value a problem; those without one are left out, and strata without any.
        resamples: of the bootstrap.
        seed: of its draws.
    """
    from scipy.stats import bootstrap

    known = [np.array([value for value in values if value is not None], dtype=np.float64) for values in strata]
    known = [values for values in known if values.size]
    if not known:
        return Estimate(math.nan, math.nan, math.nan, 0)
    # Scipy takes no sample of one; twice the same value has the same distribution.
    samples = tuple(values if values.size > 1 else np.repeat(values, 2) for values in known)
    found = bootstrap(
        samples,
        _mean_of_means,
        n_resamples=resamples,
        batch=RESAMPLES_AT_ONCE,
        vectorized=True,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(float(_mean_of_means(*known)), float(found.low), float(found.high), sum(map(len, known)))


def _mean_of_means(*samples: Any, axis: int = -1) -> Any:
    return sum(values.mean(axis=axis) for values in samples) / len(samples)


def paired_gain(before: Sequence[float | None], after: Sequence[float | None], resamples: int, seed: int) -> Estimate:
    """The mean difference over problems that have both values; `before` and `after` are in the same order."""
    pairs = zip(before, after, strict=True)
    return estimate([b - a if a is not None and b is not None else None for a, b in pairs], resamples, seed)
