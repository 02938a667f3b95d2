"""Tells whether a decimal is a value, rounded or cut, to the digits that it shows."""

from __future__ import annotations

from verifiers.mathematics.comparing.enclosure import enclosure
from verifiers.mathematics.reading.form import Form, is_constant
from verifiers.patterns import linear

_DECIMAL = linear.compile(r"-?(\d*)(?:\.(\d+))?(%?)(?:\\(?:times|cdot) ?10\^\{?(-?\d{1,3})\}?)?")
_MOST_DIGITS = 12


def decimal_places(form: Form) -> int | None:
    """Returns how many digits a number shows after the point, below zero for zeros at its end; None for no decimal."""
    found = _DECIMAL.fullmatch(form.text) if form.number is not None and form.unit is None else None
    if found is None or len(form.text) > 40 or not (found.group(1) or found.group(2)):
        return None
    zeros = 0 if found.group(2) else len(found.group(1).rstrip("0")) - len(found.group(1))
    return (
        len(found.group(2) or "")
        + (2 if found.group(3) else 0)
        - int(found.group(4) or 0)
        + (zeros if found.group(1).strip("0") else 0)
    )


def is_rounding(value: Form, decimal: Form) -> bool | None:
    """Tells whether a decimal of two digits or more is another value, rounded or cut; None where that isn't known."""
    places = decimal_places(decimal)
    if places is None or decimal.number is None or len(decimal.text.strip("-0.%")) < 2 or not is_constant(value):
        return None
    if abs(places) > _MOST_DIGITS:
        return None
    if value.number is not None:
        exact, off = float(value.number), 0.0
    else:
        try:
            assert value.node is not None
            exact, off = enclosure(value.node, {})
        except (ArithmeticError, ValueError, AssertionError):
            return None
    step = 10.0**-places
    gap = abs(exact) - abs(float(decimal.number))
    off += 1e-9 * step + 1e-14 * abs(exact)
    return exact * float(decimal.number) >= 0 and -step / 2 - off <= gap < step * (1 - 1e-9)
