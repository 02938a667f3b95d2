"""Sums, gates and thresholds; what is tracked, and what cannot be checked."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from verifiers.composite import Component, CompositeVerifier, component_rewards
from verifiers.conformance.contract import faults_of
from verifiers.model import Task, Verdict
from verifiers.plugins.guard import FunctionVerifier
from verifiers.registry import load
from verifiers.rules.length import LengthVerifier
from verifiers.rules.text import ExactVerifier


def giving(reward: float | None) -> FunctionVerifier:
    verdict = Verdict(None, None, "timed_out", "slow") if reward is None else reward
    return FunctionVerifier("giving", lambda task, completion: verdict, {})


def share_of_b(task: Task, completion: str) -> float:
    return completion.count("b") / 3


class Closing(ExactVerifier):
    """Notes that it was closed."""

    def __init__(self, closed: list[str], called: str, *, fails: bool) -> None:
        super().__init__()
        self._closed, self._called, self._fails = closed, called, fails

    def close(self) -> None:
        self._closed.append(self._called)
        if self._fails:
            raise RuntimeError(f"{self._called} is stuck")


def test_a_weighted_sum_keeps_each_component() -> None:
    both = CompositeVerifier({"right": giving(1.0), "form": giving(0.5)}, weights={"right": 3.0}, threshold=0.8)
    verdict = both.verify(Task(), "x")
    assert (verdict.reward, verdict.passed) == (0.875, True)
    assert verdict.details["components"]["form"]["reward"] == 0.5
    assert [many.reward for many in both.verify_many([(Task(), "x")] * 2)] == [0.875, 0.875]


def test_a_product_is_a_gate() -> None:
    gate = CompositeVerifier({"right": giving(1.0), "form": giving(0.0)}, combine="product")
    assert gate.verify(Task(), "x").reward == 0.0
    binary = CompositeVerifier({"a": giving(0.9)}, threshold=0.5, binary=True)
    assert binary.verify(Task(), "x").reward == 1.0


def test_what_has_no_answer_is_told_from_a_wrong_one() -> None:
    """Pairs for dpo are to have wrong answers for losers, whatever else is looked at."""
    both = CompositeVerifier({"right": ExactVerifier(), "short": LengthVerifier(limit=90, buffer=10)})
    found = both.verify_many([(Task(answer="4"), text) for text in ("4", "5", "<think>4</think>", "x" * 100)])
    assert [verdict.status for verdict in found] == ["correct", "wrong", "no_answer", "wrong"]
    assert [verdict.passed for verdict in found] == [True, False, False, False]


def test_what_one_component_could_not_check_the_whole_could_not() -> None:
    verdict = CompositeVerifier({"a": giving(1.0), "b": giving(None)}).verify(Task(), "x")
    assert (verdict.passed, verdict.reward, verdict.status) == (None, None, "not_checked")
    assert verdict.reason == "b: slow"
    assert verdict.details["components"]["a"]["reward"] == 1.0


@pytest.mark.parametrize(
    ("rewards", "settings", "reward"),
    [
        ((0.0, None), {"combine": "product"}, 0.0),
        ((None, 0.0), {"combine": "product"}, 0.0),
        ((None, 0.0), {"combine": "product", "stop_at_zero": True}, 0.0),
        ((0.5, None), {"combine": "product"}, None),
        ((0.5, None), {"combine": "product", "binary": True}, 0.0),
        ((0.0, None), {"combine": "sum"}, None),
        ((0.0, None), {"combine": "sum", "binary": True}, 0.0),
        ((0.0, None), {"combine": "sum", "binary": True, "threshold": 0.5}, None),
    ],
)
def test_a_wrong_answer_gains_nothing_by_what_could_not_be_checked(
    rewards: tuple[float | None, ...], settings: dict[str, Any], reward: float | None
) -> None:
    parts = {str(at): giving(one) for at, one in enumerate(rewards)}
    verdict = CompositeVerifier(parts, **settings).verify(Task(), "x")
    assert (verdict.reward, verdict.status) == (reward, "not_checked" if reward is None else "wrong")


@pytest.mark.parametrize(
    ("components", "settings", "says"),
    [
        ({}, {}, "needs at least one"),
        ([giving(1.0)], {}, "needs at least one, by name"),
        ({"a": giving(1.0)}, {"weights": {"b": 1.0}}, "unknown components: b"),
        ({"a": giving(1.0)}, {"combine": "max"}, "sum or product"),
        ({"a": giving(1.0)}, {"weights": {"a": -1.0}}, "weights.a: must be a number that is not negative"),
        ({"a": giving(1.0)}, {"weights": {"a": float("nan")}}, "weights.a"),
        ({"a": giving(1.0)}, {"weights": {"a": 0.0}}, "not all be zero"),
        ({"a": giving(1.0)}, {"threshold": 0.0}, r"threshold must lie in \(0, 1\]"),
        ({"a": giving(1.0)}, {"stop_at_zero": True}, "for products"),
        ({"a/b": giving(1.0)}, {}, "is no name"),
        ({"a": 3}, {}, "components.a: must be a verifier or a description"),
        ({"a": {"params": {}}}, {}, "components.a.verifier: must be the name"),
        ({"a": {"verifier": "exact", "wieght": 1}}, {}, "wieght is no setting"),
        ({"a": {"verifier": "exact", "weight": "2"}}, {}, "components.a.weight"),
        ({"a": {"verifier": "exact", "threshold": 2}}, {}, "components.a.threshold"),
        ({"a": {"verifier": "exakt"}}, {}, "did you mean exact"),
    ],
)
def test_impossible_composites_are_refused(components: Any, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        CompositeVerifier(components, **settings)


def test_fingerprints_tell_configurations_apart() -> None:
    part = LengthVerifier(limit=10, buffer=1)
    made = [
        CompositeVerifier({"a": part}),
        CompositeVerifier({"b": part}),
        CompositeVerifier({"a": LengthVerifier(limit=20, buffer=1)}),
        CompositeVerifier({"a": Component(part, threshold=0.5)}),
        CompositeVerifier({"a": Component(part, optional=True)}),
        CompositeVerifier({"a": Component(part, weight=2.0)}),
        CompositeVerifier({"a": part}, combine="product"),
        CompositeVerifier({"a": part}, combine="product", stop_at_zero=True),
        CompositeVerifier({"a": part}, threshold=0.5),
        CompositeVerifier({"a": part}, binary=True),
    ]
    assert len({one.fingerprint for one in made}) == len(made)


# Every reward that a component may give, None included, and every way to combine them.
REWARDS = st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0.0, 1.0)
PARTS = st.lists(
    st.tuples(REWARDS, st.sampled_from([0.0, 0.5, 1.0, 3.0]), st.none() | st.sampled_from([0.25, 1.0]), st.booleans()),
    min_size=1,
    max_size=5,
)


def parts_of(rows: list[tuple[float | None, float, float | None, bool]]) -> dict[str, Component]:
    return {
        f"part{at}": Component(giving(reward), weight, threshold, optional)
        for at, (reward, weight, threshold, optional) in enumerate(rows)
    }


@given(PARTS, st.sampled_from(["sum", "product"]), st.sampled_from([0.3, 1.0]), st.booleans())
def test_the_reward_is_what_the_definition_says(
    rows: list[tuple[float | None, float, float | None, bool]], combine: Any, threshold: float, binary: bool
) -> None:
    assume(combine == "product" or sum(weight for _, weight, _, _ in rows) > 0)
    composite = CompositeVerifier(parts_of(rows), combine=combine, threshold=threshold, binary=binary)
    verdict = composite.verify(Task(), "x")
    assert faults_of(verdict) == []
    assert component_rewards(verdict) == {f"part{at}": row[0] for at, row in enumerate(rows)}
    unchecked = any(reward is None and not optional for reward, _, _, optional in rows)
    counted = [
        (1.0 if reward is None else reward if least is None else float(reward >= least - 1e-12), weight)
        for reward, weight, least, optional in rows
        if reward is not None or not optional
    ]
    total = sum(weight for _, weight in counted)
    if not counted or (combine == "sum" and total == 0):
        assert (verdict.passed, verdict.reward, verdict.status) == (None, None, "not_checked")
        return
    product = math.prod(reward for reward, _ in counted)
    expected = product if combine == "product" else sum(reward * weight for reward, weight in counted) / total
    if unchecked and expected > 0 and not (binary and expected < threshold - 1e-9):
        assume(not (binary and abs(expected - threshold) < 1e-9))
        assert (verdict.passed, verdict.reward, verdict.status) == (None, None, "not_checked")
        return
    assert verdict.passed is (expected >= threshold - 1e-12) or abs(expected - threshold) < 1e-9
    assert verdict.reward == pytest.approx(float(bool(verdict.passed)) if binary else expected, abs=1e-9)


@given(PARTS)
def test_a_part_that_does_better_never_lowers_the_whole(
    rows: list[tuple[float | None, float, float | None, bool]],
) -> None:
    assume(sum(weight for _, weight, _, _ in rows) > 0)
    for combine in ("sum", "product"):
        before = CompositeVerifier(parts_of(rows), combine=combine).verify(Task(), "x")  # type: ignore[arg-type]
        for at, (reward, *others) in enumerate(rows):
            if before.reward is None or reward is None:
                continue
            better: Any = [*rows[:at], (1.0, *others), *rows[at + 1 :]]
            after = CompositeVerifier(parts_of(better), combine=combine).verify(Task(), "x")  # type: ignore[arg-type]
            assert after.reward is not None or before.reward == 0.0
            assert after.reward is None or after.reward >= before.reward - 1e-12


@given(PARTS)
def test_stopping_at_zero_changes_no_checked_product(
    rows: list[tuple[float | None, float, float | None, bool]],
) -> None:
    whole = CompositeVerifier(parts_of(rows), combine="product").verify(Task(), "x")
    short = CompositeVerifier(parts_of(rows), combine="product", stop_at_zero=True).verify(Task(), "x")
    if whole.reward is not None:
        assert (short.passed, short.reward) == (whole.passed, whole.reward)
    spared = [name for name, shown in short.details["components"].items() if shown["status"] == "spared"]
    assert spared == [f"part{at}" for at in range(len(rows) - len(spared), len(rows))]


@given(st.lists(st.text("ab", max_size=3), max_size=8), st.booleans())
def test_a_batch_is_its_items(completions: list[str], stop: bool) -> None:
    def starts(task: Task, completion: str) -> bool:
        return completion.startswith("a")

    parts: Any = {"starts": FunctionVerifier("starts", starts, {}), "share": FunctionVerifier("share", share_of_b, {})}
    composite = CompositeVerifier(parts, combine="product", stop_at_zero=stop, threshold=0.5)
    together = composite.verify_many([(Task(), completion) for completion in completions])
    alone = [composite.verify(Task(), completion) for completion in completions]
    assert [(v.reward, v.status, v.reason) for v in together] == [(v.reward, v.status, v.reason) for v in alone]


def test_composites_nest_and_every_part_keeps_its_name() -> None:
    length = {"verifier": "length", "params": {"limit": 10, "buffer": 8}}
    described = {
        "right": {"verifier": "exact", "weight": 3},
        "shape": {
            "verifier": "composite",
            "params": {
                "components": {"length": length, "b": giving(1.0)},
                "combine": "product",
            },
        },
    }
    composite = load("composite", {"components": described, "threshold": 0.7})
    verdict = composite.verify(Task(answer="four"), "four")
    assert component_rewards(verdict) == {
        "right": 1.0,
        "shape": 0.75,
        "shape/length": 0.75,
        "shape/b": 1.0,
    }
    assert (verdict.reward, verdict.passed) == (pytest.approx(0.9375), True)
    assert verdict.reason == ""
    wrong = composite.verify(Task(answer="five"), "four")
    assert wrong.reason.startswith("right: the text is another; shape: length: 4 characters")
    assert component_rewards(Verdict(True, 1.0, "correct")) == {}


def test_defaults_reach_nested_components() -> None:
    inner = {"verifier": "composite", "params": {"components": {"short": {"verifier": "length"}}}}
    made = load("composite", {"components": {"outer": inner}}, defaults={"length": {"limit": 4, "buffer": 4}})
    assert made.verify(Task(), "xx").reward == 0.5
    own = {"verifier": "length", "params": {"limit": 100}}
    kept = load("composite", {"components": {"short": own}}, defaults={"length": {"limit": 4, "buffer": 4}})
    assert kept.verify(Task(), "xx").reward == 1.0


def test_a_composite_of_forms_is_one_of_form() -> None:
    length, exact = LengthVerifier(), ExactVerifier()
    assert CompositeVerifier({"a": length}).judges == "form"
    assert CompositeVerifier({"a": length, "b": exact}).judges == "answer"


def test_closing_reaches_every_component() -> None:
    closed: list[str] = []

    composite = CompositeVerifier({"a": Closing(closed, "a", fails=True), "b": Closing(closed, "b", fails=False)})
    with pytest.raises(RuntimeError, match="a is stuck"):
        composite.close()
    assert closed == ["a", "b"]
