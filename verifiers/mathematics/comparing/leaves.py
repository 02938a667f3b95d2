"""The rules for what has no parts: numbers, decimals that stand for longer ones, words; and logic with "unknown"."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from verifiers.mathematics.reading.form import Form
from verifiers.patterns import linear
from verifiers.wording.vocabulary import denies

_CHOICE = linear.compile(r"^\"?(?:(?i:option|choice|answer)\s*\"?)?\(?\"?\(?([A-J])\)?\"?\)?(?:[.:)].*)?$")
_ARTICLE = linear.compile(r"^\"?(?:an?|the) ?(?=[a-z]{4})", linear.IGNORECASE)
_IDLE = linear.compile(r"[\s\"{}\\\x04]|\.(?!\d)")
_SPELLED = linear.compile(r"[\s\"\\\x04]")
_DECIMAL = linear.compile(r"-?(\d*)\.(\d+)")
_SAME_WORDS = {"doesnotexist": "dne", "nonexistent": "dne"}


def numbers_agree(first: Form, second: Form) -> bool:
    """Exact equality, or a decimal of six digits or more that is the other value correctly rounded."""
    assert first.number is not None
    assert second.number is not None
    if first.number == second.number:
        return True
    return _rounds_to(first, second.number) or _rounds_to(second, first.number)


def _rounds_to(decimal: Form, value: Fraction) -> bool:
    """Tells whether a long decimal is a value that has no finite decimal, correctly rounded or cut."""
    digits = decimal_digits(decimal)
    if digits is None or _finite_decimal(value):
        return False
    assert decimal.number is not None
    return abs(decimal.number - value) < Fraction(1, 10**digits)


def decimal_digits(form: Form) -> int | None:
    """Returns the digits after the point of a decimal with at least six that count; None for anything else."""
    match = _DECIMAL.fullmatch(form.text)
    if match is None or len((match.group(1) + match.group(2)).strip("0")) < 6:
        return None
    return len(match.group(2))


def _finite_decimal(value: Fraction) -> bool:
    bottom = value.denominator
    for prime in (2, 5):
        while bottom % prime == 0:
            bottom //= prime
    return bottom == 1


def words(text: str) -> str:
    """Returns a text answer without case, blanks, quotes, articles, or the brackets and dots of an option letter."""
    choice = _CHOICE.match(text)
    if choice and not denies(text):
        return choice.group(1).upper()
    if len(text) < 2:
        return text
    bare = _IDLE.sub("", _ARTICLE.sub("", text)).casefold()
    return _SAME_WORDS.get(bare, bare)


def bare(text: str) -> str:
    """Returns a formula that nobody read without what spelling may change: blanks, quotes, backslashes."""
    return _SPELLED.sub("", text)


def all_of(verdicts: Iterable[bool | None]) -> bool | None:
    unsure = False
    for verdict in verdicts:
        if verdict is False:
            return False
        unsure |= verdict is None
    return None if unsure else True


def any_of(verdicts: Iterable[bool | None]) -> bool | None:
    unsure = False
    for verdict in verdicts:
        if verdict:
            return True
        unsure |= verdict is None
    return None if unsure else False
