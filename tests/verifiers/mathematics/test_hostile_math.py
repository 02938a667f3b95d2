"""Answers and golds built to hang, crash or fill memory: one verdict each, in bounded time, never a pass."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from verifiers.mathematics import MathVerifier
from verifiers.mathematics.comparing.compare import same
from verifiers.mathematics.reading.forms import form_of
from verifiers.model import Task, Verdict

DEADLINE_S = 4.0
TYPED = {True: {"correct"}, False: {"wrong", "no_answer"}}
FAULTS = {"gold_unparsable", "timed_out", "over_memory", "worker_died", "not_checked"}
SLOW = r"\ln(9^{9^{9^{9}}})"
HONEST = (Task(answer=r"3\sqrt{7}"), r"\boxed{\sqrt{63}}")


def nested(seed: int, size: int) -> str:
    """LaTeX of about `size` characters, nested as deeply as it is long."""
    rng = random.Random(seed)
    opened = ""
    while len(opened) < size:
        opened += rng.choice([r"\frac{1}{", r"\sqrt{", r"\left(", "{", r"\text{", "2^{", r"\{", r"|", r"\sin("])
    return opened + "1" + "}" * opened.count("{")


HOSTILE = {
    "tower": "9^{9^{9^{9}}}",
    "plain tower": "9^9^9^9",
    "factorials": "((100!)!)!",
    "many factorials": "9!!!!!!!!",
    "binomial": r"\binom{10^{9}}{5\cdot 10^8}",
    "big float": "1e999999999",
    "small float": "1e-999999999",
    "cosine": r"\cos(10^{10^{10}})",
    "logarithm of a tower": r"\ln(9^{9^{9^{9}}})",
    "parentheses": "(" * 3000 + "1" + ")" * 3000,
    "more parentheses": "(" * 50_000 + "1" + ")" * 50_000,
    "unclosed boxes": "\\boxed{" * 100_000,
    "closed boxes": "\\boxed{" * 20_000 + "1" + "}" * 20_000,
    "nested LaTeX": nested(0, 100_000),
    "short nested LaTeX": nested(1, 3000),
    "deep fractions": r"\frac{" * 2000 + "1" + "}" * 2000 + "{2}",
    "deep powers": "2^{" * 50 + "2" + "}" * 50,
    "roots": r"\sqrt{" * 40 + "2" + "}" * 40,
    "digits": "1" * 5000,
    "fraction of digits": "1" * 1900 + "/" + "3" * 1900,
    "long repeating decimal": "0." + "12345" * 700 + "...",
    "thousands": "1" + ",000" * 900,
    "signs": "-" * 3000 + "1",
    "chain": "1=" * 1900 + "1",
    "inequalities": "1<" * 1900 + "x",
    "plus minus": r"\pm" * 500 + "1",
    "many plus minus": r",".join([r"\pm 1"] * 400),
    "unions": r"\cup".join(["(1,2)"] * 300),
    "unions of roots": r"\cup".join([rf"(\sqrt{{{n}}},\sqrt{{{n + 1}}})" for n in range(15)]),
    "bars": "|" * 2000 + "x" + "|" * 2000,
    "matrices": r"\begin{pmatrix}" * 300,
    "wide matrix": r"\begin{pmatrix}" + "&".join(["1"] * 900) + r"\end{pmatrix}",
    "power of a matrix": r"\begin{pmatrix}1&2\\3&4\end{pmatrix}^{10^{9}}",
    "cases": r"\begin{cases}" * 300 + "1" + r"\end{cases}" * 300,
    "quotes": '"' * 3000,
    "units": "5" + r"\text{ cm}^2" * 300,
    "words": "5 " + "apples " * 500,
    "degrees": r"1^\circ 2' 3''" * 250,
    "families": r"k\pi, k\in\mathbb{Z}" * 150,
    "nul bytes": "\x00" * 10_000,
    "marks of our own": "\x01\x02\x05\x06\x0e\x0f\x10\x11" * 300,
    "lone surrogate": "\ud800",
    "lone surrogate in a formula": "\\sqrt{2}+\ud800",
    "astral digits": "\U0001d7d9" * 3000,
    "commas": "," * 50_000,
    "exponentials": r"\exp(\exp(\exp(\exp(10))))",
    "integral": r"\int_0^1 x^{x^{x}} dx",
    "sum": r"\sum_{k=1}^{10^{12}} \frac{1}{k^k}",
    "product": r"\prod_{k=1}^{10^9} k",
    "product of powers": r"(x+1)^{10^9}(y+1)^{10^9}",
    "trigonometry": r"\sin(" * 60 + "x" + ")" * 60,
    "python": "__import__('os').system('true')",
    "format": "%s%n{0}{{}}" * 300,
}


@pytest.fixture(scope="module")
def math() -> Iterator[MathVerifier]:
    verifier = MathVerifier(workers=1, deadline_s=DEADLINE_S, memory_mb=512)
    verifier.verify(*HONEST)
    yield verifier
    verifier.close()


def judged(math: MathVerifier, gold: str, completion: str) -> Verdict:
    """Judges; test_deadlines shows that this ends."""
    verdict = math.verify(Task(answer=gold), completion)
    assert verdict.status in TYPED.get(verdict.passed, FAULTS)  # type: ignore[arg-type]
    assert verdict.reason or verdict.passed
    return verdict


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_costs_one_verdict(math: MathVerifier, name: str) -> None:
    assert judged(math, r"\sqrt{2}+1", HOSTILE[name]).passed is not True
    assert math.verify(*HONEST).status == "correct"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_gold_costs_one_verdict(math: MathVerifier, name: str) -> None:
    assert judged(math, HOSTILE[name], r"\boxed{\sqrt{2}+1}").passed is not True
    assert math.verify(*HONEST).status == "correct"


@pytest.mark.parametrize("name", ["tower", "plain tower", "factorials", "many factorials"])
def test_towers_are_told_from_common_numbers_without_algebra(name: str) -> None:
    tower = form_of(HOSTILE[name])
    assert same(tower, form_of(r"\sqrt{2}")) is False
    assert same(form_of(f"-{HOSTILE[name]}"), form_of("7")) is False


def test_a_neighbour_keeps_its_verdict() -> None:
    verifier = MathVerifier(workers=2, deadline_s=DEADLINE_S)
    items = [HONEST, (Task(answer="1"), SLOW), (Task(answer="2"), SLOW)] * 2
    statuses = [verdict.status for verdict in verifier.verify_many(items)]
    verifier.close()
    assert statuses == ["correct", "wrong", "wrong"] * 2


def test_faults_can_be_counted_and_give_no_reward() -> None:
    verifier = MathVerifier(workers=2, deadline_s=DEADLINE_S)
    items = [
        HONEST,
        (Task(answer=r"\sqrt{2^{2^{200}}}"), r"\boxed{e^{2^{200}}}"),
        (Task(answer="1/0"), "1"),
        (Task(answer="1"), "2"),
        (Task(answer="1"), ""),
    ]
    verdicts = verifier.verify_many(items)
    verifier.close()
    assert [verdict.status for verdict in verdicts] == ["correct", "wrong", "gold_unparsable", "wrong", "no_answer"]
    assert [verdict.reward for verdict in verdicts] == [1.0, 0.0, None, 0.0, 0.0]
