"""An answer is found in a text, with what belongs to it, and nothing that a sentence takes back."""

from __future__ import annotations

import pytest

from verifiers.wording.answer_in_text import announced, goes_on_plainly, is_prose, last_cue, last_value, stands_plainly
from verifiers.wording.cues import searchable, with_usual_digits
from verifiers.wording.vocabulary import changes, denies, leads_up, names_things


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("We add them. The answer is 42.", "42"),
        ("The answer is 3. No, wait: the final answer is: 7 apples", "7"),
        ("Die Antwort ist 12.", "12"),
        ("答案是 5。", "5"),
        ("The answer is x + 1", "x + 1"),
        ("Nothing is said here.", None),
        ("The answer is 15 (sixteen).", None),
        ("The answer is 5. No, wait, that's wrong.", ""),
        ("The answer is 5.\nActually, this is not correct", ""),
        ("The answer is 5. No other value works, and that is wrong for 6.", "5"),
    ],
)
def test_what_is_announced(text: str, answer: str | None) -> None:
    assert announced(text) == answer


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("so that x is 3 and 5", "3 , 5"),
        ("we get $\\frac{1}{2}$", "\\frac{1}{2}"),
        ("the point is (1, 2)", "(1, 2)"),
        ("it is 20 %", "20 %"),
        ("it is not 7", None),
        ("at least 7", None),
        ("no value stands here", None),
    ],
)
def test_the_last_value_of_a_text(text: str, value: str | None) -> None:
    assert last_value(text) == value


def test_the_last_announcement_counts_in_whichever_language() -> None:
    found = last_cue("The answer is 3. Ответ: 4")
    assert found is not None
    assert found.end() > 20
    assert last_cue("3 + 4") is None


def test_words_beside_a_value_leave_it_or_change_it() -> None:
    assert stands_plainly("so the sum is ")
    assert not stands_plainly("it is not ")
    assert goes_on_plainly(" apples, because they were sold")
    assert not goes_on_plainly(" or more")
    assert is_prose("so it is 5")
    assert not is_prose("x = 5")


def test_words_by_what_they_do() -> None:
    assert names_things("apples")
    assert not names_things("times larger")
    assert not any(names_things(word) for word in ("sevens", "thirties", "twelfths", "quadrillions", "trios"))
    assert leads_up("The answer is")
    assert not leads_up("at most")
    assert changes("doubled") or changes("half")
    assert denies("it isn't")
    assert not denies("it is")


def test_digits_of_other_scripts_are_written_as_usual_and_never_mixed() -> None:
    assert with_usual_digits("٤٢") == "42"
    assert with_usual_digits("１２٪") == "12%"
    assert "\ufffd" in with_usual_digits("4٢")
    assert searchable("a\ud800b") == "a?b"
