"""What a function returns against what is expected: Python's own `==` with the literal decides, by types first."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.inside.plain import NotPlainData, encode
from sandbox.warm.returned_values import decode
from verifiers.programs.values import same_value

KEYS = st.text(max_size=2) | st.sampled_from(["1", "true", "null", "1.5"])
LITERALS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from([0.0, 1.0, 0.5, -0.0, 1e300, "1", "a", "", "True"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=6,
)
"""What a test may expect: values of JSON."""


class Lying(int):
    """Equal to everything, and says that it is an int."""

    __class__ = int  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __reduce__(self) -> tuple[Any, ...]:
        return (int, (1,))


class Words(str):
    """A text of another type."""


class Items(list[Any]):
    """A list of another type."""


def _set_of(value: list[Any]) -> Any:
    try:
        return set(value)
    except TypeError:
        return value


LIST_LIKE: list[Callable[[list[Any]], Any]] = [
    list, tuple, _set_of, deque, Items, iter, lambda v: (item for item in v), lambda v: frozenset(map(str, v)),
    lambda v: range(len(v)), lambda v: dict.fromkeys(map(str, v)), lambda v: dict.fromkeys(map(str, v)).keys(),
    lambda v: dict(enumerate(v)).values(), lambda v: bytes(len(v)), lambda v: sorted(v, key=str), lambda v: v[::-1],
]  # fmt: skip
MAPPING_LIKE: list[Callable[[dict[str, Any]], Any]] = [
    dict, OrderedDict, lambda v: defaultdict(int, v), Counter, lambda v: v.items(), lambda v: list(v.items()),
    lambda v: {_key(key): value for key, value in v.items()}, tuple,
]  # fmt: skip
SCALAR_LIKE: list[Callable[[Any], Any]] = [
    lambda v: v, lambda _: Lying(1), str, Words, lambda v: str(v).encode(), lambda v: [v], lambda v: (v,),
    lambda v: float(v) if isinstance(v, int) else v, bool, lambda v: complex(v) if v == 1 else v,
    lambda v: int(v) if isinstance(v, float) and v == int(v) else v, lambda _: object(), lambda _: NotImplemented,
]  # fmt: skip


def _key(text: str) -> Any:
    """The key that JSON wrote so."""
    return {"1": 1, "true": True, "null": None, "1.5": 1.5}.get(text, text)


@st.composite
def returned(draw: st.DrawFn, expected: Any) -> Any:
    """The expected value, in parts of other types."""
    if isinstance(expected, list):
        inner = [draw(returned(item)) for item in expected]
        return draw(st.sampled_from(LIST_LIKE))(inner) if draw(st.booleans()) else inner
    if isinstance(expected, dict):
        values = {key: draw(returned(value)) for key, value in expected.items()}
        return draw(st.sampled_from(MAPPING_LIKE))(values) if draw(st.booleans()) else values
    return draw(st.sampled_from(SCALAR_LIKE))(expected) if draw(st.booleans()) else expected


PAIRS = LITERALS.flatmap(lambda expected: st.tuples(returned(expected), st.just(expected)))


def _as_json_has_it(value: Any) -> Any:
    """The same value with lists for tuples and texts for keys, which is all that JSON cannot tell apart."""
    if isinstance(value, list | tuple):
        return [_as_json_has_it(item) for item in value]
    if isinstance(value, dict):
        named = {key if isinstance(key, tuple) else _written(key): _as_json_has_it(item) for key, item in value.items()}
        return named if len(named) == len(value) else value
    return value


def _written(key: Any) -> str:
    return next(iter(json.loads(json.dumps({key: 0}))))


def judged(value: Any, expected: Any, **options: Any) -> bool:
    """The verdict on a value that a function returned, by the way that it takes out of a sandbox."""
    try:
        return same_value(decode(encode(value)), expected, **options)
    except NotPlainData:
        return False


def by_python(value: Any, expected: Any) -> bool:
    """Python's own `==`, where the value is of built-in types throughout."""
    try:
        plain = decode(encode(value))
    except NotPlainData:
        return False
    return bool(_as_json_has_it(plain) == expected)


@given(PAIRS)
@example(({1, 2}, [1, 2]))
@example((deque([1, 2]), [1, 2]))
@example((b"a", "a"))
@example((Lying(1), 2))
@example((True, 1))
@example((1, True))
@example(({True: 1}, {"true": 1}))
@example(({True: 1}, {"1": 1}))
@example(({1: "a"}, {"1": "a"}))
@example(({(1, 2): 1}, {"(1, 2)": 1}))
@example(([[1, {2}]], [[1, [2]]]))
def test_a_value_is_judged_as_by_python(pair: tuple[Any, Any]) -> None:
    value, expected = pair
    assert judged(value, expected) is by_python(value, expected)
    assert judged(expected, expected)


@given(LITERALS, LITERALS)
def test_two_literals_are_judged_as_by_python(one: Any, two: Any) -> None:
    assert same_value(one, two) is (one == two)


@given(LITERALS)
def test_a_set_is_no_list_unless_any_order_is_asked_for(expected: Any) -> None:
    items = expected if isinstance(expected, list) else [expected]
    made = _set_of(items)
    if isinstance(made, set):
        assert not judged(made, items)
        assert judged(made, items, any_order=True) is (len(made) == len(items))
        assert not judged([made], [items])


@pytest.mark.parametrize("value", [{1, 2}, frozenset((1, 2)), (1, 2), [2, 1]])
def test_any_order_is_what_a_task_says(value: Any) -> None:
    assert judged(value, [1, 2], any_order=True)
    assert judged(value, [1, 2]) is isinstance(value, tuple)


@given(st.lists(st.floats(-1e6, 1e6) | st.integers(-3, 3), max_size=4), st.sampled_from([1e-6, 0.25]))
def test_a_tolerance_bounds_floats(numbers: list[float], size: float) -> None:
    for at, number in enumerate(numbers):
        for other in (number + size / 2, number + 2.5 * size * max(1, abs(number)), number + 1):
            changed = [*numbers[:at], other, *numbers[at + 1 :]]
            near = abs(other - number) <= size * max(1.0, abs(number))
            fits = near and (isinstance(number, float) or (isinstance(other, float) and round(other) == number))
            assert same_value(changed, numbers, size) is bool(other == number or fits)
