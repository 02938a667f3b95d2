"""How a run is stopped from outside, and what a person reads then."""

from __future__ import annotations

import errno
import signal
import sqlite3
from pathlib import Path
from types import FrameType

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes, as shells have them for SIGINT and SIGTERM."""

SYSTEM = (OSError, sqlite3.Error)
"""Errors of the system beneath a run."""
REASONS = {
    errno.ENOSPC: "the disk is full; make room",
    errno.EDQUOT: "the disk quota is used up; make room",
    errno.EROFS: "the file system is read-only; make it writable",
    errno.EACCES: "there is no permission to write; give it",
    errno.EMFILE: "too many files are open; raise `ulimit -n`",
    errno.EIO: "the disk failed; check it",
}


SQLITE_REASONS = {"disk is full": errno.ENOSPC, "readonly": errno.EROFS, "disk I/O": errno.EIO}


class Terminated(KeyboardInterrupt):
    """SIGTERM, which schedulers send before they kill."""


def stop_on_sigterm() -> None:
    """Has SIGTERM end a run in order, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(signum: int, frame: FrameType | None) -> None:
    # A second one, while the first is being obeyed, changes nothing.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def sentence(error: BaseException, folder: Path) -> str:
    """What stopped a run, for a person: errors of the system get their remedy."""
    cause = error.__cause__ or error
    number = getattr(cause, "errno", None)
    if isinstance(cause, sqlite3.Error):
        number = next((number for text, number in SQLITE_REASONS.items() if text in str(cause)), None)
    if number in REASONS:
        return f"{getattr(cause, 'filename', None) or folder}: {REASONS[number]} and run the same command again."
    return str(error)
