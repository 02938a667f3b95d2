"""Objects pass to a child and back, in frames over its own channel."""

from __future__ import annotations

import os
import pickle
import threading

import pytest

from sandbox.process.inside import read_frame, write_frame
from selfplay.compute import objects
from selfplay.compute.objects import Owner, unpacked


def test_an_owner_tells_and_a_child_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    into_read, into_write = os.pipe()
    out_read, out_write = os.pipe()
    monkeypatch.setattr(objects, "take_channel", lambda: (into_read, out_write))
    owner = Owner()

    def answer_all() -> None:
        for packed in owner.told():
            owner.answer({"heard": unpacked(packed)})

    child = threading.Thread(target=answer_all)
    child.start()
    for value in (1, {"a": (1, 2)}, b"\0" * 70_000):
        write_frame(into_write, pickle.dumps(value))
        answer = read_frame(out_read)
        assert answer is not None
        assert unpacked(answer) == {"heard": value}
    os.close(into_write)
    child.join(5)
    assert not child.is_alive(), "it ends where its owner hangs up"
    for fd in (into_read, out_read, out_write):
        os.close(fd)
