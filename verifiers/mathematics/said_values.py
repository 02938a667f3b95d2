"""The value that an answer gives to what the task asked for: `xy = 6` answers 6, where the gold answer is a number.

Only the answer is read so. An equation among gold answers is a curve perhaps, and its right side is no answer to it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import gcd, lcm

from verifiers.mathematics.reading.form import Form, is_constant
from verifiers.mathematics.reading.labels import is_name
from verifiers.mathematics.reading.progressions import DOTS
from verifiers.mathematics.reading.split import split
from verifiers.mathematics.reading.tree import Node, rational, symbols
from verifiers.patterns import linear
from verifiers.wording.vocabulary import denies

_CONGRUENCE = linear.compile(r"(.{1,80}?)\\equiv ?(\d{1,18})\(mod ?(\d{1,18})\)")
_OF_UNKNOWN = linear.compile(r"[$\s]*[A-Za-z](?:_\{?\w\}?)?\s*\\equiv\s*(-?\d{1,18}\s*[\\(]+p?mod\b.{1,40})")
_LETTERS = linear.compile(r"(?<![\\A-Za-z])[A-Za-z]")
_VECTORS = frozenset(("()", "[]", "matrix"))
_LONGEST = 500


def value_said(answer: str, gold: Form, read: Callable[[str], Form]) -> str:
    """Returns what stands behind the equals sign of an answer whose left side is a quantity; else the answer.

    A quantity has several unknowns, or one and its reciprocal: xy, x^2 + y^2, x + 1/x. So 3x = 42 gives no 42.
    """
    if len(answer) > _LONGEST or denies(answer.partition("=")[0]) or not _is_value(gold):
        return answer
    if "equiv" in answer or "≡" in answer:
        return _remainder_said(answer, read)
    form = read(answer) if "=" in answer else None
    if form is None or form.kind not in {"relation", "chain"} or set(form.operator.split()[:1]) != {"="}:
        return answer
    asked = _is_worked_out(form) if form.name else is_quantity(form.items[0], gold) or _comes_to_a_number(form)
    later = form.items[1:] if not is_constant(gold) else _numbers_at_end(form.items[1:])
    said = "=".join(answer.rsplit("=", len(later))[1:])
    value = read(said)
    if not is_constant(gold) and gold.kind == "formula":
        asked = _is_apart(form.items[0], value) and (asked or form.items[0].kind == "unread")
    alike = value.text == later[0].text if len(later) == 1 else value.items == later
    return said if asked and alike and _fits(value, gold) else answer


def without_unknown(answer: str) -> str:
    """Returns the class of residues that one unknown is said to be in: x \\equiv 3 \\pmod 7 gives 3 \\pmod 7."""
    found = _OF_UNKNOWN.fullmatch(answer.replace("≡", r"\equiv "))
    return found.group(1) if found is not None else answer


def _is_worked_out(form: Form) -> bool:
    """Tells whether a name stands before a formula for it, as in P = 2(l + w) = 50."""
    node = form.items[0].node
    return form.kind == "chain" and node is not None and node[0] != "sym" and _speaks_of_others(form.name, node)


def _speaks_of_others(name: str, node: Node) -> bool:
    return bool(symbols(node)) and name not in symbols(node)


def _comes_to_a_number(form: Form) -> bool:
    """Tells whether a formula of several symbols is worked out in steps, of which the last are numbers: 2l + 2w = 2(3)
    + 2(4) = 14."""
    steps = form.items
    several = steps[0].node is not None and len(symbols(steps[0].node)) > 1
    return form.kind == "chain" and len(steps) > 2 and several and all(map(is_constant, steps[-2:]))


def _numbers_at_end(steps: tuple[Form, ...]) -> tuple[Form, ...]:
    """The numbers that end the steps of a chain, the last two of which at least are to be compared."""
    known = list(map(is_constant, steps))
    begun = len(known) - known[::-1].index(False) if False in known else 0
    return steps[begun:] or steps


def _is_apart(quantity: Form, value: Form) -> bool:
    """Tells whether a formula and what it is said to be have no symbol in common, so that it is no equation."""
    if value.node is None or not symbols(value.node):
        return False
    letters = set("".join(_LETTERS.findall(quantity.text))) if quantity.node is None else symbols(quantity.node)
    return letters.isdisjoint(symbols(value.node))


def _is_value(form: Form) -> bool:
    return form.kind in {"number", "formula"} or (form.kind in _VECTORS and bool(form.items) and not form.name)


def _fits(value: Form, gold: Form) -> bool:
    """Tells whether a right side may be the value: a number for a number, a vector for a vector."""
    vectors = [form.kind in _VECTORS for form in (value, gold)]
    plain = is_constant(value) or value.kind == "chain" or (value.kind == "formula" and not is_constant(gold))
    return all(vectors) or (not any(vectors) and plain)


def is_quantity(form: Form, gold: Form) -> bool:
    """Tells whether a left side is something whose value a task may ask for, and not an equation to solve."""
    if form.node is None:
        terms = split(form.text, "+")
        names = [term for term in terms if is_name(term.strip())]
        return len(names) > 1 and len(terms) == len(names) + 1 and DOTS in map(str.strip, terms)
    node = form.node
    size = node[0] == "pow" and node[1][0] == "abs"
    conjugate = "'overline'" in repr(node)
    several = len(symbols(node)) > 1 or gold.kind == "matrix" or size or conjugate or _has_reciprocal(node)
    return several and bool(symbols(node)) and _is_primitive(node)


def _has_reciprocal(node: Node) -> bool:
    """Tells whether one symbol stands in a term and below the line of another."""
    terms = node[1:] if node[0] == "add" else ()
    below = [term for term in terms if _is_below(term)]
    return 0 < len(below) < len(terms) and all(map(symbols, terms))


def _is_below(term: Node) -> bool:
    if term[0] == "pow":
        return bool(symbols(term[1])) and term[2][0] == "neg"
    return term[0] == "div" and bool(symbols(term[2])) and not symbols(term[1])


def _is_primitive(node: Node) -> bool:
    """Tells whether no number can be taken out of a sum, and none stands in it alone: not so 6xy and xy + 6."""
    factors = [_factor(term) for term in (node[1:] if node[0] == "add" else (node,))]
    known = [factor for factor in factors if factor]
    if len(known) < len(factors) or known[0] < 0:
        return False
    common = Fraction(gcd(*(factor.numerator for factor in known)), lcm(*(factor.denominator for factor in known)))
    return common == 1


def _factor(term: Node) -> Fraction | None:
    """The number before a term; None for a term without a symbol, or with numbers that only algebra finds."""
    if term[0] == "neg":
        inner = _factor(term[1])
        return None if inner is None else -inner
    if not symbols(term):
        return Fraction(1) if term == ("const", "e") else None
    if term[0] == "div":
        top = rational(term[1]) if not symbols(term[1]) else _factor(term[1])
        bottom = rational(term[2]) if not symbols(term[2]) else _factor(term[2])
        return top / bottom if top is not None and bottom else None
    if term[0] != "mul":
        return Fraction(1)
    product = Fraction(1)
    for factor in term[1:]:
        value = Fraction(1) if symbols(factor) else rational(factor)
        if value is None:
            return None
        product *= value
    return product


def _remainder_said(answer: str, read: Callable[[str], Form]) -> str:
    """Returns the remainder of x \\equiv 2 \\pmod 5, if it is one; of numbers only where it is the right one."""
    found = _CONGRUENCE.fullmatch(read(answer).text)
    if found is None or int(found.group(2)) >= int(found.group(3)):
        return answer
    left, value, modulus = found.groups()
    if is_name(left.strip()):
        return value
    known = read(rf"{left} \bmod {modulus}")
    return value if known.number == int(value) else answer
