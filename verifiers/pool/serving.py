"""Inside a worker of `pool`: a small keeper that loads the libraries once and forks the process that answers.

The keeper only waits, so it always hears its caller: a kill costs one fork of a loaded process, milliseconds
instead of the half second of a start. Lines it shares with its child on standard output: `{"ready": n, "pid": p}` for
each child, one line an answer, and `{"died": code}` when a child ended by itself.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.process.inside import die_with_parent, read_frame, write_all

_LAST_ANSWER = 3
"""The exit code of a child that ends after an answer, as it said in it."""


def serve(answer: Callable[[Any], Any], warm_up: Callable[[], None]) -> None:
    """Answers questions, each a frame of JSON, with one JSON line each until the caller goes away.

    Arguments of the process: the descriptor on which the caller names the child to kill, and which closes with the
    caller; the memory cap in megabytes, 0 for none; and the number of answers of one child.
    """
    die_with_parent()
    control, memory_mb, items = map(int, sys.argv[1:4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is loaded stays: to look through it for garbage would take a tenth of the start.
    gc.disable()
    warm_up()
    gc.collect()
    gc.freeze()
    gc.enable()
    number = 0
    while True:
        number += 1
        keeper = os.getpid()
        watched, held = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(watched)
            os.close(control)
            _answer_all(answer, keeper, memory_mb, items)
        os.close(held)
        _say({"ready": number, "pid": child})
        caller_is_there = _wait(watched, control, child, number)
        os.close(watched)
        _, status = os.waitpid(child, 0)
        if not caller_is_there:
            os._exit(0)
        _drain()
        # the last line may be the torn answer of a killed child
        os.write(1, b"\n")
        code = os.waitstatus_to_exitcode(status)
        if code != _LAST_ANSWER:
            _say({"died": code})


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Inside an answer: what stands in the block gets no more processor time than this, of what the question has."""
    left = signal.getitimer(signal.ITIMER_PROF)[0]
    if left <= seconds:
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, left - seconds + signal.getitimer(signal.ITIMER_PROF)[0])


def _wait(watched: int, control: int, child: int, number: int) -> bool:
    """Waits until the child has ended; kills it when the caller names it, or is gone: then returns False."""
    while True:
        readable, _, _ = select.select([watched, control], [], [])
        if control in readable:
            named = os.read(control, 4096)
            if not named:
                os.kill(child, signal.SIGKILL)
                return False
            if str(number).encode() in named.split():
                os.kill(child, signal.SIGKILL)
        if watched in readable:
            return True


def _answer_all(answer: Callable[[Any], Any], keeper: int, memory_mb: int, items: int) -> None:
    """The child: answers one question after the other, and ends after any answer that may have left it damaged.

    The kernel ends it where one takes more processor time than it has, or outlasts its deadline.
    """
    die_with_parent(keeper)
    if memory_mb:
        resource.setrlimit(resource.RLIMIT_AS, (_address_space_bytes() + (memory_mb << 20),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout = sys.stderr
    for count in range(1, items + 1):
        asked = _read_question()
        signal.setitimer(signal.ITIMER_PROF, asked["cpu_s"])
        signal.setitimer(signal.ITIMER_REAL, asked["wall_s"] + 1)
        reply = _answered(answer, asked)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        last = reply["status"] != "ok" or count == items
        _say({**reply, "number": asked["number"], "last": last})
        if last:
            os._exit(_LAST_ANSWER)


def _read_question() -> dict[str, Any]:
    """Reads one question and nothing of the next, which may be for the next child."""
    asked = read_frame(0)
    if asked is None:
        os._exit(0)
    question: dict[str, Any] = json.loads(asked)
    return question


def _drain() -> None:
    """Drops the questions that a child left unanswered: its caller asks them again."""
    while select.select([0], [], [], 0)[0] and os.read(0, 65536):
        pass


def _answered(answer: Callable[[Any], Any], asked: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"status": "ok", "value": answer(asked["question"])}
    except MemoryError:
        return {"status": "over_memory", "reason": "the worker reached its memory cap"}
    except RecursionError:
        return {"status": "spent", "reason": "the worker reached its depth of calls"}
    except Exception as error:  # noqa: BLE001 - any fault of a parser costs this one question
        return {"status": "failed", "reason": f"{type(error).__name__}: {error}"[:300]}


def _say(message: dict[str, Any]) -> None:
    write_all(1, json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")


def _address_space_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
