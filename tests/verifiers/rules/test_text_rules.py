"""Multiple choice, exact match, patterns and format: what their labelled cases don't say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.conformance.contract import faults_of
from verifiers.model import Task
from verifiers.rules.text import ChoiceVerifier, ExactVerifier, FormatVerifier, RegexVerifier, Rule
from verifiers.wording import cues


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        ("C", True),
        ("c", True),
        ("(C)", True),
        (r"\text{(C)}", True),
        ("C. 29", True),
        ("(C) none of these", True),
        (r"$\boxed{C}$", True),
        ("B", False),
        ("29", None),
        ("Cat", None),
        ("C or D", None),
        ("K", None),
        ("", None),
        ("C" * 20_000, None),
    ],
)
def test_how_an_option_may_be_written_in_the_task(answer: str, passes: bool | None) -> None:
    assert ChoiceVerifier().verify(Task(answer=answer), "The answer is C.").passed is passes


@given(st.sampled_from("ABCDEFGHIJ"), st.sampled_from("ABCDEFGHIJ"))
def test_a_letter_is_right_only_for_itself(gold: str, chosen: str) -> None:
    for said in (f"The answer is {chosen}.", f"\\boxed{{({chosen})}}", f"({chosen})"):
        assert ChoiceVerifier().verify(Task(answer=gold), said).passed is (gold == chosen)


@given(st.text(), st.text())
def test_exact_is_equality_up_to_blanks(gold: str, text: str) -> None:
    verdict = ExactVerifier().verify(Task(answer=gold), f" {gold}\t\n")
    special = any(mark in gold for mark in ("<", "\\", "|"))
    assert special or (verdict.passed is True if gold.strip() else verdict.passed is None)
    other = ExactVerifier().verify(Task(answer=gold), text)
    assert special or not other.passed or text.split() == gold.split() or not text.isascii()


def test_very_many_marks_on_a_letter_are_not_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million would keep all threads waiting for minutes, whatever the deadline."""
    exact = ExactVerifier()
    assert exact.verify(Task(answer="é"), "e\u0301").passed
    many = "e" + "\u0301\u0316" * 600
    monkeypatch.setattr(cues, "normalize", lambda *_: pytest.fail("sorted"))
    assert exact.verify(Task(answer=many), many).passed
    assert exact.verify(Task(answer=many), many[:-1]).passed is False


def test_case_counts_unless_said_otherwise() -> None:
    task = Task(answer="Straße")
    assert ExactVerifier().verify(task, "STRASSE").passed is False
    assert ExactVerifier(ignore_case=True).verify(task, "STRASSE").passed is True


@pytest.mark.parametrize("pattern", [r"(q+)+w", r"(?:q{1,30}){1,30}w"])
def test_an_exponential_pattern_ends(pattern: str) -> None:
    """Python's `re` takes years on some of these."""
    verdict = RegexVerifier(pattern=pattern).verify(Task(), f"\\boxed{{{'q' * 5000}}}")
    assert verdict.passed in (False, None)
    assert verdict.seconds < 20


def test_a_pattern_of_the_task_is_one_of_untrusted_data() -> None:
    for hostile in ("(" * 5000, "[", "x{99999999999999999999}", "\ud800("):
        verdict = RegexVerifier().verify(Task(answer=hostile), r"\boxed{x}")
        assert (verdict.passed, verdict.status) == (None, "gold_unparsable"), hostile
    assert RegexVerifier().judges == "answer"
    assert RegexVerifier(pattern="x").judges == "form"


def test_a_long_answer_is_no_match_cut_short() -> None:
    verdict = RegexVerifier(pattern="[0-9]*").verify(Task(), f"\\boxed{{{'7' * 10_001}}}")
    assert verdict.passed is False


@pytest.mark.parametrize(
    ("settings", "completion", "passes"),
    [
        ({}, r"<think>a</think>\boxed{ }", False),
        ({"thinking": False}, r"\boxed{1}", True),
        ({"box": False}, "<think>a</think>b", True),
        ({"box": False}, "<think>a</think> ", False),
        ({"box": False, "code": "python"}, "<think>a</think>\n```python\nprint(1)\n```", True),
        ({"box": False, "code": "python"}, "<think>a</think>\n```python\nprint(1)", False),
        ({"box": False, "code": "python"}, "<think>a</think>\n```cpp\nint x;\n```", False),
        ({"box": False, "code": "cpp"}, "<think>a</think>\n```cpp\nint x;\n```", True),
    ],
)
def test_the_form_that_is_asked_for(settings: dict[str, bool | str], completion: str, passes: bool) -> None:
    assert FormatVerifier(**settings).verify(Task(), completion).passed is passes  # type: ignore[arg-type]


@given(st.sampled_from([ChoiceVerifier(), ExactVerifier(), RegexVerifier(), FormatVerifier()]), st.text(), st.text())
def test_any_text_gives_a_whole_verdict(rule: Rule, gold: str, completion: str) -> None:
    assert faults_of(rule.verify(Task(answer=gold), completion)) == []
