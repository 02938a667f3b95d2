"""Numbers in words, as in "one hundred and twenty-one" or "three quarters", read by their grammar or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from verifiers.patterns import linear

_SMALL_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_SMALL = {word: value for value, word in enumerate(_SMALL_WORDS.split())}
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * value for value, word in enumerate(_TENS_WORDS.split(), start=2)}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4}
_PART_WORDS = "third fourth fifth sixth seventh eighth ninth tenth"
_PARTS |= {word + end: value for value, word in enumerate(_PART_WORDS.split(), start=3) for end in ("", "s")}
_LETTERS = linear.compile(r"[A-Za-z]+(?:(?:\s{1,3}|-)[A-Za-z]+)*")
_WORD = linear.compile(r"[a-z]+")
_LONGEST = 160
_GAP = r"(?:\s|\\[,;:! ]|~|\\text\s?\{){0,4}"
_TWICE = linear.compile(
    rf"(\d[\d,]*(?:\.\d+)?)({_GAP}\(\s?(?:\\text\s?\{{)?\s?)([A-Za-z]+(?:[ -][A-Za-z]+){{0,12}})(\s?\}}?\s?\))"
)
"""A number in figures, and words in brackets after it."""


def without_repetition(text: str) -> str:
    """Returns the text without words in brackets that say the number before them once more, as in 15 (fifteen)."""
    return _TWICE.sub(_once, text)


def says_otherwise(text: str) -> bool:
    """Tells whether a text holds a number with another one in words after it: 15 (sixteen)."""
    return any(number_in_words(found.group(3)) is not None for found in _TWICE.finditer(without_repetition(text)))


def _once(match: linear.Match) -> str:
    value = number_in_words(match.group(3))
    if value is None or value != Fraction(match.group(1).replace(",", "")):
        return match.group()
    opened, closed = match.group(2).count("{"), match.group(4).count("}")
    return match.group(1) + (r"\text{" if opened > closed else " ")


def number_in_words(text: str) -> Fraction | None:
    """Returns the number that a text of nothing but number words says; None for any other text."""
    text = text.strip()
    if len(text) > _LONGEST or not _LETTERS.fullmatch(text):
        return None
    words = _WORD.findall(text.lower())
    if words[0] in {"minus", "negative"}:
        value = _unsigned(words[1:])
        return None if value is None else -value
    return _unsigned(words)


def _unsigned(words: Sequence[str]) -> Fraction | None:
    plain = _plain(words)
    if plain is not None or "and" not in words[1:-1]:
        return plain
    at = len(words) - 1 - list(reversed(words)).index("and")
    whole, part = _whole(words[:at]), _plain(words[at + 1 :])
    return None if whole is None or part is None or not 0 < part < 1 else whole + part


def _plain(words: Sequence[str]) -> Fraction | None:
    if len(words) > 1 and words[-1] in _PARTS:
        top = 1 if words[:-1] in (["a"], ["one"]) else _whole(words[:-1])
        plural = words[-1].endswith("s")
        return Fraction(top, _PARTS[words[-1]]) if top is not None and plural == (top != 1) else None
    whole = _whole(words)
    return None if whole is None else Fraction(whole)


def _whole(words: Sequence[str]) -> int | None:
    """Adds up the groups before thousand, million and so on, which must become smaller."""
    total, group, last = 0, list[str](), 10**15
    for word in words:
        if word not in _SCALES:
            group.append(word)
            continue
        size, value = _SCALES[word], _below_thousand(group)
        if not value or size >= last:
            return None
        total, group, last = total + size * value, [], size
    if total and not group:
        return total
    rest = _below_thousand(group[1:] if total and group[0] == "and" else group)
    return None if rest is None or (total and not rest) else total + rest


def _below_thousand(words: Sequence[str]) -> int | None:
    hundreds = 0
    if len(words) > 1 and words[1] == "hundred":
        hundreds = 100 * _SMALL.get(words[0], 0)
        if not 0 < hundreds < 1000:
            return None
        if len(words) == 2:
            return hundreds
        words = words[3:] if words[2] == "and" else words[2:]
    rest = _below_hundred(words)
    return None if rest is None or (hundreds and not rest) else hundreds + rest


def _below_hundred(words: Sequence[str]) -> int | None:
    if len(words) == 1:
        return _SMALL.get(words[0], _TENS.get(words[0]))
    if len(words) == 2 and words[0] in _TENS and 0 < _SMALL.get(words[1], 0) < 10:
        return _TENS[words[0]] + _SMALL[words[1]]
    return None
