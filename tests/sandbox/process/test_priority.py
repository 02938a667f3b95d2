"""Who takes short slices of the processor, who long ones, and where neither can be had."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading

import pytest

from sandbox.process import priority
from sandbox.process.priority import LONG_S, SHORT_S, slices, take_slices_of

KNOWN = tuple(map(int, platform.release().split(".")[:2])) >= (6, 12) and platform.machine() in priority._CALLS
SCENE = """
import os, subprocess, sys, threading
from sandbox.process.launching import launch
from sandbox.process.priority import come_first, slices, stand_back

def below():
    told = "import os; from sandbox.process.priority import slices; print(slices(), os.nice(0))"
    child = launch([sys.executable, "-c", told], fds=(), environment=os.environ, stdout=subprocess.PIPE)
    return child.communicate()[0].decode().strip()

usual = below()
come_first()
print(slices(), below() == usual.replace(usual.split()[0], str(slices())))
thread = threading.Thread(target=lambda: print(slices()))
thread.start()
thread.join()
stand_back(2)
print(below(), slices())
"""


def test_slices_are_of_one_thread() -> None:
    before = slices()
    found: list[float] = []
    thread = threading.Thread(target=lambda: found.extend((take_slices_of(SHORT_S), slices())))
    thread.start()
    thread.join()
    assert slices() == before
    assert found == [True, SHORT_S] or not KNOWN


def test_threads_and_children_take_after_who_starts_them() -> None:
    done = subprocess.run([sys.executable, "-c", SCENE], capture_output=True, text=True, check=True)
    first, of_thread, (long, niceness, own) = (line.split() for line in done.stdout.splitlines())
    assert int(niceness) == min(19, os.nice(0) + 2)
    if KNOWN:
        assert first == [str(SHORT_S), "True"]
        assert (of_thread, long, own) == ([str(SHORT_S)], str(LONG_S), str(SHORT_S))


def test_elsewhere_all_goes_on_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: os.SCHED_IDLE)
    assert not take_slices_of(SHORT_S)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not take_slices_of(SHORT_S)
    assert slices() == 0.0
