"""Each character is one byte, by what `re` takes it for; sets of them are written as RE2 reads them."""

from __future__ import annotations

import re

import pytest

from verifiers.patterns.alphabet import BLANKS, DIGITS, NAMED, WORDS, char_of, code_of, encoded, with_both_cases


@pytest.mark.parametrize("text", ["", "plain", "naïve ÿ", "数学 ٣ \u2003 😀", NAMED, "\ud800\x85"])
def test_a_text_has_as_many_bytes_as_characters(text: str) -> None:
    assert len(encoded(text)) == len(text)


@pytest.mark.parametrize(
    "char", ["a", "_", "7", " ", "\n", "é", "ß", "×", "数", "٣", "\u2003", "\u2028", "😀", "答", "’"]
)
def test_a_character_is_in_the_classes_of_re(char: str) -> None:
    [code] = encoded(char)
    for codes, name in ((WORDS, r"\w"), (DIGITS, r"\d"), (BLANKS, r"\s")):
        assert (code in codes) == bool(re.fullmatch(name, char)), (char, name)


def test_named_characters_have_bytes_of_their_own_and_others_none() -> None:
    assert all(char_of(code_of(char)) == char for char in NAMED + "aé~")
    assert len({code_of(char) for char in NAMED}) == len(NAMED)
    with pytest.raises(ValueError, match="no byte of its own"):
        code_of("Ж")


def test_cases_are_those_of_letters() -> None:
    assert with_both_cases(frozenset(map(ord, "aZ1é"))) == frozenset(map(ord, "aAzZ1éÉ"))
