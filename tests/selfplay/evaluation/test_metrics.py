"""avg@k, pass@k and intervals."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.config.evaluation import Evaluation
from selfplay.evaluation import evaluate
from selfplay.evaluation.evaluate import Judged, NothingJudged, gain_rows, metric_rows, metric_values
from selfplay.evaluation.metrics import avg_at_k, estimate, maj_at_k, paired_gain, pass_at_k
from selfplay.run.directory import Stage
from selfplay.run.records import Rollout

outcomes = st.lists(st.booleans(), min_size=1, max_size=7)


@given(found=outcomes, k=st.integers(1, 7))
def test_pass_at_k_is_the_share_of_subsets_with_a_pass(found: list[bool], k: int) -> None:
    value = pass_at_k(found, k)
    if k > len(found):
        assert value is None
        return
    subsets = list(itertools.combinations(found, k))
    assert value == pytest.approx(sum(any(subset) for subset in subsets) / len(subsets))


def test_what_could_not_be_checked_is_left_out() -> None:
    assert avg_at_k([True, None, False, None]) == 0.5
    assert avg_at_k([None]) is None
    assert pass_at_k([True, None], 2) is None


def test_the_interval_holds_the_mean_and_shrinks_with_n() -> None:
    few, many = estimate([0.0, 1.0] * 10, 2000, 0), estimate([0.0, 1.0] * 200, 2000, 0)
    assert few.low < few.value == 0.5 < few.high
    assert many.high - many.low < few.high - few.low
    # The normal approximation: 2 x 1.96 x 0.5 / sqrt(400).
    assert many.high - many.low == pytest.approx(2 * 1.96 * 0.5 / math.sqrt(400), rel=0.1)


def test_pairing_removes_what_problems_share() -> None:
    before = [0.0, 0.25, 0.5, 0.75] * 50
    gain = paired_gain(before, [value + 0.25 for value in before], 500, 0)
    assert gain.low == gain.high == gain.value == 0.25


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_interval_is_a_function_of_its_seed_and_of_how_many_resamples() -> None:
    values = [0.0, 0.1, 0.5, 0.9, 1.0]
    found = estimate(values, 200, 3)
    assert found == estimate(values, 200, 3) == paired_gain([0.0] * 5, values, 200, 3)
    assert found != estimate(values, 200, 4)
    one = estimate(values, 1, 3)
    assert one.low == one.high, "a single resample has no spread"


@pytest.mark.parametrize(
    ("classes", "passed", "value"),
    [
        ([0, 0, 1], [True, True, False], 1.0),
        ([0, 1, 1], [True, False, False], 0.0),
        ([0, 1, None], [True, False, False], 0.5),
        ([0, 0, 1], [None, None, True], 1.0),
        ([None, None], [False, False], 0.0),
        ([0], [None], None),
    ],
)
def test_the_answer_that_most_agree_on(classes: list[int | None], passed: list[bool | None], value: float) -> None:
    assert maj_at_k(classes, passed) == value


def test_problems_without_a_value_are_left_out() -> None:
    assert estimate([None, 1.0, None], 100, 0).n == 1
    assert paired_gain([None, 0.0], [1.0, None], 100, 0).n == 0
    assert math.isnan(estimate([], 100, 0).value)


def row(task: str, mode: str, passed: bool | None) -> Judged:
    return "math", mode, task, passed


def test_rows_of_a_round() -> None:
    rows = [row("a", "T=1.0", True), row("a", "T=1.0", False), row("b", "T=1.0", True), row("b", "T=1.0", True)]
    rows += [row("a", "greedy", True), row("b", "greedy", None)]
    table = {r["metric"]: r for r in metric_rows(metric_values(rows), Evaluation(), 0, 0)}
    assert table["avg@2 T=1.0"]["value"] == 0.75
    assert table["pass@2 T=1.0"]["value"] == 1.0
    assert (table["greedy"]["value"], table["greedy"]["n"]) == (1.0, 1)


def test_gains_pair_problems_by_their_id() -> None:
    before = [row("a", "greedy", False), row("b", "greedy", True)]
    after = [row("b", "greedy", True), row("a", "greedy", True)]
    gain = gain_rows(metric_values(before), metric_values(after), Evaluation(), 1, 0)[0]
    assert (gain["value"], gain["n"], gain["round"]) == (0.5, 2, 1)


def evaluated(folder: Path, monkeypatch: pytest.MonkeyPatch, *verdicts: tuple[bool | None, str]) -> Any:
    """The result of the base's evaluation, of rollouts with these verdicts and statuses."""
    rows = [
        Rollout(f"r{at}", "t", "math", 0, "T=1.0", at, "x", passed, None, status, "no key (rules.py, line 2)")
        for at, (passed, status) in enumerate(verdicts)
    ]
    monkeypatch.setattr(evaluate, "judged", lambda judge, completions: [rows])
    heard = SimpleNamespace(log=lambda *told: None)
    context: Any = SimpleNamespace(judge=None, recipe=SimpleNamespace(evaluation=Evaluation(), seed=0), listener=heard)
    run: Any = SimpleNamespace(path=folder.parent)
    stage, model = Stage(run, folder.name), cast(Any, None)
    stage.folder.mkdir(parents=True)
    return evaluate.evaluation_stage(stage, context, 0, model, [], {})


def test_a_verifier_that_judges_no_completion_of_the_base_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unjudged = (None, "not_checked")
    told = r"domains.math.verifier: could judge no completion of evaluation_0 \(no key \(rules.py, line 2\)\); mend it"
    with pytest.raises(NothingJudged, match=told):
        evaluated(tmp_path / "evaluation_0", monkeypatch, unjudged, unjudged, (False, "cut"))
    assert evaluated(tmp_path / "evaluation_1", monkeypatch, unjudged, (False, "wrong")).not_checked == 1
    assert evaluated(tmp_path / "evaluation_2", monkeypatch, (False, "cut")).not_checked == 0
