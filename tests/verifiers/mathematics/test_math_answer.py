"""The math verifier: equivalent forms score, near misses and hedges don't, and the order decides nothing."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers.mathematics import MathVerifier
from verifiers.mathematics.comparing import symbolic
from verifiers.mathematics.comparing.compare import same
from verifiers.mathematics.reading.forms import form_of
from verifiers.model import Task
from verifiers.pool.pool import WorkerOutcome

SAME = [
    (r"\boxed{\frac12}", "0.5"),
    (r"\boxed{1\ 1/2}", "3/2"),
    (r"\boxed{137\frac{1}{2}}", r"137 \frac{1}{2}"),
    (r"\boxed{2\sqrt{3}}", r"\sqrt{12}"),
    (r"\boxed{sqrt(51)}", r"\sqrt{51}"),
    (r"\boxed{\{1,2\}}", r"\{2,1\}"),
    (r"\boxed{0\le x<1}", "[0,1)"),
    (r"\boxed{x \in [0,1)}", r"0 \leq x < 1"),
    (r"\boxed{(3,pi/2)}", r"\left(3,\frac{\pi}{2}\right)"),
    (r"\boxed{12pi}", r"12\pi"),
    (r"\boxed{+7}", "7"),
    (r"\boxed{13/4.}", "13/4"),
    (r"\boxed{\$18.90}", "18.9"),
    (r"\boxed{5\text{ cm}^2}", "5"),
    (r"\boxed{45^\circ}", "45"),
    (r"\boxed{1{,}234}", "1234"),
    (r"\boxed{32348}", r"\$32,\!348"),
    (r"\boxed{Evelyn}", r"\text{Evelyn}"),
    (r"\boxed{B}", r"\text{(B)}"),
    (r"\boxed{x = 3}", "3"),
    (r"\boxed{50\%}", r"\frac{1}{2}"),
    (r"\boxed{28 percent}", r"28\%"),
    (r"\boxed{(r+5)^2}", "(r+5)(r+5)"),
    (r"\boxed{\sec^2(y)}", r"\tan^2(y)+1"),
    (r"\boxed{\sin 30^\circ}", r"\frac{1}{2}"),
    (r"\boxed{-34x-45y+20z-100=0}", "34x+45y-20z+100=0"),
    (r"\boxed{-x > -1}", "x < 1"),
    (r"\boxed{1\pm\sqrt2}", r"1+\sqrt2, 1-\sqrt2"),
    (
        r"\boxed{\begin{pmatrix} 16/49 \\ 3 \end{pmatrix}}",
        r"\begin{bmatrix} \frac{16}{49} \\ 3 \end{bmatrix}",
    ),
    (r"\boxed{0.\overline{3}}", "1/3"),
    (r"\boxed{2^{10}}", "1024"),
    (r"\boxed{2006!}", r"2006 \cdot 2005!"),
    (r"\boxed{e^{i\pi} = -1}", "-1"),
    (r"\boxed{\sum_{k=1}^{10} k}", "55"),
    (r"\boxed{No Solution}", "no solution"),
    (r"\boxed{41 = 42}", "41 = 42"),
    (r"\boxed{7:32}", "S_{ABC}:S=7:32"),
    ("The final answer is $\\frac{3}{4}$.", "0.75"),
    (r"\boxed{(C) 12}", r"\text{(C)}"),
    (r"\boxed{B. 12}", "B"),
    (r"\boxed{\text{The answer is } 42}", "42"),
    (r"\boxed{m+n = 113}", "113"),
    (r"\boxed{\frac{1}{2}} or \boxed{0.5}", "1/2"),
    ("The solutions are $x=5$ and $x=-3$.", "5, -3"),
    (r"\boxed{\log 100}", "2"),
    (r"\boxed{3 million}", "3000000"),
    (r"\boxed{0x + 3y}", "3y + 0x"),
    (r"\boxed{0 \text{ cm}}", "0"),
    (r"\boxed{3 + 0i}", "3"),
    (r"\boxed{0\pi}", "0"),
    (r"\boxed{0.50x}", "x/2"),
]

DIFFERENT = [
    (r"\boxed{1000050}", "1000000"),
    (r"\boxed{50}", "0.5"),
    (r"\boxed{50}", r"50\%"),
    (r"\boxed{41 = 42}", "42"),
    (r"\boxed{41} or \boxed{42}", "42"),
    (r"\boxed{41}\boxed{42}", "42"),
    (r"\boxed{41} (or maybe \boxed{42})", "42"),
    ("The answer is either 41 or 42.", "42"),
    (r"\boxed{41 or 42}", "42"),
    (r"\boxed{2 \text{ or } 3}", "3"),
    (r"\boxed{\{41,42\}}", "42"),
    (r"\boxed{(41,42)}", "42"),
    (r"\boxed{\pm 42}", "42"),
    (r"\boxed{42 \approx 43}", "43"),
    (r"\boxed{32, 349}", "32349"),
    (r"\boxed{1371/2}", r"137 \frac{1}{2}"),
    (r"\boxed{\frac{1}{2006!}}", r"\frac{1}{2004!}"),
    (r"\boxed{2^{-98}}", "2^{-99}"),
    (r"\boxed{0.0000002}", "0.0000001"),
    (r"\boxed{10^{-30}}", "0"),
    (r"\boxed{e^{\pi\sqrt{163}}}", "262537412640768744"),
    (r"\boxed{1, 3, 5, \ldots, 2n-1}", r"1, 2, \ldots, n"),
    (r"\boxed{[1,2)}", "(1,2]"),
    (r"\boxed{(2,1)}", "(1,2)"),
    (r"\boxed{x=3}", "y=3"),
    (r"\boxed{x>5}", "x<5"),
    (r"\boxed{\sqrt{x^2}}", "x"),
    (r"\boxed{52}", "52_8"),
    (r"\boxed{1}", r"1\sqrt{19}"),
    (r"\boxed{0}", "a^2+b=0"),
    (r"\boxed{3.14}", r"\pi"),
    (r"\boxed{\infty-\infty}", "0"),
    (r"\boxed{A or B}", "B"),
    (r"\boxed{3a}", "3"),
    (r"\boxed{42\text{ or so}}", "42"),
    (r"\boxed{42\text{ or maybe not}}", "42"),
    (r"\boxed{x = 41 = 42}", "42"),
    (r"\boxed{5}</think> so", "5"),
    (r"\boxed{0 not}", "0"),
    (r"\boxed{0 or so}", "0"),
    (r"\boxed{3 + 0abc}", "3"),
    (r"\boxed{0.0 x}", "0"),
    (r"\boxed{0.5 \text{ or } 1}", "1"),
    (r"\boxed{7.5} or \boxed{8}", "7.5"),
    ("The answer is 0.5 or 1", "0.5"),
    (r"$\text{not }\boxed{7}$", "7"),
]


@pytest.fixture(scope="module")
def math() -> Iterator[MathVerifier]:
    verifier = MathVerifier(workers=1)
    yield verifier
    verifier.close()


@pytest.mark.parametrize(("completion", "gold"), SAME)
def test_equivalent_forms_score(math: MathVerifier, completion: str, gold: str) -> None:
    verdict = math.verify(Task(answer=gold), completion)
    assert (verdict.passed, verdict.status, verdict.reward) == (True, "correct", 1.0)


@pytest.mark.parametrize(("completion", "gold"), DIFFERENT)
def test_near_misses_and_hedges_do_not(math: MathVerifier, completion: str, gold: str) -> None:
    assert math.verify(Task(answer=gold), completion).passed is False


UNREADABLE = {
    "missing": None,
    "empty": "",
    "blank": "   ",
    "marks only": "$.,$",
    "without a value": "0/0",
    "divided by zero": r"\frac{3}{0}",
    "divided by nothing left": r"\frac{1}{1-1}",
    "boxes without an end": "\\boxed{" * 500,
    "calculus that no parser reads": r"\int garbage \sum_",
    "a matrix plus a number": r"\begin{pmatrix}1\\2\end{pmatrix}+1",
    "nested too deeply": "2^{" * 300 + "2" + "}" * 300,
    "too many parts": "[" + "(1,2)," * 300 + "3]",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_gold_is_no_ones_fault(math: MathVerifier, name: str) -> None:
    for answer in ("7", r"\sqrt{2}"):
        verdict = math.verify(Task(answer=UNREADABLE[name]), rf"\boxed{{{answer}}}")
        assert (verdict.passed, verdict.reward, verdict.status) == (None, None, "gold_unparsable")
        assert verdict.reason


def test_what_equals_an_unreadable_gold_as_text_is_right(math: MathVerifier) -> None:
    for name in ("calculus that no parser reads", "nested too deeply", "too many parts"):
        gold = UNREADABLE[name]
        assert math.verify(Task(answer=gold), rf"\boxed{{{gold}}}").status == "correct"


@pytest.mark.parametrize("answer", [r"\int garbage \sum_", r"\begin{pmatrix}1\\2\end{pmatrix}+1", "0/0", "((((((("])
def test_an_unreadable_answer_is_wrong(math: MathVerifier, answer: str) -> None:
    assert math.verify(Task(answer="2"), rf"\boxed{{{answer}}}").status == "wrong"


@pytest.mark.parametrize("completion", ["", "<think>\\boxed{1}", "I don't know", "\\boxed{}"])
def test_no_answer_is_not_wrong_but_scores_nothing(math: MathVerifier, completion: str) -> None:
    verdict = math.verify(Task(answer="1"), completion)
    assert (verdict.passed, verdict.reward, verdict.status) == (False, 0.0, "no_answer")


def test_percent_is_a_number_only_when_asked() -> None:
    loose = MathVerifier(percent_is_number=True)
    assert loose.verify(Task(answer=r"50\%"), r"\boxed{50}").passed is True
    assert loose.fingerprint != MathVerifier().fingerprint


def test_a_box_can_be_required() -> None:
    strict = MathVerifier(require_box=True)
    assert strict.verify(Task(answer="5"), "The answer is 5").status == "no_answer"
    assert strict.verify(Task(answer="5"), r"\boxed{5}").passed is True


def test_comparison_is_symmetric_on_every_case(math: MathVerifier) -> None:
    for completion, gold in [*SAME, *DIFFERENT]:
        answer = math.extract(completion)
        if answer is not None:
            fresh = [same(form_of(a), form_of(b)) for a, b in ((answer, gold), (gold, answer))]
            assert fresh[0] == fresh[1]
            assert math.equal(answer, gold) == math.equal(gold, answer)


def test_the_quick_rules_give_the_verdict_of_the_worker(math: MathVerifier) -> None:
    for completion, gold in [*SAME, *DIFFERENT]:
        answer = math.extract(completion)
        if answer is None:
            continue
        quick = same(form_of(answer), form_of(gold))
        if quick is not None:
            assert symbolic.answer({"first": answer, "second": gold})["equal"] is quick


def test_many_threads_share_one_verifier(math: MathVerifier) -> None:
    items = [(Task(answer=str(n)), rf"\boxed{{\sqrt{{{n * n}}}}}") for n in range(1, 40)]
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda item: math.verify(*item).passed, items))
    assert [verdict.passed for verdict in math.verify_many(items)] == [True] * len(items)


@settings(max_examples=150, deadline=None)
@given(st.integers(-(10**30), 10**30), st.integers(1, 10**9))
def test_fractions_are_exact(top: int, bottom: int) -> None:
    assert same(form_of(f"{top}/{bottom}"), form_of(rf"\frac{{{top}}}{{{bottom}}}")) is True
    assert same(form_of(f"{top}/{bottom}"), form_of(rf"\frac{{{top + 1}}}{{{bottom}}}")) is False


ALPHABET = [
    *"0123456789+-*/^=,.()[]{}|xyz ",
    r"\frac",
    r"\sqrt",
    r"\pi",
    r"\cup",
    r"\in",
    r"\{",
    r"\}",
    r"\text{or}",
    "<",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(ALPHABET), max_size=30).map("".join), st.text(max_size=30))
def test_forms_never_raise_and_compare_symmetrically(first: str, second: str) -> None:
    forms = form_of(first), form_of(second)
    assert same(*forms) == same(*reversed(forms))


def test_coroutines_share_one_verifier(math: MathVerifier) -> None:
    async def judged(n: int) -> bool | None:
        task = Task(answer=rf"\sqrt{{{n}}}+1")
        return (await asyncio.to_thread(math.verify, task, rf"\boxed{{1+{n}^{{1/2}}}}")).passed

    async def all_of_them() -> list[bool | None]:
        return await asyncio.gather(*(judged(n) for n in range(2, 20)))

    assert asyncio.run(all_of_them()) == [True] * 18


def test_a_batch_asks_once_about_what_comes_twice() -> None:
    verifier = MathVerifier(workers=2, cache_size=1)
    asked = []

    def counted(ask: Any, questions: Sequence[Any], bounds: Any) -> list[WorkerOutcome]:
        asked.extend(questions)
        return list(ask(questions, bounds))

    for pool in (verifier._comparer._readers, verifier._comparer._algebra):
        pool.spread = functools.partial(counted, pool.spread)  # type: ignore[method-assign]
    items = [(Task(answer=r"\sqrt{8}"), r"\boxed{2\sqrt2}")] * 50 + [(Task(answer="1"), r"\boxed{1}")] * 50
    assert all(verdict.passed for verdict in verifier.verify_many(items))
    verifier.close()
    assert sorted(question["do"] for question in asked) == ["compare", "judge", "judge"]


def test_importing_the_verifiers_loads_no_heavy_library() -> None:
    code = (
        "import sys, verifiers.mathematics.verifier, verifiers.programs.verifier, verifiers.registry, verifiers.jsonl\n"
        "print([name for name in ('sympy', 'torch', 'math_verify', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
