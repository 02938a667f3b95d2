"""Answers that nobody can work out, made at random by class, against plain golds: each is wrong, and none is a way out
of a zero. What is deep or long is read or refused, and raises nothing."""

from __future__ import annotations

import operator
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks._undecided import CLASSES, cases
from verifiers.mathematics import MathVerifier
from verifiers.mathematics.comparing.bounds import span, surely_different
from verifiers.mathematics.comparing.compare import same
from verifiers.mathematics.comparing.intervals import apart
from verifiers.mathematics.comparing.residues import same_whole
from verifiers.mathematics.reading.forms import form_of
from verifiers.mathematics.worker import answer
from verifiers.model import Task


@pytest.fixture(scope="module")
def math() -> Iterator[MathVerifier]:
    # what is spent is processor time, and a busy machine gives little of it
    made = MathVerifier(workers=2, deadline_s=60.0, memory_mb=512)
    yield made
    made.close()


@pytest.mark.parametrize("name", CLASSES)
def test_an_answer_that_cannot_be_decided_is_wrong(math: MathVerifier, name: str) -> None:
    made = cases(name, 6 if name == "calculus" else 25)
    verdicts = math.verify_many([(Task(answer=gold), rf"So \boxed{{{text}}}") for gold, text in made])
    open_ones = [(*case, v.status, v.reason) for case, v in zip(made, verdicts, strict=True) if v.passed is not False]
    assert open_ones == []


@pytest.mark.parametrize("name", ["towers", "binomials", "nests", "chains", "sums", "symbols"])
def test_most_are_decided_by_bounds_and_structure_alone(name: str) -> None:
    made = cases(name, 60, seed=1)
    rules = {"do": "judge", "library": False, "box": False, "percent": False}
    replies = [answer({**rules, "gold": gold, "completion": rf"\boxed{{{text}}}"}) for gold, text in made]
    left = [case for case, reply in zip(made, replies, strict=True) if reply.get("equal", False) is None]
    assert len(left) <= len(made) // 10, left


@pytest.mark.parametrize(
    "text", ["2^{2^{100}}", "9^{9^{9^{9}}}", r"((100!)!)!", r"\binom{10^{9}}{5\cdot 10^8}", "(x+1)^{10^9}"]
)
def test_what_is_huge_is_equal_to_itself_and_to_no_other(math: MathVerifier, text: str) -> None:
    boxed = {text: True, f"{text}+1": None, text.replace("9", "8").replace("100", "101").replace("x+1", "x+2"): None}
    verdicts = [math.verify(Task(answer=text), rf"\boxed{{{one}}}").passed for one in boxed]
    assert verdicts[0] is True
    assert True not in verdicts[1:]


EQUAL_TOWERS = [
    ("2^{2^{100}}", "4^{2^{99}}"),
    ("2^{2^{100}}", r"2^{2^{99}}\cdot 2^{2^{99}}"),
    ("3^{10^{20}}+1", r"1+9^{5\cdot 10^{19}}"),
    (r"\binom{10^{9}}{3}", r"\binom{10^9}{10^9-3}"),
    ("(3000)!", r"3000\cdot 2999!"),
    ("7^{7^{7^{7}}}", r"7\cdot 7^{7^{7^{7}}+0-1+0}"),
]


@pytest.mark.parametrize(("first", "second"), EQUAL_TOWERS)
def test_residues_tell_towers_that_are_the_same(first: str, second: str) -> None:
    one, other = form_of(first).node, form_of(second).node
    assert one is not None
    assert other is not None
    told = same_whole(one, other)
    assert told is True or (told is None and ("0-1" in second or "-3" in second))
    assert same_whole(one, ("add", other, ("num", "1"))) in (False, None)


NUMERALS = st.integers(0, 40).map(lambda n: ("num", str(n)))
WHOLE = st.recursive(
    NUMERALS | st.tuples(st.just("pow"), NUMERALS, NUMERALS),
    lambda inner: st.tuples(st.sampled_from(["add", "mul"]), inner, inner),
    max_leaves=5,
)


def exact(node: tuple[str, ...]) -> int:
    if node[0] == "num":
        return int(node[1])
    left, right = exact(node[1]), exact(node[2])  # type: ignore[arg-type]
    return {"add": operator.add, "mul": operator.mul, "pow": operator.pow}[node[0]](left, right)


@settings(max_examples=150, deadline=None)
@given(WHOLE, WHOLE)
def test_residues_and_bounds_agree_with_exact_arithmetic(first: tuple[str, ...], second: tuple[str, ...]) -> None:
    values = exact(first), exact(second)
    assert same_whole(first, second) in (None, values[0] == values[1])
    if values[0] == values[1]:
        assert not surely_different(first, second)
        assert not apart(span(first, {}), span(second, {}))
    low, high = span(first, {})
    if abs(values[0]) < 10**250:
        assert low <= (0, float(values[0])) <= high


@pytest.mark.parametrize("count", [60, 500, 700])
def test_long_sums_and_products_are_read_like_short_ones(count: int) -> None:
    letters = "abcdkmnxy"
    for sign in "+", "*":
        names = [letters[n % 9] for n in range(count)]
        assert same(form_of(sign.join(names)), form_of(sign.join(reversed(names)))) is True
    assert form_of("+".join(["1"] * count)).number == count
    assert form_of("-".join(["1"] * count)).number == 2 - count
    assert same(form_of("+".join(["x"] * count)), form_of("+".join(["x"] * (count - 1)))) is False


@pytest.mark.parametrize("name", ["nests", "chains", "sums", "symbols"])
@pytest.mark.parametrize("seed", range(3))
def test_depth_and_length_raise_nothing(name: str, seed: int) -> None:
    for gold, text in cases(name, 20, seed):
        form, other = form_of(text), form_of(gold)
        assert same(form, other) in (None, False)
        assert same(form, form_of(text)) is not None


@pytest.mark.parametrize("part", ["{", "(", "-", "2^", "!", "%", r"\frac{1}{", "[", "|", r"\sqrt"])
def test_ten_thousand_of_anything_are_one_verdict(math: MathVerifier, part: str) -> None:
    for gold, completion in (
        ("5", f"5{part * 10_000}"),
        ("5", part * 10_000 + "5"),
        ("5", rf"\boxed{{{part * 10_000}5}}"),
    ):
        assert math.verify(Task(answer=gold), completion).status in {"wrong", "no_answer", "correct"}
    assert math.verify(Task(answer=part * 10_000 + "5"), r"\boxed{5}").reason is not None
    assert math.canonical(part * 10_000)
