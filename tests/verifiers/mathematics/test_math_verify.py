"""The library math-verify as a verifier of its own, and as the last resort of ours: bounded, and never against ours."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.verifiers.mathematics.math_groups import GROUPS
from tests.verifiers.mathematics.test_hostile_math import HOSTILE
from verifiers.mathematics import MathVerifier, MathVerifyVerifier
from verifiers.mathematics.comparing import second_reading, symbolic
from verifiers.mathematics.comparing.compare import same
from verifiers.mathematics.comparing.second_reading import MOST_CHARS, readings_agree
from verifiers.mathematics.reading.forms import form_of
from verifiers.model import Task, Verdict

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 6.0
HONEST = (Task(answer=r"3\sqrt{7}"), r"\boxed{\sqrt{63}}")


@pytest.fixture(scope="module")
def library() -> Iterator[MathVerifyVerifier]:
    verifier = MathVerifyVerifier(workers=1, deadline_s=DEADLINE_S, memory_mb=512)
    verifier.verify(*HONEST)
    with pytest.MonkeyPatch.context() as patch:
        # half a second of work, for which a busy machine has twelve times as long
        patch.setattr("verifiers.mathematics.comparer._COMPARING", 0.5 / DEADLINE_S)
        yield verifier
    verifier.close()


@pytest.fixture(scope="module")
def math() -> Iterator[MathVerifier]:
    verifier = MathVerifier(workers=1, deadline_s=20.0)
    yield verifier
    verifier.close()


@pytest.mark.parametrize(
    ("gold", "completion", "status"),
    [
        (r"\frac{1}{2}", r"so \boxed{0.5}", "correct"),
        ("0.333333", r"\boxed{1/3}", "correct"),
        ("(0,1)", r"\boxed{0 < x < 1}", "wrong"),
        (r"\{1,2\}", r"\boxed{\{2,1\}}", "correct"),
        (r"\text{Evelyn}", r"\boxed{\text{Evelyn}}", "correct"),
        ("7", r"<think>\boxed{7}", "no_answer"),
        ("7", r"\boxed{}", "no_answer"),
        ("", r"\boxed{7}", "gold_unparsable"),
        (r"\frac{1}{", r"\boxed{7}", "gold_unparsable"),
        ("7", r"\boxed{\frac{1}}", "wrong"),
        ("5", "The answer is 7} and {5", "wrong"),
        ("7", r"\boxed{" + "1+" * MOST_CHARS + "1}", "wrong"),
    ],
)
def test_verdicts_of_the_library(library: MathVerifyVerifier, gold: str, completion: str, status: str) -> None:
    verdict = library.verify(Task(answer=gold), completion)
    assert verdict.status == status, verdict
    assert verdict.passed is {"correct": True, "gold_unparsable": None}.get(status, False)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_costs_one_verdict_and_no_alarm(library: MathVerifyVerifier, name: str) -> None:
    """Off the main thread, where the library's own limit does not work."""
    found: list[Verdict] = []

    def ask() -> None:
        found.append(library.verify(Task(answer=r"\sqrt{2}+1"), rf"\boxed{{{HOSTILE[name]}}}"))
        found.append(library.verify(Task(answer=HOSTILE[name]), r"\boxed{\sqrt{2}+1}"))

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join(120)
    assert len(found) == 2
    assert all(verdict.passed is not True for verdict in found)
    assert all(verdict.reward is None or verdict.reward == 0.0 for verdict in found)
    assert library.verify(*HONEST).status == "correct"


def test_a_neighbour_keeps_its_verdict() -> None:
    verifier = MathVerifyVerifier(workers=2, deadline_s=DEADLINE_S)
    slow = (Task(answer="1"), r"\boxed{\ln(9^{9^{9^{9}}})}")
    statuses = [verdict.status for verdict in verifier.verify_many([HONEST, slow, HONEST, slow])]
    verifier.close()
    assert statuses == ["correct", "wrong", "correct", "wrong"]


def test_the_library_never_enters_the_process_of_the_caller() -> None:
    code = (
        "import sys\nfrom verifiers.mathematics import MathVerifier, MathVerifyVerifier\n"
        "from verifiers.model import Task\n"
        "for make in (MathVerifyVerifier, MathVerifier):\n"
        "    one = make(workers=1)\n"
        r"    print(one.verify(Task(answer='2xy'), r'\boxed{\frac{\partial}{\partial x}(x^2y)}').status)"
        "\n    one.close()\nprint([name for name in ('math_verify', 'sympy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines() == ["correct", "correct", "[]"]


def test_fingerprints_tell_of_what_verdicts_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fingerprints() -> set[str]:
        made = (
            MathVerifyVerifier(),
            MathVerifyVerifier(require_box=True),
            MathVerifyVerifier(memory_mb=9),
            MathVerifier(),
        )
        return {one.fingerprint for one in made}

    before = fingerprints()
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "99")
    assert len(before | fingerprints()) == 8


LAST_RESORT = [
    (r"\frac{\partial}{\partial x}(x^2y)", "2xy"),
    (r"\operatorname{tr}\begin{pmatrix}1&2\\3&4\end{pmatrix}", "5"),
    (r"\operatorname{arcsinh}(1)", r"\ln(1+\sqrt{2})"),
]
"""Pairs whose first answer our grammar does not read."""


@pytest.mark.parametrize(("unread", "value"), LAST_RESORT)
def test_what_our_grammar_does_not_read_is_put_to_the_library(math: MathVerifier, unread: str, value: str) -> None:
    assert math.compare(unread, value).equal is True
    assert math.compare(value, unread).equal is True
    assert math.compare(unread, f"{value}+1").equal is False
    assert math.verify(Task(answer=value), rf"\boxed{{{unread}}}").status == "correct"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("y''+y=0", "2y=0"),
        (r"2f'(x)\partial", r"2f(x)\partial"),
        (r"\iint_D 1", "1"),
        (r"\operatorname{tr}(A)", r"\operatorname{tr}(a)"),
        (r"\nabla f", r"f \nabla"),
        (r"x \equiv 5 \pmod{7}", "5"),
        (r"\operatorname{arcsinh}(2^{-98})", r"\operatorname{arcsinh}(2^{-99})"),
        (r"\operatorname{Re}(3+4i)", "3"),
        (r"\frac{1}{2}\oplus", r"\frac{1}{2}"),
        (r"\underbrace{1\ldots1}_{n}", r"\underbrace{1\ldots1}_{m}"),
        (r"1\} \boxed{5", "5"),
    ],
)
def test_what_the_library_loses_in_silence_makes_no_answers_equal(math: MathVerifier, first: str, second: str) -> None:
    assert math.compare(first, second).equal is False
    assert math.compare(second, first).equal is False


def test_two_readings_that_differ_are_two_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    question = {"first": LAST_RESORT[0][0], "second": LAST_RESORT[0][1]}
    assert symbolic.answer(question) == {"equal": True}
    asked: list[bool] = []

    def of_one_order(gold: object, target: object) -> bool:
        asked.append(True)
        return len(asked) == 1

    monkeypatch.setattr(second_reading, "_verified", of_one_order)
    assert symbolic.answer(question) == {"equal": False, "faults": ["", ""]}
    assert len(asked) == 2


def test_the_library_is_never_asked_about_what_ours_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(first: str, second: str) -> bool:
        raise AssertionError(f"{first!r} and {second!r} were put to the library")

    monkeypatch.setattr(second_reading, "readings_agree", asked)
    for name, groups in GROUPS.items():
        for group, other in pairwise(groups):
            for first, second in ((group[0], group[-1]), (group[0], other[0])):
                decided = symbolic.answer({"first": first, "second": second})
                assert decided["equal"] is not None, (name, first, second)


def test_long_text_is_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert readings_agree(r"\partial" + " " * MOST_CHARS, "1") is None
    assert second_reading.answer({"first": "1" * (MOST_CHARS + 1), "second": "1"})["equal"] is False


@pytest.mark.parametrize("text", [r"1,3,\ldots,n", r"x \equiv 5 \pmod{7}", "f'(x)+1", r"\text{no such thing}"])
def test_what_the_library_would_lose_needs_no_algebra(math: MathVerifier, text: str) -> None:
    assert same(form_of(text), form_of("1,3,5,n")) is False
    assert math.verify(Task(answer=text), r"\boxed{1,3,5,n}").status == "wrong"
    assert math.verify(Task(answer=text), rf"\boxed{{{text}}}").status == "correct"
