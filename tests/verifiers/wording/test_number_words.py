"""Numbers in words are read by their grammar, or not at all."""

from __future__ import annotations

from fractions import Fraction

import pytest

from verifiers.wording.number_words import number_in_words, says_otherwise, without_repetition


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("zero", 0),
        ("nineteen", 19),
        ("Twenty-One", 21),
        ("one hundred and five", 105),
        ("nine hundred ninety nine", 999),
        ("two thousand and three", 2003),
        ("one million two hundred thousand", 1_200_000),
        ("minus forty two", -42),
        ("three quarters", Fraction(3, 4)),
        ("a half", Fraction(1, 2)),
        ("minus one third", Fraction(-1, 3)),
    ],
)
def test_a_number_is_what_it_says(text: str, value: object) -> None:
    assert number_in_words(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "seven dwarfs", "twenty eleven", "hundred", "one hundred zero", "thousand five", "two third"),
        *("one halves", "five thousand two million", "forty-", "7", "one " * 100, "zero thousand"),
    ],
)
def test_whatever_else_is_none(text: str) -> None:
    assert number_in_words(text) is None


def test_words_in_brackets_may_repeat_the_number_and_no_other() -> None:
    assert without_repetition("15 (fifteen) apples").split() == ["15", "apples"]
    assert without_repetition(r"1,000 \text{(one thousand)}").startswith("1,000")
    assert without_repetition("15 (sixteen) apples") == "15 (sixteen) apples"
    assert without_repetition("15 (large) apples") == "15 (large) apples"
    assert says_otherwise("15 (sixteen)")
    assert not says_otherwise("15 (fifteen) or 16 (sixteen)")
