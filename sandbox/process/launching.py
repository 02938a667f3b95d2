"""Starts processes from one lasting thread.

What the kernel is asked to end with its parent ends when the thread that started it ends, not only when the process
does; so what a short-lived thread started would die under its later users.
"""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

_Request = tuple[Callable[[], Any], "Future[Any]"]
_requests: dict[int, queue.SimpleQueue[_Request]] = {}


def launch(
    command: Sequence[str], *, fds: Sequence[int], environment: Mapping[str, str], **options: Any
) -> subprocess.Popen[bytes]:
    """Starts a command with these descriptors and this environment alone, and no streams but those of the options.

    Without a user, group or preexec function among the options this takes vfork: a large caller is never copied.
    Raises OSError.
    """
    given: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL) | options
    started: Future[subprocess.Popen[bytes]] = Future()
    _queue().put((lambda: subprocess.Popen(command, pass_fds=fds, env=environment, **given), started))
    return started.result()


def stand_back(niceness: int) -> None:
    """Has all that is started from now on leave the processor to others first, this process among them."""
    told: Future[None] = Future()
    # Of the thread that starts them, from which they have it.
    _queue().put((lambda: os.setpriority(os.PRIO_PROCESS, 0, niceness), told))
    told.result()


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
