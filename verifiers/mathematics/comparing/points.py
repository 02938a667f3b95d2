"""Compares two sympy values by their digits: numbers at once, formulas at fixed points of the common real domain.

By digits and not by simplification, which has no bound in time, and misses equalities that sixty digits show.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from verifiers.mathematics.reading.tokens import TooLarge

DIGITS = 60
_MORE_DIGITS = 400
"""Digits of a second look: sqrt(10^100 + 1) and 10^50 differ only after a hundred."""
_POINTS = 14
_MOST_POWER = 20_000
_ENOUGH, _SOME, _MANY = 4, 6, 14
"""Points at which formulas must agree: at least, usually, and for those with roots or absolute values."""


def agree(left: Any, right: Any) -> bool:
    """Tells whether two values, numbers or formulas, are the same; what has no value is not the same as itself."""
    import sympy

    if left == right:
        return left is not sympy.nan and left is not sympy.zoo
    left, right = _with_one_constant(left, right)
    names = sorted(left.free_symbols | right.free_symbols, key=lambda symbol: str(symbol.name))
    if left.has(sympy.oo, -sympy.oo, sympy.zoo, sympy.nan) or right.has(sympy.oo, -sympy.oo, sympy.zoo, sympy.nan):
        return False
    if _undefined_functions(left) or _undefined_functions(right):
        return bool(sympy.simplify(left - right) == 0)
    if not names:
        return all(
            _values_agree(sympy.N(left, digits), sympy.N(right, digits), digits, left - right)
            for digits in (DIGITS, _MORE_DIGITS)
        )
    return _agree_at_points(left, right, names)


def evaluate(value: Any) -> None:
    """Finds the digits of a value, or those at a point; raises what sympy raises where it has none."""
    import sympy

    names = sorted(value.free_symbols, key=lambda symbol: str(symbol.name))
    if names:
        next(_values_at_points(value, value, names), None)
    else:
        sympy.N(value, DIGITS)


def _with_one_constant(left: Any, right: Any) -> tuple[Any, Any]:
    """Lets the constant of integration be C in one formula and c in the other."""
    import sympy

    upper, lower = sympy.Symbol("C"), sympy.Symbol("c")
    own, others = left.free_symbols - right.free_symbols, right.free_symbols - left.free_symbols
    if (own, others) in (({upper}, {lower}), ({lower}, {upper})):
        return left.subs(upper, lower), right.subs(upper, lower)
    return left, right


def _undefined_functions(value: Any) -> bool:
    from sympy.core.function import AppliedUndef

    return bool(value.atoms(AppliedUndef))


def _values_agree(left: Any, right: Any, digits: int = DIGITS, difference: Any = None) -> bool:
    """Tells whether two numbers agree to nearly all of the digits; near zero, their difference decides by algebra."""
    import sympy

    if not (left.is_number and right.is_number) or left.has(sympy.nan, sympy.oo, sympy.zoo):
        return False
    scale = max(abs(left), abs(right))
    gap = abs(left - right)
    if scale == 0:
        return True
    if not gap.is_comparable or gap > scale * sympy.Float(10) ** (10 - digits):
        near_zero = difference is not None and min(abs(left), abs(right)) < 1e-30
        return near_zero and bool(sympy.simplify(difference) == 0)
    return True


def _agree_at_points(left: Any, right: Any, names: list[Any]) -> bool:
    """Tells whether two formulas have the same values, where both are real, or nowhere real."""
    real = other = 0
    enough = _MANY if _has_kinks(left) or _has_kinks(right) else _SOME
    for a, b in _values_at_points(left, right, names):
        if not _values_agree(a, b, difference=a - b):
            if a.is_real and b.is_real:
                return False
            other -= 1
        elif a.is_real and b.is_real:
            real += 1
        else:
            other += 1
        if real >= enough:
            return True
    return real >= _ENOUGH or (real == 0 and other >= _ENOUGH)


def _values_at_points(left: Any, right: Any, names: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Gives the values of two formulas at the fixed points where both have one."""
    import sympy

    for value in (left, right):
        if any(power.exp.is_Integer and abs(power.exp) > _MOST_POWER for power in value.atoms(sympy.Pow)):
            raise TooLarge("a power of too many digits")
    for point in _points(len(names)):
        values = dict(zip(names, point, strict=True))
        a, b = (sympy.N(side.subs(values), DIGITS) for side in (left, right))
        if a.is_number and b.is_number and not any(value.has(sympy.zoo, sympy.nan, sympy.oo) for value in (a, b)):
            yield a, b


def _has_kinks(value: Any) -> bool:
    """Tells whether a formula may agree with another on one side of a point only."""
    import sympy

    if value.has(sympy.Abs, sympy.floor, sympy.ceiling, sympy.Max, sympy.Min):
        return True
    return any(not power.exp.is_Integer for power in value.atoms(sympy.Pow))


def _points(count: int) -> list[list[Any]]:
    """Fixed rational points: small and large, of both signs, none of them a likely zero or pole."""
    import sympy

    return [
        [
            sympy.Rational((37 * step + 101 * place) % 89 + 5, 31) * (1 if step % 2 == 0 or step + place == 3 else -1)
            for place in range(count)
        ]
        for step in range(_POINTS)
    ]


def proportional(left: Any, right: Any, names: list[Any], *, positive: bool) -> bool:
    """Tells whether the quotient of two formulas is one number, which is not zero, wherever it has a value."""
    first, count = None, 0
    for a, b in _values_at_points(left, right, names):
        if a == 0 and b == 0:
            continue
        if a == 0 or b == 0:
            return False
        ratio = a / b
        first = ratio if first is None else first
        if not _values_agree(ratio, first) or (positive and not (ratio.is_real and ratio > 0)):
            return False
        count += 1
    return count >= _ENOUGH
