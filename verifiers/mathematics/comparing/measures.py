"""Measures and ratios: turns a comparison with units, or of proportions, into comparisons of plain values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from verifiers.mathematics.reading.form import Form, is_constant
from verifiers.mathematics.reading.tree import Node
from verifiers.patterns import linear
from verifiers.wording.unit_names import (
    CELSIUS,
    DEGREE,
    FAHRENHEIT,
    MOLAR,
    RADIAN,
    SIGNS_OF_MONEY,
    Unit,
    unit_named,
)

_CLOCK = linear.compile(r"\d{1,2}:[0-5]\d")
_MOLAR = linear.compile(r'(\d{1,9}(?:\.\d{1,9})?)"?(m?)M"?')
_DAY = linear.compile(r"\d{1,4}-\d{1,2}-(\d{1,2})")
_ONE = Form("number", "1", number=Fraction(1), node=("num", "1"))

_SAME_SIGN = ({DEGREE, CELSIUS}, {DEGREE, FAHRENHEIT}, {SIGNS_OF_MONEY["£"], unit_named("pound")})
"""A degree of whatever, and a pound that is no weight."""
Pair = tuple[Form, Form]


def as_measured(first: Form, second: Form) -> Pair:
    """Reads the N of 30 N as a newton where the other side has a unit, too, or is a number."""
    if (first.measured or second.measured) and all(
        form.unit or form.measured or form.kind == "number" for form in (first, second)
    ):
        return first.measured or first, second.measured or second
    return _as_molar(first, second), _as_molar(second, first)


def _as_molar(form: Form, other: Form) -> Form:
    """Reads 0.5 M as moles in a litre where the other side is such a concentration, too."""
    found = _MOLAR.fullmatch(form.text) if form.unit is None and "M" in form.text else None
    concentration = other.unit is not None and other.unit.dimensions == MOLAR.dimensions
    if found is None or not (concentration or _MOLAR.fullmatch(other.text)):
        return form
    value = Fraction(found.group(1))
    unit = MOLAR if found.group(2) != "m" else Unit(MOLAR.dimensions, MOLAR.factor / 1000)
    return Form("number", found.group(1), number=value, node=("num", found.group(1)), unit=unit)


def need_conversion(first: Form, second: Form) -> bool:
    """Tells whether two answers have different units, or one is in degrees and the other a multiple of pi."""
    if first.unit == second.unit:
        return False
    if first.unit is not None and second.unit is not None:
        return {first.unit, second.unit} not in _SAME_SIGN
    plain, measured = (first, second) if first.unit is None else (second, first)
    return measured.unit == DEGREE and plain.node is not None and "pi" in plain.text and is_constant(plain)


def in_common_units(first: Form, second: Form) -> Pair | None:
    """Returns the two values in one unit; None when there is none: a length is no time, and no area."""
    units = (first.unit or RADIAN, second.unit or RADIAN)
    if not (is_constant(first) and is_constant(second)):
        return None
    if {unit.dimensions for unit in units} == {DEGREE.dimensions, RADIAN.dimensions}:
        factors = [("div", ("const", "pi"), ("num", "180")) if unit == DEGREE else ("num", "1") for unit in units]
        return _times(first, factors[0]), _times(second, factors[1])
    if units[0].dimensions != units[1].dimensions:
        return None
    return _scaled(first, units[0].factor), _scaled(second, units[1].factor)


def _scaled(form: Form, factor: Fraction) -> Form:
    return _times(form, ("div", ("num", str(factor.numerator)), ("num", str(factor.denominator))), factor)


def _times(form: Form, factor: Node | None, exact: Fraction | None = None) -> Form:
    """Returns the form without its unit, times a factor, which is also given exactly where it is a fraction."""
    number = form.number * exact if form.number is not None and exact is not None else None
    return Form("formula" if number is None else "number", "", number=number, node=("mul", form.node, factor))


def same_time(first: Form, second: Form) -> bool:
    """Compares a time of day with another, or with one of 24 hours: 7:30 alone may be either half of the day."""
    if first.kind == second.kind:
        return first.text == second.text
    time, other = (first, second) if first.kind == "time" else (second, first)
    hour, minute = _clock(time)
    return other.text in {f"{hour:02d}:{minute}", f"{hour}:{minute}"} - {f"{at}:{minute}" for at in range(1, 13)}


def tells_more(answer: Form, asked: Form) -> bool:
    """Tells whether a time with its half of the day answers a question for one without, 7:30 p.m. for 7:30, 5 p.m. for
    5, or a date one for its day."""
    if answer.kind == "text" and asked.number is not None:
        day = _DAY.fullmatch(answer.text)
        return day is not None and asked.text == day.group(1)
    if answer.kind != "time" or asked.kind == "time" or asked.unit is not None:
        return False
    hour, minute = _clock(answer)
    said = f"{(hour - 1) % 12 + 1}"
    return asked.text in {f"{said}:{minute}", f"0{said}:{minute}"} or (asked.text == said and minute == "00")


def _clock(time: Form) -> tuple[int, str]:
    hour, minute = time.text.removesuffix(" h").split(":")
    return int(hour), minute


def as_products(first: Form, second: Form) -> Sequence[Pair] | None:
    """Returns what must be equal for two ratios, or a ratio and its quotient, to be the same; None if they aren't.

    Ratios are the same in proportion, but two that read as times, such as 3:30 and 1:10, only part by part.
    """
    if first.kind != second.kind:
        ratio, other = (first, second) if first.kind == "ratio" else (second, first)
        if len(ratio.items) != 2 or not _are_formulas((*ratio.items, other)):
            return None
        return _products([(ratio.items[0], _ONE, other, ratio.items[1])])
    if len(first.items) != len(second.items):
        return None
    clocks = _CLOCK.fullmatch(first.text) and _CLOCK.fullmatch(second.text)
    if clocks or not _are_formulas(first.items + second.items):
        return list(zip(first.items, second.items, strict=True))
    pairs = zip(first.items[1:], second.items[1:], strict=True)
    return _products([(left, second.items[0], first.items[0], right) for left, right in pairs])


def _are_formulas(forms: Iterable[Form]) -> bool:
    return all(form.kind in {"number", "formula"} for form in forms)


def _products(factors: Sequence[tuple[Form, Form, Form, Form]]) -> Sequence[Pair] | None:
    """Returns (a b, c d) for each (a, b, c, d); None when a factor is zero."""
    if any(form.number == 0 for four in factors for form in four):
        return None
    return [(_times(a, b.node, b.number), _times(c, d.node, d.number)) for a, b, c, d in factors]
