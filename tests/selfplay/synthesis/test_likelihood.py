"""Bounds on log p(x|c), on a model small enough to enumerate."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import pytest

from selfplay.engines.base import Sample
from selfplay.synthesis.likelihood import Joint, importance_bound, is_whole

PRIOR = [0.4, 0.3, 0.2, 0.1]
LIKELIHOOD = [0.02, 0.3, 0.001, 0.08]
MARGINAL = sum(a * b for a, b in zip(PRIOR, LIKELIHOOD, strict=True))
POSTERIOR = [a * b / MARGINAL for a, b in zip(PRIOR, LIKELIHOOD, strict=True)]
PROPOSALS = {"uniform": [0.25] * 4, "prior": PRIOR, "posterior": POSTERIOR, "sharp": [0.05, 0.85, 0.05, 0.05]}


def weight(index: int, q: list[float]) -> float:
    return math.log(PRIOR[index] * LIKELIHOOD[index]) - math.log(q[index])


def expected_bound(q: list[float], k: int) -> float:
    """The exact expectation over all draws of k rationales."""
    return math.fsum(
        math.prod(q[i] for i in drawn) * importance_bound([weight(i, q) for i in drawn])
        for drawn in itertools.product(range(4), repeat=k)
    )


@pytest.mark.parametrize("q", PROPOSALS.values(), ids=PROPOSALS)
def test_the_bound_never_exceeds_the_marginal_and_tightens(q: list[float]) -> None:
    bounds = [expected_bound(q, k) for k in (1, 2, 3, 4)]
    assert all(bound <= math.log(MARGINAL) + 1e-12 for bound in bounds)
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(bounds))


def test_the_bound_is_tight_at_the_posterior() -> None:
    assert expected_bound(POSTERIOR, 1) == pytest.approx(math.log(MARGINAL))


@pytest.mark.parametrize("q", PROPOSALS.values(), ids=PROPOSALS)
def test_one_sample_gives_the_evidence_bound(q: list[float]) -> None:
    """E_q[log p(z,x|c)] + H(q), method.md section 1."""
    elbo = sum(q[i] * math.log(PRIOR[i] * LIKELIHOOD[i]) for i in range(4)) - sum(v * math.log(v) for v in q)
    assert expected_bound(q, 1) == pytest.approx(elbo)


def test_a_cut_sample_counts_with_weight_zero() -> None:
    assert importance_bound([math.log(0.5), None]) == pytest.approx(math.log(0.25))
    assert importance_bound([None, None]) == -math.inf


def test_leaving_cut_samples_out_would_break_the_bound() -> None:
    """The trap: with q cut on half of its draws, averaging the rest alone overstates p(x|c)."""
    rng = random.Random(0)
    q = [0.25] * 4
    kept, dropped = [], []
    for _ in range(2000):
        drawn = [weight(i, q) if i < 2 else None for i in rng.choices(range(4), k=16)]
        kept.append(math.exp(importance_bound(drawn)))
        dropped.append(math.exp(importance_bound([w for w in drawn if w is not None])))
    assert statistics.fmean(kept) < MARGINAL
    assert statistics.fmean(dropped) > MARGINAL


def test_large_weights_do_not_overflow() -> None:
    assert importance_bound([5000.0, 4000.0]) == pytest.approx(5000 - math.log(2))


def test_rewards() -> None:
    joint = Joint(log_p_rationale=-6.0, log_p_problem=-12.0, rationale_tokens=3, problem_tokens=4)
    assert joint.reward("sum") == -18.0
    assert joint.reward("mean") == pytest.approx(-5.0)


@pytest.mark.parametrize(
    ("text", "complete", "whole"),
    [
        ("<!-- BEGIN RATIONALE -->z<!-- END RATIONALE -->", True, True),
        ("<!-- BEGIN RATIONALE -->z<!-- END RATIONALE -->", False, False),
        ("<!-- BEGIN RATIONALE -->z<!-- END RATIONALE --> more", True, False),
        ("x<!-- BEGIN RATIONALE -->z<!-- END RATIONALE -->", True, False),
        ("<!-- BEGIN RATIONALE -->z<!-- END RATIONALE --><!-- END RATIONALE -->", True, False),
        ("<!-- BEGIN RATIONALE --> <!-- END RATIONALE -->", True, False),
        ("<!-- BEGIN RATIONALE -->z", True, False),
    ],
)
def test_whole_rationales(text: str, complete: bool, whole: bool) -> None:
    assert is_whole(Sample(text, (), complete)) is whole
