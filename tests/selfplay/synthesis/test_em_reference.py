"""The algebra of docs/explanation/method.md on tables: what soft EM never does, what hard EM climbs and prefers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.selfplay.synthesis.table_model import TableModel, hard, maximised, random_case

SEEDS = st.integers(0, 10_000)


@given(seed=SEEDS)
def test_soft_em_never_lowers_the_likelihood(seed: int) -> None:
    model, counts = random_case(seed)
    found = [model.log_likelihood(counts)]
    for _ in range(8):
        model = maximised(counts, model.posterior())
        found.append(model.log_likelihood(counts))
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(found))
    assert found[-1] > found[0]


@given(seed=SEEDS)
def test_the_bound_holds_for_any_q_and_is_tight_at_the_posterior(seed: int) -> None:
    model, counts = random_case(seed)
    exact = model.log_likelihood(counts)
    other = random_case(seed + 1)[0].posterior()
    assert model.bound(counts, other) <= exact + 1e-9
    assert model.bound(counts, model.posterior()) == pytest.approx(exact)
    # The M-step raises the bound, the E-step then closes its gap: the two inequalities of the proof.
    after = maximised(counts, model.posterior())
    assert after.log_likelihood(counts) >= after.bound(counts, model.posterior()) - 1e-9 >= exact - 2e-9


@given(seed=SEEDS)
def test_hard_em_climbs_the_joint_likelihood_of_the_best_rationales(seed: int) -> None:
    model, counts = random_case(seed)
    found = [model.best_joint(counts)]
    for _ in range(6):
        model = maximised(counts, hard(model.posterior()))
        with np.errstate(divide="ignore"):
            found.append(model.best_joint(counts))
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(found))


def test_hard_em_can_lower_the_likelihood_of_the_problems() -> None:
    """What soft EM never does: on some of a hundred random cases a round of hard EM ends below where it began."""
    falls = 0
    for seed in range(100):
        model, counts = random_case(seed, concepts=4, rationales=6)
        model = maximised(counts, model.posterior())
        falls += maximised(counts, hard(model.posterior())).log_likelihood(counts) < model.log_likelihood(counts) - 1e-6
    assert falls > 0


@given(seed=SEEDS)
def test_the_summed_reward_is_the_log_posterior_plus_a_constant(seed: int) -> None:
    model, _ = random_case(seed)
    rewards = np.log(model.joint())
    assert np.allclose(rewards, np.log(model.marginal())[:, None] + np.log(model.posterior()))


@pytest.mark.parametrize(("wordings", "prefers_vague"), [(1, False), (3, False), (20, True), (200, True)])
def test_the_mode_of_the_posterior_prefers_what_has_few_wordings(wordings: int, prefers_vague: bool) -> None:
    """An informative plan has 90% of the posterior; said in enough ways, each of them loses to the one vague text."""
    prior = np.array([[0.5, *[0.5 / wordings] * wordings]])
    likelihood = np.array([[0.1, 0.9], *[[0.9, 0.1]] * wordings])
    posterior = TableModel(prior, likelihood).posterior()[0, :, 0]
    assert posterior[1:].sum() == pytest.approx(0.9)
    assert (posterior.argmax() == 0) == prefers_vague
