"""What a program writes is compared in the trainer's process: at a bounded cost, without a crash, and still right."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.programs.comparison import same_json, same_tokens
from verifiers.programs.values import same_value

MOST_SECONDS = 5.0

ITEMS = st.recursive(
    st.sampled_from([0, 1, 1.0, True, 2, "a", "1", "", None, 0.5, float("nan")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=4,
)


@given(st.lists(ITEMS, max_size=4), st.lists(ITEMS, max_size=4))
def test_any_order_is_some_order(actual: list[Any], expected: list[Any]) -> None:
    def agrees(order: tuple[Any, ...]) -> bool:
        return all(same_value(a, b, any_order=True) for a, b in zip(order, expected, strict=True))

    wanted = len(actual) == len(expected) and any(map(agrees, permutations(actual)))
    assert same_value(actual, expected, any_order=True) is wanted
    assert same_value(list(reversed(expected)), expected, any_order=True) is True


@pytest.mark.parametrize("size", [50_000])
def test_any_order_of_many_items_costs_little(size: int) -> None:
    expected = [[n, str(n)] for n in range(size)]
    started = time.process_time()
    assert same_value(expected[::-1], expected, any_order=True)
    assert not same_value([[0, "0"]] * size, expected, any_order=True)
    assert time.process_time() - started < MOST_SECONDS


@pytest.mark.parametrize("tolerance", [None, 1e-6])
@pytest.mark.parametrize(
    "make",
    [
        lambda n: n * (2**61 - 1),
        lambda n: float(2 ** (n % 1000)),
        lambda n: n << 61,
        lambda n: [n * (2**61 - 1)],
        lambda n: {"a": n * (2**61 - 1)},
        str,
    ],
    ids=["modulus", "floats", "shifts", "lists", "objects", "texts"],
)
def test_any_order_of_items_with_one_hash_costs_little(make: Callable[[int], Any], tolerance: float | None) -> None:
    """Integers and floats with equal hashes are easily made; a table of n of them takes n * n steps."""
    actual, expected = [make(n) for n in range(30_000)], [make(n + 1) for n in range(30_000)]
    expected[-1] = make(1_000_003)
    started = time.process_time()
    assert not same_value(actual, expected, tolerance, any_order=True)
    assert same_value(actual[::-1], actual, tolerance, any_order=True)
    assert time.process_time() - started < 4 * MOST_SECONDS


def test_pairing_with_a_tolerance_has_an_end() -> None:
    """Lists within lists, each of which agrees with nearly all of the others."""
    expected = [[[n + m / 100 for m in range(60)] for n in range(60)] for _ in range(60)]
    actual = [[[n + m / 100 + 0.3 for m in range(60)] for n in range(60)] for _ in range(60)]
    actual[-1][-1][-1] = 1e9
    started = time.process_time()
    assert not same_value(actual, expected, 0.5, any_order=True)
    assert time.process_time() - started < 8 * MOST_SECONDS


@pytest.mark.parametrize("text", ["[" * 10**6, '{"a":' * 10**5, "[" * 10**5 + "]" * 10**5, '["' + "[" * 10**5 + '"]'])
def test_deep_output_is_refused_though_the_caller_allows_recursion(text: str) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**8)
    try:
        assert not same_json(text, "[1]")
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("word", ["9" * 10**6, "0." + "0" * 10**6, "1e" + "9" * 10**5, "-" * 10**6, "." * 10**6])
def test_long_words_cost_little(word: str) -> None:
    started = time.process_time()
    assert not same_tokens(word, "0.25", 1e-6)
    assert not same_json(f"[{word}]", "[0.25]", 1e-6)
    assert time.process_time() - started < MOST_SECONDS


@pytest.mark.parametrize("key", [2**20000, (2**20000,), -(2**20000), (1, ("a", 2**20000))], ids=range(4))
def test_key_that_cannot_be_written_is_no_match(key: Any) -> None:
    assert not same_value({key: 1}, {"a": 1})
