"""The slow path, which runs inside a worker process: whether two formulas are the same value or function.

sympy builds the formulas from their trees. Equality is then a matter of 50 digits: of the value itself when
there are no symbols, else of the values at fixed points of the common real domain. Calculus, which the
grammar of `math_expression` leaves out, is read by math-verify's own LaTeX parser.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from verifiers.math_compare import decimal_digits, numbers_agree, same
from verifiers.math_expression import Node, with_decimal_logs
from verifiers.math_form import Form
from verifiers.math_forms import form_of
from verifiers.math_regions import same_region

_DIGITS = 60
_MORE = 400
"""Digits of a second look: sqrt(10^100 + 1) and 10^50 differ only after a hundred."""
_POINTS = 14
_ENOUGH = 4


def warm_up() -> None:
    """Loads what every question needs, so that the first one doesn't pay for it."""
    import sympy

    warnings.filterwarnings("ignore")
    sympy.sqrt(2).evalf(_DIGITS)


def answer(question: Any) -> Any:
    """Answers {"first": text, "second": text} with True, False, or None for "cannot tell"."""
    return same(form_of(str(question["first"])), form_of(str(question["second"])), formulas_agree)


def formulas_agree(first: Form, second: Form) -> bool | None:
    """Judges two numbers or formulas, two relations, or two sets of reals.

    A logarithm without a base may be the natural or the decimal one, but the same in both formulas.
    """
    if first.region is not None and second.region is not None:
        return same_region(first.region, second.region, _rank) or False
    if first.kind == "relation":
        return _relations_agree(first, second)
    if first.number is not None and second.number is not None:
        return numbers_agree(first, second)
    if _formulas_agree(first, second):
        return True
    decimal = [replace(form, node=form.node and with_decimal_logs(form.node)) for form in (first, second)]
    return decimal != [first, second] and _formulas_agree(decimal[0], decimal[1])


def _formulas_agree(first: Form, second: Form) -> bool:
    left, right = _value(first), _value(second)
    if _has_matrix(left) or _has_matrix(right):
        return bool(_has_matrix(left) and _has_matrix(right) and left.shape == right.shape) and all(
            _agree(a, b) for a, b in zip(left, right, strict=True)
        )
    return _agree(left, right) or _rounded(first, second, left, right)


def _rank(ends: Sequence[Form]) -> list[int] | None:
    """Orders end points by value; equal ones, exactly or as roundings, share their place."""
    import sympy

    values = [sympy.N(build(end.node), _DIGITS) for end in ends]
    if not all(value.is_comparable for value in values):
        return None
    order = sorted(range(len(ends)), key=lambda at: values[at])
    places, place = [0] * len(ends), 0
    for before, at in zip([None, *order], order, strict=False):
        place += before is None or not formulas_agree(ends[before], ends[at])
        places[at] = place
    return places


def _value(form: Form) -> Any:
    if form.kind != "unread":
        return build(form.node)
    from latex2sympy2_extended import latex2sympy

    return latex2sympy(form.text).doit()


def _rounded(first: Form, second: Form, left: Any, right: Any) -> bool:
    """Accepts a decimal of six digits or more for the irrational number that it is cut or rounded from."""
    import sympy

    for form, value in ((first, right), (second, left)):
        digits = decimal_digits(form)
        if digits is not None and not value.free_symbols and value.is_rational is not True:
            assert form.number is not None
            exact = sympy.Rational(form.number.numerator, form.number.denominator)
            gap = abs(sympy.N(value - exact, _DIGITS))
            if gap.is_number and gap.is_finite and gap < sympy.Rational(1, 10**digits):
                return True
    return False


def _has_matrix(value: Any) -> bool:
    return bool(getattr(value, "is_Matrix", False))


def _agree(left: Any, right: Any) -> bool:
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
        agree = _values_agree(sympy.N(left, _DIGITS), sympy.N(right, _DIGITS), _DIGITS, left - right)
        return agree and _values_agree(sympy.N(left, _MORE), sympy.N(right, _MORE), _MORE, left - right)
    return _agree_at_points(left, right, names)


def _with_one_constant(left: Any, right: Any) -> tuple[Any, Any]:
    """Lets the constant of integration be C in one formula and c in the other."""
    import sympy

    upper, lower = sympy.Symbol("C"), sympy.Symbol("c")
    if left.free_symbols - right.free_symbols == {upper} and right.free_symbols - left.free_symbols == {lower}:
        return left.subs(upper, lower), right
    if right.free_symbols - left.free_symbols == {upper} and left.free_symbols - right.free_symbols == {lower}:
        return left, right.subs(upper, lower)
    return left, right


def _undefined_functions(value: Any) -> bool:
    from sympy.core.function import AppliedUndef

    return bool(value.atoms(AppliedUndef))


def _values_agree(left: Any, right: Any, digits: int = _DIGITS, difference: Any = None) -> bool:
    import sympy

    if not (left.is_number and right.is_number) or left.has(sympy.nan, sympy.oo, sympy.zoo):
        return False
    scale = max(abs(left), abs(right))
    gap = abs(left - right)
    if scale == 0:
        return True
    if not gap.is_comparable or gap > scale * sympy.Float(10) ** (10 - digits):
        return _vanishes(difference) if difference is not None and min(abs(left), abs(right)) < 1e-30 else False
    return True


def _vanishes(difference: Any) -> bool:
    """Decides a comparison with zero, where no relative error exists, by algebra."""
    import sympy

    return bool(sympy.simplify(difference) == 0)


def _agree_at_points(left: Any, right: Any, names: list[Any]) -> bool:
    import sympy

    real = other = 0
    for point in _points(len(names)):
        values = dict(zip(names, point, strict=True))
        a, b = (sympy.N(side.subs(values), _DIGITS) for side in (left, right))
        if not (a.is_number and b.is_number) or a.has(sympy.zoo, sympy.nan, sympy.oo) or b.has(sympy.zoo, sympy.nan):
            continue
        if not _values_agree(a, b):
            if a.is_real and b.is_real:
                return False
            other -= 1
        elif a.is_real and b.is_real:
            real += 1
        else:
            other += 1
    return real >= _ENOUGH or (real == 0 and other >= _ENOUGH)


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


def _relations_agree(first: Form, second: Form) -> bool:
    """Two equations are the same when their differences are proportional; inequalities, by a positive
    factor."""
    import sympy

    operators = [form.operator for form in (first, second)]
    sides = [[build(item.node) for item in form.items] for form in (first, second)]
    if any(_has_matrix(side) for pair in sides for side in pair):
        return False
    left, right = (pair[0] - pair[1] for pair in sides)
    flips = {">": "<", ">=": "<="}
    for at, operator in enumerate(operators):
        if operator in flips:
            operators[at] = flips[operator]
            left, right = (-left, right) if at == 0 else (left, -right)
    if operators[0] != operators[1] or left.free_symbols != right.free_symbols or not left.free_symbols:
        return False
    ratio = sympy.cancel(left / right)
    if ratio.free_symbols:
        ratio = sympy.simplify(ratio)
    if ratio.free_symbols or ratio.has(sympy.zoo, sympy.nan) or ratio == 0:
        return False
    return bool(ratio > 0) if operators[0] in {"<", "<="} and ratio.is_real else bool(operators[0] in {"=", "!="})


def build(node: Node | None) -> Any:  # noqa: PLR0911, PLR0912 - one branch per kind of node
    """Returns the sympy value of a tree. May be slow or huge: call it in a worker only."""
    import sympy

    if node is None:
        return sympy.nan
    kind = node[0]
    if kind == "num":
        return sympy.Rational(node[1].lower()) if "e" not in node[1].lower() else sympy.Rational(node[1])
    if kind == "sym":
        return sympy.Symbol(node[1])
    if kind == "const":
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "oo": sympy.oo}[node[1]]
    if kind == "matrix":
        return sympy.Matrix([[build(cell) for cell in row] for row in node[1]])
    if kind == "call":
        return _call(node[1], build(node[2]))
    values = [build(child) for child in node[1:]]
    first, last = values[0], values[-1]
    if kind == "add":
        return first + last
    if kind == "mul":
        return first * last
    if kind == "div":
        return first / last
    if kind == "pow":
        return first**last
    if kind == "neg":
        return -first
    if kind == "pct":
        return first / 100
    if kind == "abs":
        return first.det() if _has_matrix(first) else sympy.Abs(first)
    if kind == "root":
        return _root(last, first)
    if kind == "log":
        return sympy.log(last, first)
    if kind == "binom":
        return sympy.binomial(first, last)
    return sympy.factorial(first)


def _root(value: Any, degree: Any) -> Any:
    """The root of a negative number by an odd degree is negative, as in school, not complex."""
    import sympy

    if value.is_number and value.is_real and value.is_negative and degree.is_Integer and degree % 2 == 1:
        return -sympy.root(-value, degree)
    return sympy.root(value, degree)


def _call(name: str, value: Any) -> Any:
    import sympy

    if name == "det":
        return value.det() if _has_matrix(value) else sympy.nan
    known = {
        "arcsin": "asin",
        "arccos": "acos",
        "arctan": "atan",
        "ln": "log",
        "lg": "log",
        "ceil": "ceiling",
        "sgn": "sign",
    }
    if name == "lg":
        return sympy.log(value, 10)
    if name in {"max", "min", "gcd", "lcm"}:
        raise ValueError(f"{name} of one argument")
    if len(name) == 1 or name == "overline":
        return sympy.Function(name)(value)
    return getattr(sympy, known.get(name, name))(value)
