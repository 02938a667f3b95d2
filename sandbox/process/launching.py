"""Starts processes from one lasting thread.

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
from typing import Any, TypeVar

_Result = TypeVar("_Result")
_Request = tuple[Callable[[], Any], "Future[Any]"]
_standing_back: list[int] = []
_requests: dict[int, queue.SimpleQueue[_Request]] = {}


def launch(
    command: Sequence[str], *, fds: Sequence[int], environment: Mapping[str, str], **options: Any
) -> subprocess.Popen[bytes]:
    """Starts a command with these descriptors and this environment alone, and no streams but those of the options.

    Without a user, group or preexec function among the options this takes vfork: a large caller is never copied.
    Raises OSError.
    """
    given: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL) | options
    process = _in_the_thread(lambda: subprocess.Popen(command, pass_fds=fds, env=environment, **given))
    if _standing_back and given.get("start_new_session"):
        # Where the kernel shares the processor out by session, niceness counts only within one.
        with contextlib.suppress(OSError), open(f"/proc/{process.pid}/autogroup", "w", encoding="ascii") as group:
            group.write(str(min(19, sum(_standing_back))))
    return process


def stand_back(niceness: int) -> None:
    """Has all that is started from now on leave the processor to others first, this process among them."""
    _in_the_thread(lambda: os.nice(niceness))
    _standing_back.append(niceness)


def _in_the_thread(work: Callable[[], _Result]) -> _Result:
    done: Future[_Result] = Future()
    _queue().put((work, done))
    return done.result()


def _queue() -> queue.SimpleQueue[_Request]:
    # Keyed by process, since a forked copy of this one has no such thread.
    fresh: queue.SimpleQueue[_Request] = queue.SimpleQueue()
    requests = _requests.setdefault(os.getpid(), fresh)
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
