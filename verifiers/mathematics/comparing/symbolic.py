"""The slow path: whether two formulas are the same value or function. Runs inside a worker process.

sympy builds the formulas from their trees. Equality is then a matter of 50 digits: of the value itself when
there are no symbols, else of the values at fixed points of the common real domain. Calculus, which the
grammar of `reading` leaves out, is read by math-verify's own LaTeX parser; where that hinges on what neither reads, the
library has the last word on the two answers as a whole (`second_reading`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import Any

from verifiers.mathematics.comparing.build import build, has_matrix
from verifiers.mathematics.comparing.compare import same
from verifiers.mathematics.comparing.names import antiderived
from verifiers.mathematics.comparing.numbers import decimal_digits, numbers_agree
from verifiers.mathematics.comparing.points import DIGITS, agree, evaluate, proportional
from verifiers.mathematics.reading.form import Form, fault_of
from verifiers.mathematics.reading.forms import CALCULUS, form_of
from verifiers.mathematics.reading.regions import same_region
from verifiers.mathematics.reading.tokens import Unreadable
from verifiers.mathematics.reading.tree import with_decimal_logs
from verifiers.patterns import linear
from verifiers.pool.serving import at_most

_CALCULUS_S = 1.0
_ONE_SIDED = linear.compile(r"\^([+-])(\})")
"""As in x \\to 0^+, which the library reads with braces only."""
_USUAL = [
    (r"\sqrt{12}", r"2\sqrt{3}"),
    ("x^2+3x+2", "(x+1)(x+2)"),
    (r"\sin^2 x", r"1-\cos^2 x"),
    ("x^2+y^2=1", "2x^2+2y^2=2"),
    (r"\begin{pmatrix}1\\\pi\end{pmatrix}", r"\begin{pmatrix}2\\\pi\end{pmatrix}"),
    (r"[1,\sqrt{2}]\cup[3,4]", r"[1,2]\cup[\sqrt{5},4]"),
    ("3+4i", "e^{i}"),
]
"""Questions whose answers fill sympy's caches before a worker forks the child that answers."""


def warm_up() -> None:
    """Loads what every question needs, so that the first one doesn't pay for it."""
    import sympy

    warnings.filterwarnings("ignore")
    sympy.sqrt(2).evalf(DIGITS)
    for first, second in _USUAL:
        answer({"first": first, "second": second})


def answer(question: Any) -> Any:
    """Answers {"first": text, "second": text} with {"equal": True, False, or None for "cannot tell"}.

    Where that is not True, `faults` says of each of the two why it can't be read or has no value, if so.
    """
    texts = [str(question[key]) for key in ("first", "second")]
    with _bounded(texts):
        return _answer(texts)


def _bounded(texts: Sequence[str]) -> AbstractContextManager[None]:
    """Integrals, sums and limits that have a value have it soon, and the others never."""
    return at_most(_CALCULUS_S) if any(map(CALCULUS.search, texts)) else nullcontext()


def _answer(texts: Sequence[str]) -> dict[str, Any]:
    forms = [form_of(text) for text in texts]
    unread: set[str] = set()

    def judge(first: Form, second: Form) -> bool | None:
        try:
            return formulas_agree(first, second)
        except MemoryError:
            raise
        except Exception:
            broken = [form for form in (first, second) if not _has_value(form)]
            if not broken:
                raise
            unread.update(form.text for form in broken)
            return None if all(form.kind == "unread" for form in broken) else False

    equal = same(forms[0], forms[1], judge)
    about = any(form.kind == "chain" and "~" in form.operator for form in forms)
    by_library = _last_resort(*texts) if equal is None and unread and not about else None
    if equal or by_library:
        return {"equal": True}
    # two readings that differ are two answers; what nobody read is a fault
    faults = [fault_of(form) or ("" if by_library is False else _unread(form, unread)) for form in forms]
    return {"equal": False if unread else equal, "faults": faults}


def _last_resort(first: str, second: str) -> bool | None:
    from verifiers.mathematics.comparing.second_reading import readings_agree

    return readings_agree(first, second)


def _unread(form: Form, texts: set[str]) -> str:
    """Why a form has no value, if so. Notation that nobody reads may be an answer all the same, as words are."""
    if form.text in texts and not _is_foreign(form):
        return f"no parser reads {form.text[:100]!r}"
    return next((why for item in form.items if (why := _unread(item, texts))), "") if texts else ""


def formulas_agree(first: Form, second: Form) -> bool | None:
    """Judges two numbers or formulas, two relations, or two sets of reals.

    A logarithm without a base may be the natural or the decimal one, but the same in both formulas.

    Raises whatever a parser or sympy raises on a formula without meaning.
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
    if has_matrix(left) or has_matrix(right):
        return bool(has_matrix(left) and has_matrix(right) and left.shape == right.shape) and all(
            agree(a, b) for a, b in zip(left, right, strict=True)
        )
    return agree(left, right) or _rounded(first, second, left, right) or _differ_by_constant(first, second, left, right)


def _differ_by_constant(first: Form, second: Form, left: Any, right: Any) -> bool:
    """Tells whether two antiderivatives with a constant C are the same, which may differ by any number."""
    import sympy

    name = antiderived(first, second)
    return name is not None and agree(sympy.diff(left, sympy.Symbol(name)), sympy.diff(right, sympy.Symbol(name)))


def _rank(ends: Sequence[Form]) -> list[int] | None:
    """Orders end points by value; equal ones, exactly or as roundings, share their place."""
    import sympy

    values = [sympy.N(build(end.node), DIGITS) for end in ends]
    if not all(value.is_comparable for value in values):
        return None
    order = sorted(range(len(ends)), key=lambda at: values[at])
    places, place = [0] * len(ends), 0
    for before, at in zip([None, *order], order, strict=False):
        place += before is None or not formulas_agree(ends[before], ends[at])
        places[at] = place
    return places


def _has_value(form: Form) -> bool:
    """Tells whether every formula of a form can be built."""
    try:
        if form.node is not None or form.kind == "unread":
            _value(form)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a parser's error, of whatever type, says that it can't read the text
        return False
    return all(map(_has_value, form.items))


def is_plain(form: Form) -> bool:
    """Tells whether a gold can be followed by itself: every formula of it can be built, and has digits."""
    with _bounded([form.text]):
        return _is_plain(form)


def _is_plain(form: Form) -> bool:
    if fault_of(form) or not _has_value(form):
        return False
    if form.node is not None or form.kind == "unread":
        value = _value(form)
        for cell in value if has_matrix(value) else (value,):
            evaluate(cell)
    return all(map(_is_plain, form.items))


@lru_cache(16)
def _calculus(text: str) -> Any:
    from latex2sympy2_extended import latex2sympy

    return latex2sympy(_ONE_SIDED.sub(r"^{\1}\2", text)).doit()


def _is_foreign(form: Form) -> bool:
    return form.kind == "unread" and not CALCULUS.search(form.text)


def _value(form: Form) -> Any:
    if _is_foreign(form):
        raise Unreadable(f"{form.text!r} is of no notation that is known here")
    return _calculus(form.text) if form.kind == "unread" else build(form.node)


def _rounded(first: Form, second: Form, left: Any, right: Any) -> bool:
    """Accepts a decimal of six digits or more for the irrational number that it is cut or rounded from."""
    import sympy

    for form, value in ((first, right), (second, left)):
        digits = decimal_digits(form)
        if digits is not None and not value.free_symbols and value.is_rational is not True:
            assert form.number is not None
            exact = sympy.Rational(form.number.numerator, form.number.denominator)
            gap = abs(sympy.N(value - exact, DIGITS))
            if gap.is_number and gap.is_finite and gap < sympy.Rational(10) ** -digits:
                return True
    return False


def _relations_agree(first: Form, second: Form) -> bool:
    """Two equations are the same when their differences are proportional; inequalities, by a positive
    factor."""
    import sympy

    operators = [form.operator for form in (first, second)]
    sides = [[build(item.node) for item in form.items] for form in (first, second)]
    if any(has_matrix(side) for pair in sides for side in pair):
        return False
    left, right = (pair[0] - pair[1] for pair in sides)
    flips = {">": "<", ">=": "<="}
    for at, operator in enumerate(operators):
        if operator in flips:
            operators[at] = flips[operator]
            left, right = (-left, right) if at == 0 else (left, -right)
    if operators[0] != operators[1] or left.free_symbols != right.free_symbols or not left.free_symbols:
        return False
    names = sorted(left.free_symbols, key=lambda symbol: str(symbol.name))
    if proportional(left, right, names, positive=operators[0] in {"<", "<="}):
        return True
    if operators[0] != "=" or len(names) < 2:
        return False
    # xy = 1 is y = 1/x
    tops = [sympy.together(side).as_numer_denom()[0] for side in (left, right)]
    return tops != [left, right] and proportional(tops[0], tops[1], names, positive=False)
