"""Checkers of others for programs, written anew from what they do: the program runs in the checker's own process.

This text goes into a sandbox with a call of `judge` behind it; it imports nothing of ours. In the manner of EvalPlus a
function is called on each test and its value compared by `==`, floats within 1e-6 (plus a relative 1e-7). In the manner
of LiveCodeBench it is compared by `==` alone, a tuple counting as a list; a program that reads standard input finds the
input in place of `sys.stdin` and of whatever it opens, and its output is compared line by line without blanks at the
ends, or as decimals. Both take away from the program what could harm: `os.fork`, `subprocess.Popen` and others.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import json
import os
import subprocess
import sys
from decimal import Decimal, InvalidOperation
from unittest import mock

ABSOLUTE, RELATIVE = 1e-6, 1e-7
_TAKEN = ("kill", "system", "fork", "forkpty", "killpg", "remove", "rename", "unlink", "chmod", "chown", "putenv")


class _Bytes:
    """`sys.stdin.buffer` as LiveCodeBench makes it: `readline` gives the first line each time."""

    def __init__(self, text: str) -> None:
        self._content = text.encode()

    def read(self, *_: object) -> bytes:
        return self._content

    def readline(self, *_: object) -> bytes:
        return self._content.split(b"\n")[0] + b"\n"


class _Input(io.StringIO):
    """Standard input with a buffer."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.buffer = _Bytes(text)


def judge(payload: str) -> None:
    """Judges a program on its tests, and writes `WORD passed` or `WORD why not` where standard output was."""
    asked = json.loads(payload)
    out = os.fdopen(os.dup(1), "w")
    for name in _TAKEN:
        setattr(os, name, None)
    subprocess.Popen = None  # type: ignore[assignment, misc]
    builtins.exit = builtins.quit = None  # type: ignore[assignment]
    check = _on_input if asked["entry_point"] is None else _on_calls
    try:
        why = check(asked)
    except BaseException as error:  # noqa: BLE001 - whatever a program raises is a failed test
        why = f"raised {type(error).__name__}"
    print(asked["word"], why or "passed", file=out, flush=True)
    os._exit(0)


def _on_calls(asked: dict) -> str:  # type: ignore[type-arg]
    names: dict = {}  # type: ignore[type-arg]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        exec(asked["source"], names)  # noqa: S102 - as they do; all of this runs in a sandbox
        entry = asked["entry_point"]
        function = names[entry] if entry in names else getattr(names["Solution"](), entry)
        same = _nearly if asked["manner"] == "evalplus" else _alike
        for test in asked["tests"]:
            if not same(function(*test["args"]), test["expected"]):
                return "another value"
    return ""


def _alike(found: object, wanted: object) -> bool:
    return bool((list(found) if isinstance(found, tuple) else found) == wanted)


def _nearly(found: object, wanted: object) -> bool:
    found = _listed(found)
    if found == wanted:
        return True
    if isinstance(wanted, float):
        return abs(found - wanted) <= ABSOLUTE + RELATIVE * abs(wanted)  # type: ignore[operator]
    if isinstance(wanted, list) and wanted and all(isinstance(one, float) for one in wanted):
        assert isinstance(found, list)
        assert len(found) == len(wanted)
        return all(map(_nearly, found, wanted))
    return False


def _listed(value: object) -> object:
    """Tuples as lists, since the expected values were written down as JSON."""
    return [_listed(one) for one in value] if isinstance(value, (list, tuple)) else value


def _on_input(asked: dict) -> str:  # type: ignore[type-arg]
    for test in asked["tests"]:
        written = io.StringIO()
        given = mock.mock_open(read_data=test["input"])
        replaced = (mock.patch("builtins.open", given), mock.patch("sys.stdin", _Input(test["input"])))
        with contextlib.ExitStack() as stack:
            for one in (*replaced, contextlib.redirect_stdout(written), contextlib.suppress(SystemExit)):
                stack.enter_context(one)
            exec(asked["source"], {"__name__": "__main__"})  # noqa: S102 - as above
        if not _same_lines(written.getvalue(), test["output"]):
            return "another output"
    return ""


def _same_lines(found: str, wanted: str) -> bool:
    lines = [[line.strip() for line in text.strip().split("\n")] for text in (found, wanted)]
    return len(lines[0]) == len(lines[1]) and all(map(_same_line, *lines))


def _same_line(found: str, wanted: str) -> bool:
    try:
        return found == wanted or [*map(Decimal, found.split())] == [*map(Decimal, wanted.split())]
    except InvalidOperation:
        return False


sys.setrecursionlimit(50000)
