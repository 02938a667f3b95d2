"""Starts processes from one lasting thread.

The kernel ends a sandbox when the thread that started it ends, not only when the process does; so a sandbox
opened by a short-lived thread would die under its later users.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

_starters: dict[int, ThreadPoolExecutor] = {}


def start_process(command: Sequence[str], pass_fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """Starts a command with no input, no environment but PATH, and the given descriptors. Raises OSError."""
    # Keyed by process, since a forked copy of this one has no such thread.
    starter = _starters.setdefault(os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="sandbox-starter"))
    return starter.submit(_start, command, pass_fds).result()


def _start(command: Sequence[str], pass_fds: Sequence[int]) -> subprocess.Popen[bytes]:
    # Without a user, group or preexec function this takes vfork: a large caller is never copied.
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=pass_fds,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        cwd="/",
    )
