"""The encoding of values: it keeps types, and hostile text costs little and decodes to an error."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.inside.plain import MAX_DEPTH, NotPlainData, encode, exact
from sandbox.warm.returned_values import decode

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.recursive(SCALARS, lambda inner: st.tuples(inner, inner), max_leaves=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner) | st.sets(KEYS, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_round_trip_keeps_value_and_types(value: object) -> None:
    back = decode(encode(value))
    assert back == value
    assert repr(type(back)) == repr(type(value))


@given(VALUES)
def test_an_exact_copy_is_what_comes_back(value: object) -> None:
    assert exact(value) == decode(encode(value))
    assert type(exact(value)) is type(value)


@given(st.text() | st.text(alphabet='[]{}"lstdi:,0123456789\\'))
def test_any_text_decodes_or_is_refused(text: str) -> None:
    try:
        decode(text)
    except NotPlainData:
        return


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "{}",
        '{"l":1}',
        '{"x":[]}',
        '{"d":[[1]]}',
        '{"d":[[{"l":[]},1]]}',
        '{"i":"0x"}',
        "1" * 10**6,
        "[" * 10**6,
        '{"l":[' * 10**5 + "]}" * 10**5,
        '"' + "\\" * 99_999,
    ],
)
def test_hostile_text_is_refused(text: str) -> None:
    with pytest.raises(NotPlainData):
        decode(text)


@pytest.mark.parametrize("shape", ['{"s":[%s]}', '{"d":[%s]}'])
def test_colliding_keys_are_refused_in_little_time(shape: str) -> None:
    step = 2**61 - 1
    keys = [encode(step * n) for n in range(100_000)]
    started = time.process_time()
    with pytest.raises(NotPlainData, match="equal hashes"):
        decode(shape % ",".join(k if '"s"' in shape else f"[{k},0]" for k in keys))
    assert time.process_time() - started < 10


def test_depth_is_bounded() -> None:
    value: object = 0
    for _ in range(MAX_DEPTH):
        value = [value]
    assert decode(encode(value)) == value
    with pytest.raises(NotPlainData, match="deeply"):
        encode([value])
