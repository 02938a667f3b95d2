"""Errors of the system beneath a run, as sentences with their remedies."""

from __future__ import annotations

import errno
import signal
import sqlite3
from pathlib import Path

from sandbox.process.child import exit_reason

SYSTEM = (OSError, sqlite3.Error)
"""The errors of the system when a disk, a database or a permission fails."""

REASONS = {
    errno.ENOSPC: "the disk is full; make room",
    errno.EDQUOT: "the disk quota is used up; make room",
    errno.EROFS: "the file system is read-only; make it writable",
    errno.EACCES: "there is no permission to write; give it",
    errno.EMFILE: "too many files are open; raise `ulimit -n`",
    errno.EIO: "the disk failed; check it",
}
PATH_FAULTS = frozenset((errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR))
"""Where the path that somebody gave is to blame, and nothing had begun."""
TEXTS = {
    "No space left on device": errno.ENOSPC,
    "disk is full": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "Read-only file system": errno.EROFS,
    # In Rust's words: a server may deny permission, too.
    "Permission denied (os error 13)": errno.EACCES,
    "readonly database": errno.EROFS,
    "disk I/O error": errno.EIO,
}
"""How libraries that raise errors of their own say the same."""
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "Cannot allocate memory")
DAMAGED_DATABASE = ("malformed", "not a database")


def sentence(error: BaseException, folder: Path | str) -> str:
    """One sentence, for a person, on what stopped a run.

    Args:
        error: what was raised.
        folder: the run directory, which is named where the error names no file.
    """
    text = str(error)
    number = getattr(error, "errno", None) or next((n for part, n in TEXTS.items() if part in text), None)
    if number in REASONS:
        return f"{getattr(error, 'filename', None) or folder}: {REASONS[number]} and run the same command again"
    if isinstance(error, sqlite3.Error) and any(part in text for part in DAMAGED_DATABASE):
        return (
            f"{folder}/store: a database is damaged ({text}); move its .sqlite files away and run the same command "
            "again: verdicts are reached anew, and endpoints are asked anew"
        )
    return text


def worker_sentence(error: Exception) -> str:
    """The error of a worker's job, in one line."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or any(part in text for part in OUT_OF_MEMORY):
        remedy = "lower engine.batch_tokens or the batch size in the trainer's args"
        return f"a worker ran out of memory; {remedy} ({text[:200]})".replace("\n", " ")
    known = sentence(error, "the run directory")
    return f"a worker failed: {text if known == str(error) else known}"


def lost_worker_sentence(exit_code: int) -> str:
    """The end of a worker that is gone, in one line; the exit code is negative for a signal."""
    if exit_code == -signal.SIGKILL:
        return (
            "a worker was killed by the system, most likely since memory ran out; lower engine.batch_tokens, the batch "
            "size in the trainer's args or compute.workers, and run the same command again"
        )
    return f"a worker failed: its process {exit_reason(exit_code)}"
