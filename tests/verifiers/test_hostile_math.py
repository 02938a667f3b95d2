"""Answers and golds built to hang, crash or fill memory: one verdict each, in bounded time, never a pass."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from verifiers.math_answer import MathVerifier
from verifiers.model import Task

DEADLINE_S = 1.0

HOSTILE = {
    "tower": "9^{9^{9^{9}}}",
    "plain tower": "9^9^9^9",
    "factorials": "((100!)!)!",
    "binomial": r"\binom{10^{9}}{5\cdot 10^8}",
    "big float": "1e999999999",
    "cosine": r"\cos(10^{10^{10}})",
    "parentheses": "(" * 3000 + "1" + ")" * 3000,
    "unclosed boxes": "\\boxed{" * 100_000,
    "deep fractions": r"\frac{" * 2000 + "1" + "}" * 2000 + "{2}",
    "deep powers": "2^{" * 50 + "2" + "}" * 50,
    "roots": r"\sqrt{" * 40 + "2" + "}" * 40,
    "digits": "1" * 5000,
    "signs": "-" * 3000 + "1",
    "chain": "1=" * 1900 + "1",
    "plus minus": r"\pm" * 500 + "1",
    "matrices": r"\begin{pmatrix}" * 300,
    "nul bytes": "\x00" * 10_000,
    "lone surrogate": "\ud800",
    "commas": "," * 50_000,
    "exponentials": r"\exp(\exp(\exp(\exp(10))))",
    "integral": r"\int_0^1 x^{x^{x}} dx",
}


@pytest.fixture(scope="module")
def math() -> Iterator[MathVerifier]:
    verifier = MathVerifier(workers=1, deadline_s=DEADLINE_S, memory_mb=512)
    verifier.compare(r"\sqrt{2}", r"\sqrt{3}")
    yield verifier
    verifier.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_costs_one_verdict(math: MathVerifier, name: str) -> None:
    begun = time.monotonic()
    verdict = math.verify(Task(answer=r"\sqrt{2}+1"), HOSTILE[name])
    assert verdict.passed is not True
    assert time.monotonic() - begun < DEADLINE_S + 2.0


@pytest.mark.parametrize("name", ["tower", "factorials", "parentheses", "unclosed boxes", "matrices", "commas"])
def test_a_hostile_gold_costs_one_verdict(math: MathVerifier, name: str) -> None:
    begun = time.monotonic()
    assert math.verify(Task(answer=HOSTILE[name]), r"\boxed{\sqrt{2}}").passed is not True
    assert time.monotonic() - begun < DEADLINE_S + 2.0


def test_a_neighbour_keeps_its_verdict() -> None:
    verifier = MathVerifier(workers=2, deadline_s=DEADLINE_S)
    items = [(Task(answer=r"3\sqrt{7}"), r"\boxed{\sqrt{63}}"), (Task(answer="1"), "9^{9^{9^{9}}}")] * 2
    statuses = [verdict.status for verdict in verifier.verify_many(items)]
    verifier.close()
    assert statuses == ["correct", "timed_out"] * 2
