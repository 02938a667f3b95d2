"""Curves: smoothed, and thinned where they are long."""

from __future__ import annotations

from selfplay.report.charts import MOST_POINTS, moving_mean, thinned


def test_moving_mean() -> None:
    assert moving_mean([1.0, 2.0, 6.0], 3) == [1.5, 3.0, 4.0]
    assert moving_mean([1.0, 2.0], 1) == [1.0, 2.0]


def test_long_curves_are_thinned() -> None:
    """So that a page of many steps stays small."""
    x, y = thinned(range(100_000), [0.123456789] * 100_000)
    assert len(x) == len(y) <= MOST_POINTS
    assert (x[0], y[0]) == (0, 0.123457)
