"""What docs/how-to/evaluate.md says can be used, and its figures come out again."""

from __future__ import annotations

import re

import numpy as np
import pytest
import yaml

from selfplay.config.evaluation import Evaluation
from tests.docs.pages import pages

PAGE = pages("how-to/evaluate.md", "results/evaluation.md")


def test_the_settings_of_a_run_are_settings() -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    settings = Evaluation.model_validate(yaml.safe_load(block)["evaluation"])
    assert settings.suites is not None
    assert settings.suites.names == ("aime24", "math500")
    assert settings.suites.every == 2


def test_the_best_of_several_rounds_looks_better_than_it_is() -> None:
    rows = re.findall(r"^\| (16|100|400) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.M)
    assert len(rows) == 3
    rng = np.random.default_rng(0)
    for problems, *shown in rows:
        count = int(problems)
        for rounds, points in zip((3, 5, 10), shown, strict=True):
            best = rng.binomial(count, 0.5, (100_000, rounds)).max(axis=1) / count
            assert float(points) == pytest.approx((best.mean() - 0.5) * 100, abs=0.1)
