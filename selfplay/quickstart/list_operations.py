"""The operations that list programs are made of: how each is told, programmed, done, and got wrong.

Every operation is defined for every list, the empty one included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Action = Callable[[list[int], int], list[int]]
"""The operation on a list, given the constant of the statement (0 where it has none)."""


@dataclass(frozen=True, slots=True)
class Slip:
    """One plausible mistake: a wrong line of code and what it does."""

    code: str
    apply: Action


@dataclass(frozen=True, slots=True)
class ListOperation:
    """One operation on a list, or one way to print it."""

    concept: str
    phrase: str
    code: str
    apply: Action
    slips: tuple[Slip, ...] = ()

    @property
    def has_number(self) -> bool:
        """Whether the statement gives a constant."""
        return "{n}" in self.phrase

    def slips_for(self, number: int) -> list[Slip]:
        """Its mistakes as lines of code: the listed ones, and the constant off by one."""
        nearby = [n for n in (number - 1, number + 1) if n >= 1] if self.has_number else []
        off_by_one = [Slip(self.code.format(n=n), self._with_constant(n)) for n in nearby]
        return off_by_one + [Slip(slip.code.format(n=number), slip.apply) for slip in self.slips]

    def _with_constant(self, constant: int) -> Action:
        return lambda values, _: self.apply(values, constant)


Keep = tuple[str, Callable[[int, int], bool]]
Change = tuple[str, Callable[[int, int], int]]


def _filter(concept: str, told: str, right: Keep, *wrong: Keep) -> ListOperation:
    def line(keep: Keep) -> Slip:
        condition, holds = keep
        return Slip(f"v=[x for x in v if {condition}]", lambda v, n: [x for x in v if holds(x, n)])

    return ListOperation(concept, f"keep the {told}", line(right).code, line(right).apply, tuple(map(line, wrong)))


def _map(concept: str, told: str, right: Change, *wrong: Change) -> ListOperation:
    def line(change: Change) -> Slip:
        value, of = change
        return Slip(f"v=[{value} for x in v]", lambda v, n: [of(x, n) for x in v])

    return ListOperation(concept, told, line(right).code, line(right).apply, tuple(map(line, wrong)))


_EVEN: Keep = ("x%2==0", lambda x, n: x % 2 == 0)
_ODD: Keep = ("x%2==1", lambda x, n: x % 2 == 1)
_ABOVE: Keep = ("x>{n}", lambda x, n: x > n)
_BELOW: Keep = ("x<{n}", lambda x, n: x < n)
_PLUS: Change = ("x+{n}", lambda x, n: x + n)
_MINUS: Change = ("x-{n}", lambda x, n: x - n)
_NEGATIVE: Change = ("-x", lambda x, n: -x)
_UP = Slip("v=sorted(v)", lambda v, n: sorted(v))
_REVERSED = Slip("v=v[::-1]", lambda v, n: v[::-1])
_FIRST = Slip("v=v[:{n}]", lambda v, n: v[:n])
_REST = Slip("v=v[{n}:]", lambda v, n: v[n:])
_COUNT = Slip("print(len(v))", lambda v, n: [len(v)])
_LARGEST = Slip("print(max(v,default=0))", lambda v, n: [max(v, default=0)])
_SMALLEST = Slip("print(min(v,default=0))", lambda v, n: [min(v, default=0)])

STEPS = (
    _filter("even numbers", "even ones", _EVEN, _ODD),
    _filter("odd numbers", "odd ones", _ODD, _EVEN),
    _filter("lower bound", "ones above {n}", _ABOVE, ("x>={n}", lambda x, n: x >= n), _BELOW),
    _filter("upper bound", "ones below {n}", _BELOW, ("x<={n}", lambda x, n: x <= n), _ABOVE),
    _map("increase", "add {n} to each", _PLUS, _MINUS),
    _map("decrease", "subtract {n} from each", _MINUS, _PLUS),
    _map("scaling", "multiply each by {n}", ("x*{n}", lambda x, n: x * n), _PLUS),
    _map("squares", "square each", ("x*x", lambda x, n: x * x), ("x*2", lambda x, n: x * 2)),
    _map("opposites", "negate each", _NEGATIVE, ("abs(x)", lambda x, n: abs(x))),
    _map("distances", "take absolute values", ("abs(x)", lambda x, n: abs(x)), _NEGATIVE),
    ListOperation("sorting", "sort them up", _UP.code, _UP.apply, (_REVERSED,)),
    ListOperation("descending", "sort them down", "v=sorted(v)[::-1]", lambda v, n: sorted(v)[::-1], (_UP,)),
    ListOperation("reversal", "reverse them", _REVERSED.code, _REVERSED.apply, (_UP,)),
    ListOperation("prefix", "take the first {n}", _FIRST.code, _FIRST.apply, (_REST,)),
    ListOperation("suffix", "drop the first {n}", _REST.code, _REST.apply, (_FIRST,)),
    ListOperation(
        "stride",
        "take every other one, from the second",
        "v=v[1::2]",
        lambda v, n: v[1::2],
        (Slip("v=v[::2]", lambda v, n: v[::2]),),
    ),
)
OUTPUTS = (
    ListOperation("sum", "print the sum", "print(sum(v))", lambda v, n: [sum(v)], (_COUNT,)),
    ListOperation(
        "count",
        "print how many there are",
        _COUNT.code,
        _COUNT.apply,
        (Slip("print(len(v)-1)", lambda v, n: [len(v) - 1]),),
    ),
    ListOperation("maximum", "print the largest, 0 if none", _LARGEST.code, _LARGEST.apply, (_SMALLEST,)),
    ListOperation("minimum", "print the smallest, 0 if none", _SMALLEST.code, _SMALLEST.apply, (_LARGEST,)),
    ListOperation("distinct", "print how many differ", "print(len(set(v)))", lambda v, n: [len(set(v))], (_COUNT,)),
    ListOperation("listing", "print them", "print(*v)", lambda v, n: v, (Slip("print(*v[1:])", lambda v, n: v[1:]),)),
)
CONCEPTS = tuple(operation.concept for operation in (*STEPS, *OUTPUTS))
