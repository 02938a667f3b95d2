"""Sums and products with dots, as in 1+2+\\ldots+100, as trees without dots.

What the dots stand for is taken from the terms before them: equal differences, equal ratios, or equal powers of
numbers with equal differences. Where these do not lead to the last term, nobody knows what was left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from verifiers.mathematics.reading.expression import read
from verifiers.mathematics.reading.split import split, split_command
from verifiers.mathematics.reading.tokens import Unreadable
from verifiers.mathematics.reading.tree import Node, Undefined, rational, symbols
from verifiers.patterns import linear

DOTS = "\\ldots"
_DOTS = linear.compile(r"\\ldots ?")
_TIMES_DOTS = linear.compile(r"(?:\\(?:cdot|times) ?)?\\ldots ?(?:\\(?:cdot|times) ?)?")
_LONGEST = 200
_MOST_TERMS = 10_000
_ONE: Node = ("num", "1")


def without_dots(text: str) -> Node | None:
    """Returns the tree of a sum or product with dots; None where they could mean something else."""
    if len(text) > _LONGEST or len(_DOTS.findall(text)) != 1:
        return None
    terms = [term.strip() for term in split(text, "+")]
    try:
        if len(terms) > 2 and terms[-2] == DOTS:
            return _sum([read(term) for term in terms[:-2]], read(terms[-1]))
        factors = split_command(_TIMES_DOTS.sub(r"\\cdot ", text), "\\cdot", "\\times")
        return _product([read(factor) for factor in factors]) if len(terms) == 1 else None
    except (Unreadable, Undefined):
        return None


def _sum(heads: Sequence[Node], last: Node) -> Node | None:
    values = _values(heads)
    if values is None or all(node[0] == "pow" for node in (*heads, last)):
        powers = _of_powers(heads, last)
        if powers is not None or values is None:
            return powers
    step = values[1] - values[0] if len(values) > 1 else Fraction(1)
    steps = {after - before for before, after in pairwise(values)}
    if len(values) == 1 and values[0] != 1:
        return None
    grows = last[0] == "pow" and symbols(last[2])
    if len(steps) <= 1 and step and not grows:
        return _of_differences(values[0], step, len(values), last)
    if len(values) > 1 and 0 not in values:
        ratios = {after / before for before, after in pairwise(values)}
        found = _of_ratios(values[0], ratios.pop(), last) if len(ratios) == 1 else None
        if found is not None:
            return found
    return None


def _values(heads: Sequence[Node]) -> list[Fraction] | None:
    values = [rational(head) for head in heads]
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else None


def _of_differences(first: Fraction, step: Fraction, said: int, last: Node) -> Node | None:
    end = rational(last)
    if end is not None:
        count = (end - first) / step + 1
        return number_node((first + end) * count / 2) if count.denominator == 1 and count >= said else None
    if not symbols(last):
        return None
    terms = ("add", ("div", ("add", last, number_node(-first)), number_node(step)), _ONE)
    return ("div", ("mul", ("add", number_node(first), last), terms), ("num", "2"))


def _of_ratios(first: Fraction, ratio: Fraction, last: Node) -> Node | None:
    if ratio in {0, 1, -1}:
        return None
    end = rational(last)
    if end is not None:
        term, total = first, Fraction(0)
        for _ in range(_MOST_TERMS):
            total += term
            if term == end:
                return number_node(total)
            if max(abs(term.numerator), term.denominator) > max(abs(end.numerator), end.denominator):
                return None
            term *= ratio
        return None
    if last[0] != "pow" or not symbols(last) or rational(last[1]) != ratio:
        return None
    return ("div", ("add", ("mul", last, number_node(ratio)), number_node(-first)), number_node(ratio - 1))


def _of_powers(heads: Sequence[Node], last: Node) -> Node | None:
    """1^2 + 2^2 + ... + n^2, of whole numbers, or up to a symbol."""
    nodes = [*heads, last]
    if any(node[0] != "pow" for node in nodes) or len({node[2] for node in nodes}) != 1 or len(heads) < 2:
        return None
    power, bases = rational(last[2]), _values([head[1] for head in heads])
    if bases is None or power not in {2, 3, 4} or bases != [bases[0] + at for at in range(len(bases))]:
        return None
    end = rational(last[1])
    if end is not None:
        span = end - bases[0]
        counts = span.denominator == 1 and len(bases) <= span < _MOST_TERMS
        terms = ((bases[0] + at) ** power.numerator for at in range(int(span) + 1 if counts else 0))
        return number_node(sum(terms, Fraction(0))) if counts else None
    return _powers_to(last[1], int(power)) if bases[0] == 1 and power < 4 and symbols(last[1]) else None


def _powers_to(n: Node, power: int) -> Node:
    """The sum of the squares or cubes of 1 to n."""
    pair = ("mul", n, ("add", n, _ONE))
    if power == 3:
        return ("pow", ("div", pair, ("num", "2")), ("num", "2"))
    return ("div", ("mul", pair, ("add", ("mul", ("num", "2"), n), _ONE)), ("num", "6"))


def _product(factors: Sequence[Node]) -> Node | None:
    """1 * 2 * ... * n, upwards or downwards, is n!."""
    heads, last = _values(factors[:-1]), rational(factors[-1])
    if heads is None or len(heads) < 2:
        return None
    if heads == [1 + at for at in range(len(heads))] and (last is None or last > len(heads)):
        return ("fact", factors[-1]) if last is None or last.denominator == 1 else None
    down = heads == [heads[0] - at for at in range(len(heads))] and heads[0].denominator == 1
    return ("fact", number_node(heads[0])) if down and last == 1 and heads[-1] > 1 else None


def number_node(value: Fraction) -> Node:
    """Returns the tree of a number."""
    top: Node = ("num", str(abs(value.numerator)))
    node = top if value.denominator == 1 else ("div", top, ("num", str(value.denominator)))
    return ("neg", node) if value < 0 else node
