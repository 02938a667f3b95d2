"""The process in which the conformance kit runs a verifier: `python -m verifiers.conformance.child`.

It reads questions and writes answers as JSON lines over a channel of its own, so that a plug-in may print and
read what it likes. It can be killed at any instant: nothing here outlives it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import hashlib
import json
import locale
import os
import random
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from sandbox.process.inside import adopt_orphans, out_of_the_way, take_channel
from verifiers.conformance.contract import faults_of
from verifiers.model import Task, Verdict, Verifier
from verifiers.plugins.guard import NoVerdict
from verifiers.pool.readers import PROGRAM as READERS
from verifiers.programs.task_rows import task_from_json
from verifiers.registry import UnknownVerifier, make

_GRACE_S = 2.0
_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver", READERS)
"""Of the process, not of one verifier in it."""
_SHOWN = 200


class _Room:
    """The verifier under examination, and the items it is asked about."""

    def __init__(self, name: str, params: dict[str, Any], items: Path) -> None:
        self._name, self._params = name, params
        rows = json.loads(items.read_text("ascii"))
        self._items: list[tuple[Task, str]] = [(task_from_json(row["task"]), row["completion"]) for row in rows]
        self._verifier: Verifier | None = None

    def open(self) -> dict[str, Any]:
        """Makes a fresh instance."""
        self._verifier = make(self._name, self._params)
        name = self._verifier.name
        if not isinstance(name, str) or not name:
            raise TypeError(f"its name is {name!r}, not a text")
        return {"name": name, "judges": str(getattr(self._verifier, "judges", "answer"))}

    def one(self, item: int) -> dict[str, Any]:
        """Judges one item."""
        task, completion = self._items[item]
        before = repr(task)
        verdict = self._opened().verify(task, completion)
        shown = _shown(verdict)
        if repr(task) != before:
            shown["faults"].append("it changed the task")
        return shown

    def many(self, items: list[int]) -> list[dict[str, Any]]:
        """Judges a batch."""
        verdicts = self._opened().verify_many([self._items[item] for item in items])
        if not isinstance(verdicts, list):
            raise TypeError(f"verify_many returned {type(verdicts).__name__}, not a list")
        if len(verdicts) != len(items):
            raise ValueError(f"verify_many returned {len(verdicts)} verdicts on {len(items)} items")
        return [_shown(verdict) for verdict in verdicts]

    def threads(self, items: list[int], threads: int) -> list[list[dict[str, Any]]]:
        """Judges the items in several threads at once, each from another starting point; the last one as a
        batch. Returns each thread's verdicts in the order of the items."""
        found: list[list[dict[str, Any]]] = [[] for _ in range(threads)]
        faults: list[BaseException] = []

        def work(place: int) -> None:
            try:
                if place == threads - 1:
                    found[place] = self.many(items)
                    return
                shift = place * len(items) // threads
                turned = [self.one(item) for item in items[shift:] + items[:shift]]
                found[place] = turned[len(items) - shift :] + turned[: len(items) - shift]
            except BaseException as error:  # noqa: BLE001 - handed to the thread that asked
                faults.append(error)

        workers = [threading.Thread(target=work, args=(place,)) for place in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if faults:
            raise faults[0]
        return found

    def close(self) -> None:
        """Closes the instance; it stays here, to be closed again."""
        self._opened().close()

    def left(self) -> dict[str, Any]:
        """Says what is alive in and under this process; waits a moment for what is about to end."""
        self._verifier = None
        until = time.monotonic() + _GRACE_S
        while True:
            gc.collect()
            children = _children()
            if not children or time.monotonic() > until:
                break
            time.sleep(0.05)
        process = psutil.Process()
        return {
            "processes": children,
            "threads": process.num_threads(),
            "names": sorted(thread.name for thread in threading.enumerate())[:50],
            "files": process.num_fds(),
        }

    def surroundings(self) -> dict[str, str]:
        """Says what of the whole process a verifier ought to leave as it is."""
        handlers = {number.name: repr(signal.getsignal(number)) for number in signal.Signals}
        numpy = sys.modules.get("numpy")
        state = {
            "the working directory": os.getcwd(),
            "the environment": sorted(os.environ.items()),
            "a signal handler": handlers,
            "the recursion limit": sys.getrecursionlimit(),
            "the locale": locale.setlocale(locale.LC_ALL),
            "the default timeout of sockets": socket.getdefaulttimeout(),
            "the state of random": random.getstate(),
            "sys.stdout": id(sys.stdout),
            "the limit on digits of integers": sys.get_int_max_str_digits(),
            "the state of numpy.random": numpy.random.get_state() if numpy is not None else None,
        }
        return {
            name: hashlib.sha256(repr(value).encode("utf-8", "replace")).hexdigest() for name, value in state.items()
        }

    def _opened(self) -> Verifier:
        if self._verifier is None:
            raise RuntimeError("no instance is open")
        return self._verifier


def _children() -> list[str]:
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            line = " ".join(child.cmdline()) or child.name()
            if child.status() != psutil.STATUS_ZOMBIE and not any(helper in line for helper in _HELPERS):
                found.append(line[:_SHOWN])
    return found


def _shown(verdict: object) -> dict[str, Any]:
    """A verdict as the examiner needs it: plain data, whatever it is."""
    faults = faults_of(verdict)
    if not isinstance(verdict, Verdict):
        return {"faults": faults, "passed": None, "reward": None, "status": "", "reason": ""}
    reward = verdict.reward
    return {
        "faults": faults,
        "passed": None if verdict.passed is None else bool(verdict.passed),
        "reward": None if reward is None else float(reward),
        "status": str(verdict.status)[:_SHOWN],
        "reason": str(verdict.reason)[:_SHOWN],
    }


def _said(error: BaseException) -> str:
    """The error, and the last place in the plug-in where it came up."""
    if isinstance(error, NoVerdict):
        return f"{error}{error.place}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    return f"{type(error).__name__}: {error}"[:300] + where


def _answer(room: _Room, line: str) -> dict[str, Any]:
    question = json.loads(line)
    operations: dict[str, Callable[..., Any]] = {
        name: getattr(room, name) for name in ("open", "one", "many", "threads", "close", "left", "surroundings")
    }
    try:
        return {"value": operations[question.pop("do")](**question)}
    except UnknownVerifier as error:
        return {"unusable": str(error)}
    except BaseException as error:  # noqa: BLE001 - also SystemExit: what a plug-in raises is what is examined
        return {"raised": _said(error)}


def main() -> None:
    """Arguments: the descriptor that what the verifier prints goes to, and a file for stacks of a hang."""
    questions, answers = take_channel()
    os.dup2(int(sys.argv[1]), 1)
    os.close(int(sys.argv[1]))
    stacks = out_of_the_way(os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND))
    faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
    # What a plug-in starts and leaves would else be out of sight of `left`.
    adopt_orphans()
    with open(questions, encoding="ascii") as lines, open(answers, "w", encoding="ascii") as out:
        setting = json.loads(next(lines))
        room = _Room(setting["name"], setting["params"], Path(setting["items"]))
        for line in lines:
            out.write(json.dumps(_answer(room, line)) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
