"""Starts processes from lasting threads.

What the kernel is asked to end with its parent ends when the thread that started it ends, not only when the process
does; so what a short-lived thread started would die under its later users.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, TypeVar

_Result = TypeVar("_Result")
_Request = tuple[Callable[[], Any], "Future[Any]"]
standing_back: list[int] = []
"""By how much the niceness of what is started from now on is above that of what was started first, in steps."""
_requests: dict[tuple[int, bool], queue.SimpleQueue[_Request]] = {}


def launch(
    command: Sequence[str],
    *,
    fds: Sequence[int],
    environment: Mapping[str, str],
    within: AbstractContextManager[None] | None = None,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Starts a command with these descriptors and this environment alone, and no streams but those of the options.

    Without a user, group or preexec function among the options this takes vfork: a large caller is never copied.

    Args:
        command: the program and its arguments.
        fds: descriptors that it inherits.
        environment: all of it.
        within: what the thread is put into for the start; such starts have a thread of their own.
        options: of `subprocess.Popen`.

    Raises:
        OSError: it could not be started.
    """
    given: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL) | options

    def start() -> subprocess.Popen[bytes]:
        with within or contextlib.nullcontext():
            return subprocess.Popen(command, pass_fds=fds, env=environment, **given)

    process = _in_a_thread(start, apart=within is not None)
    if standing_back and given.get("start_new_session"):
        # Where the kernel shares the processor out by session, niceness counts only within one.
        with contextlib.suppress(OSError), open(f"/proc/{process.pid}/autogroup", "w", encoding="ascii") as group:
            group.write(str(min(19, sum(standing_back))))
    return process


def where_children_start(work: Callable[[], object]) -> None:
    """Does something in each thread that starts processes, which take after it."""
    for apart in (False, True):
        _in_a_thread(work, apart)


def _in_a_thread(work: Callable[[], _Result], apart: bool) -> _Result:
    done: Future[_Result] = Future()
    _queue(apart).put((work, done))
    return done.result()


def _queue(apart: bool) -> queue.SimpleQueue[_Request]:
    # Keyed by process, since a forked copy of this one has no such threads.
    fresh: queue.SimpleQueue[_Request] = queue.SimpleQueue()
    requests = _requests.setdefault((os.getpid(), apart), fresh)
    if requests is fresh:
        threading.Thread(target=_serve, args=(requests,), daemon=True, name="starter").start()
    return requests


def _serve(requests: queue.SimpleQueue[_Request]) -> None:
    while True:
        _answer(*requests.get())


def _answer(start: Callable[[], Any], started: Future[Any]) -> None:
    try:
        started.set_result(start())
    except Exception as error:  # noqa: BLE001 - handed to the thread that asked
        started.set_exception(error)
