"""Sums, gates and thresholds, and the small verifiers of text that they are often made of."""

from __future__ import annotations

import pytest

from verifiers.answer_length import LengthVerifier
from verifiers.composite import CompositeVerifier
from verifiers.model import Task, Verdict
from verifiers.registry import FunctionVerifier
from verifiers.text_rules import ChoiceVerifier, ExactVerifier, FormatVerifier, RegexVerifier


def giving(reward: float | None) -> FunctionVerifier:
    verdict = Verdict(None, None, "timed_out", "slow") if reward is None else reward
    return FunctionVerifier("giving", lambda task, completion: verdict, {})


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


def test_what_one_component_could_not_check_the_whole_could_not() -> None:
    verdict = CompositeVerifier({"a": giving(1.0), "b": giving(None)}).verify(Task(), "x")
    assert (verdict.passed, verdict.reward, verdict.status) == (None, None, "not_checked")
    assert verdict.reason == "b: slow"


def test_impossible_composites_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown components"):
        CompositeVerifier({"a": giving(1.0)}, weights={"b": 1.0})
    with pytest.raises(ValueError, match="sum or product"):
        CompositeVerifier({"a": giving(1.0)}, combine="max")  # type: ignore[arg-type]


def test_fingerprints_tell_configurations_apart() -> None:
    made = [CompositeVerifier({"a": LengthVerifier(limit=limit, buffer=1)}).fingerprint for limit in (10, 20)]
    assert made[0] != made[1]


def test_choice() -> None:
    choice = ChoiceVerifier()
    assert choice.verify(Task(answer=r"\text{(C)}"), "so the answer is C.").passed is True
    assert choice.verify(Task(answer="C"), "The answer is A or C").passed is False
    assert choice.verify(Task(answer="12"), "C").status == "gold_unparsable"


def test_exact_and_regex() -> None:
    assert ExactVerifier().verify(Task(answer="a  b"), "<think>x</think> a b ").passed is True
    assert ExactVerifier().verify(Task(answer="A"), "a").passed is False
    assert ExactVerifier(ignore_case=True).verify(Task(answer="A"), "a").passed is True
    assert RegexVerifier(pattern=r"\d{3}").verify(Task(), r"\boxed{123}").passed is True
    assert RegexVerifier(pattern=r"\d{3}").verify(Task(), r"\boxed{1234}").passed is False
    with pytest.raises(ValueError, match="not a regular expression"):
        RegexVerifier(pattern="(")


def test_format_and_length() -> None:
    form = FormatVerifier()
    assert form.verify(Task(), r"<think>a</think> \boxed{1}").passed is True
    assert form.verify(Task(), r"\boxed{1}").passed is False
    assert form.verify(Task(), r"<think>a</think> \boxed{1} \boxed{2}").passed is False
    assert form.verify(Task(), r"<think>a").status == "no_answer"
    soft = LengthVerifier(limit=100, buffer=50)
    assert [soft.verify(Task(), "x" * n).reward for n in (10, 75, 200)] == [1.0, 0.5, 0.0]
