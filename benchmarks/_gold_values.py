"""Kinds of gold answers, told by text, and the exact values of numbers: never by the verifier under test."""

from __future__ import annotations

import re
from fractions import Fraction

NUMBER = re.compile(r"-?(?:\d+(?:,\d{3})*(?:\.\d*)?|\.\d+)")
_DECIMAL_COMMA = re.compile(r"-?0?,\d+")
_FRACTION = re.compile(r"(-?)\\[dt]?frac\{(\d+)\}\{(\d+)\}|(-?)(\d+)/(\d+)")
_FORMULA = re.compile(r"(?:[-+*/^_{}()0-9.a-z ]|\\(?:[dt]?frac|sqrt|pi|cdot|left|right|sin|cos|tan|ln|log)(?![a-z]))+")


def value_of(text: str) -> Fraction | None:
    """Returns the exact value of a plain number or fraction; None for anything else."""
    text = text.replace(r"\!", "").replace("{,}", ",").replace(" ", "")
    if _DECIMAL_COMMA.fullmatch(text):
        return Fraction(text.replace(",", "."))
    if NUMBER.fullmatch(text):
        return Fraction(text.replace(",", ""))
    found = _FRACTION.fullmatch(text)
    if not found:
        return None
    sign, top, bottom = (found[1], found[2], found[3]) if found[2] else (found[4], found[5], found[6])
    return Fraction(int(top) * (-1 if sign else 1), int(bottom)) if int(bottom) else None


def is_choice(gold: str) -> bool:
    return bool(re.fullmatch(r"(?:\\text\{)?\(?[A-J]\)?\}?", gold))


def is_formula(gold: str) -> bool:
    return bool(_FORMULA.fullmatch(gold)) and bool(re.search(r"\d|\\|[-+^]", gold)) and "," not in gold


def is_one_value(gold: str) -> bool:
    return value_of(gold) is not None or is_formula(gold)
