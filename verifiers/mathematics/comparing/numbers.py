"""Whether two numbers are one: 1/2 is 0.5, and 0.333333 is 1/3, but 0.33 is not.

Values are compared as exact fractions. A decimal also stands for another value that it is rounded or cut from, within
these bounds: it has six digits or more that count, it is off by less than one of its last digit, and the value has no
finite decimal (`numbers_agree`; `symbolic` does the same for irrational values). Two digits are enough in a chain such
as 1/3 = 0.33, whose first value counts then (`is_rounding`).
"""

from __future__ import annotations

from fractions import Fraction

from verifiers.mathematics.comparing.bounds import nearby
from verifiers.mathematics.reading.form import Form, is_constant
from verifiers.patterns import linear

_DECIMAL = linear.compile(r"-?(\d*)\.(\d+)(?:\\(?:times|cdot) ?10\^(?:\{(-?\d{1,3})\}|(\d)))?")
_SHOWN = linear.compile(r"-?(\d*)(?:\.(\d+))?(%?)(?:\\(?:times|cdot) ?10\^\{?(-?\d{1,3})\}?)?")
_MOST_SHOWN = 12


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
    return abs(decimal.number - value) < Fraction(10) ** -digits


def decimal_digits(form: Form) -> int | None:
    """Returns the digits after the point of a decimal with at least six that count; None for anything else."""
    match = _DECIMAL.fullmatch(form.text)
    if match is None or len((match.group(1) + match.group(2)).strip("0")) < 6:
        return None
    return len(match.group(2)) - int(match.group(3) or match.group(4) or 0)


def _finite_decimal(value: Fraction) -> bool:
    bottom = value.denominator
    for prime in (2, 5):
        while bottom % prime == 0:
            bottom //= prime
    return bottom == 1


def decimal_places(form: Form) -> int | None:
    """Returns how many digits a number shows after the point, below zero for zeros at its end; None for no decimal."""
    found = _SHOWN.fullmatch(form.text) if form.number is not None and form.unit is None else None
    if found is None or len(form.text) > 40 or not (found.group(1) or found.group(2)):
        return None
    zeros = 0 if found.group(2) else len(found.group(1).rstrip("0")) - len(found.group(1))
    return (
        len(found.group(2) or "")
        + (2 if found.group(3) else 0)
        - int(found.group(4) or 0)
        + (zeros if found.group(1).strip("0") else 0)
    )


def is_coarse(form: Form) -> bool:
    """Tells whether a number is one digit, to which many values are rounded."""
    return form.number is not None and form.unit is None and len(form.text.strip("-")) == 1 and form.number != 0


def is_its_decimal(value: Form, decimal: Form) -> bool:
    """Tells whether a decimal of two digits or more after its point is what a value without a finite one comes to, or
    the value itself."""
    if value.number is not None and _finite_decimal(value.number):
        return value.number == decimal.number
    return "." in decimal.text and (decimal_places(decimal) or 0) > 1 and is_rounding(value, decimal) is True


def is_rounding(value: Form, decimal: Form) -> bool | None:
    """Tells whether a decimal of two digits or more is another value, rounded or cut, or a whole number of one digit
    the value rounded; None where that isn't known."""
    places = decimal_places(decimal)
    coarse = is_coarse(decimal)
    known = places is not None and decimal.number is not None and is_constant(value)
    if not known or (len(decimal.text.strip("-0.%")) < 2 and not coarse):
        return None
    assert places is not None
    assert decimal.number is not None
    if abs(places) > _MOST_SHOWN:
        return None
    if value.number is not None:
        exact, off = float(value.number), 0.0
    else:
        try:
            assert value.node is not None
            exact, off = nearby(value.node)
        except (ArithmeticError, ValueError, AssertionError):
            return None
    step = 10.0**-places
    gap = abs(exact) - abs(float(decimal.number))
    off += 1e-9 * step + 1e-14 * abs(exact)
    most = step / 2 + off if coarse else step * (1 - 1e-9)
    return exact * float(decimal.number) >= 0 and -step / 2 - off <= gap < most
