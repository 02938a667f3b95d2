"""What is known of a prompt's pass rate."""

from __future__ import annotations

from selfplay.trl_trainers.pass_rates import PassRates


def test_a_group_without_verdicts_takes_nothing_of_what_is_known() -> None:
    """Nothing was learnt from it, so that the pass rate moved no further than that of others."""
    rates = PassRates(["math"], half_life=16.0)
    rates.observe(0, [1.0, 1.0, 0.0, 1.0], 0)
    before = rates.posterior(0, 3)
    rates.observe(0, [], 2)
    assert rates.posterior(0, 3) == before
