"""One text out of a pickle, and nothing else; nothing is ever unpickled."""

from __future__ import annotations

import base64
import contextlib
import pickle
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.suites import pickled_text
from selfplay.suites.pickled_text import packed_text


def packed(value: object, protocol: int = 4) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value, protocol))).decode()


class Runs:
    """Unpickled, it would make a list; anybody's would run a command."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return list, ()


@given(text=st.text(st.characters(exclude_categories=["Cs"])), protocol=st.integers(0, 5))
def test_a_text_comes_back(text: str, protocol: int) -> None:
    assert packed_text(packed(text, protocol)) == text


def test_a_long_text_comes_back() -> None:
    text = '[{"input": "é"}]' * 20_000
    assert packed_text(packed(text)) == text


@pytest.mark.parametrize("value", [["text"], {"a": "text"}, 3, None, b"text", ("a", "b"), Runs(), {"x": Runs()}])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is a pickle"):
        packed_text(packed(value))


def test_what_follows_the_text_is_refused() -> None:
    two = pickle.dumps("first", 4) + pickle.dumps(Runs(), 4)
    with pytest.raises(ValueError, match="something else than one text"):
        pickled_text.pickled_text(two)


def test_steps_that_do_nothing_are_refused_soon() -> None:
    """Packed, a quarter of a billion of them are 260 kB, and took six minutes."""
    with pytest.raises(ValueError, match="more than 16 steps"):
        pickled_text.pickled_text(pickle.dumps("text", 4)[:-1] + b"\x94" * 20 + b".")


@given(content=st.binary(max_size=200))
def test_no_bytes_do_anything_but_raise(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(pickled_text.pickled_text(content), str)


@pytest.mark.parametrize("text", ["", "not base64!", base64.b64encode(b"not zlib").decode()])
def test_what_is_not_packed_so_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not base64 of zlib|is zlib data that is cut off"):
        packed_text(text)


def test_what_is_cut_off_is_said() -> None:
    whole = zlib.compress(pickle.dumps("text" * 100))
    with pytest.raises(ValueError, match="cut off"):
        packed_text(base64.b64encode(whole[:-5]).decode())


def test_a_bomb_takes_no_more_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickled_text, "LARGEST", 1 << 20)
    bomb = base64.b64encode(zlib.compress(b"\0" * (1 << 28), 9)).decode()
    tracemalloc.start()
    with pytest.raises(ValueError, match="unpacks to more than"):
        packed_text(bomb)
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()
