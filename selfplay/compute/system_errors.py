"""Errors of the system beneath a run, as sentences with their remedies."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
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
TORN = (("unexpected pos ",), ("PytorchStreamWriter failed writing",), (" requested and ", " written"))
"""Texts, all parts together, by which torch's writer of archives and numpy say that a file was cut, and not why."""
TORN_REASON = "a file could not be written to its end, as on a full disk or past a quota; make room"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
FULL_BYTES = 2**30
"""Room below which a file that was cut was cut by a full disk: what was begun may have been cleared away since."""
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "Cannot allocate memory")
DAMAGED_DATABASE = ("malformed", "not a database")
UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
RUN = "SELFPLAY_RUN_FOLDER"
"""Names the run directory in a worker's environment."""


def is_for_a_person(error: BaseException) -> bool:
    """Whether an error is one of the system beneath a run, whichever library raised it."""
    return isinstance(error, SYSTEM) or _number(error) in NO_ROOM or _is_torn(error)


def sentence(error: BaseException, folder: Path | str) -> str:
    """One sentence, for a person, on what stopped a run; of a full disk with the room that is left.

    Args:
        folder: the run directory, which is named where the error names no file.
    """
    text = str(error)
    number = _number(error)
    named = next((file for one in _chain(error) if (file := getattr(one, "filename", None)) is not None), None)
    if number == errno.ENOSPC or (number is None and _is_torn(error)):
        place, room = _fullest(named, folder)
        is_full = number is not None or room is None or room < FULL_BYTES
        return _again(f"{place}{_left(room)}", REASONS[errno.ENOSPC] if is_full else TORN_REASON)
    if number in REASONS:
        return _again(str(named or folder), REASONS[number])
    if isinstance(error, sqlite3.Error) and any(part in text for part in DAMAGED_DATABASE):
        return (
            f"{folder}/store: a database is damaged ({text}); move its .sqlite files away and run the same command "
            "again: verdicts are reached anew, and endpoints are asked anew"
        )
    return text


def _again(place: str, reason: str) -> str:
    return f"{place}: {reason} and run the same command again"


def _number(error: BaseException) -> int | None:
    """The system's number of an error; of those that led to it, only those of a disk without room count."""
    for one in _chain(error):
        number = getattr(one, "errno", None) or next((n for part, n in TEXTS.items() if part in str(one)), None)
        if number is not None and (one is error or number in NO_ROOM):
            return int(number)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that led to it."""
    seen: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in seen:
        seen.append(one)
        yield one
        one = one.__cause__ or one.__context__


def _is_torn(error: BaseException) -> bool:
    return any(all(part in str(one) for part in parts) for one in _chain(error) for parts in TORN)


def _fullest(named: object, folder: Path | str) -> tuple[str, int | None]:
    """The place that has no room, and the bytes that are left there: the file that an error names, or else the fullest
    of the places that a run writes to."""
    if named is not None:
        return os.fsdecode(named) if isinstance(named, bytes | str | Path) else str(folder), _room(named)
    models = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    rooms = {str(place): _room(place) for place in (folder, tempfile.gettempdir(), models)}
    known = {place: room for place, room in rooms.items() if room is not None}
    # Another place has clearly less: while others write, the room of one disk is another at each look.
    place = min(known, key=lambda one: known[one] * (1 if one == str(folder) else 2), default=str(folder))
    return place, known.get(place)


def _room(place: object) -> int | None:
    """The bytes that are left where a file lies, or is to lie; None where nobody knows."""
    path = Path(os.fsdecode(place) if isinstance(place, bytes | str | Path) else ".").absolute()
    for one in (path, *path.parents):
        try:
            found = os.statvfs(one)
        except OSError:
            continue
        no_files = found.f_files and not found.f_favail
        return 0 if no_files else found.f_bavail * found.f_frsize
    return None


def _left(room: int | None) -> str:
    if room is None:
        return ""
    size, unit = next(((size, unit) for size, unit in UNITS if room >= size), UNITS[-1])
    return f" ({room / size:.1f} {unit} left)"


def worker_sentence(error: Exception) -> str:
    """The error of a worker's job, in one line."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or any(part in text for part in OUT_OF_MEMORY):
        remedy = "lower engine.batch_tokens or the batch size in the trainer's args"
        return f"a worker ran out of memory; {remedy} ({text[:200]})".replace("\n", " ")
    known = sentence(error, os.environ.get(RUN, "the run directory"))
    return f"a worker failed: {text if known == str(error) else known}"


def lost_worker_sentence(exit_code: int) -> str:
    """The end of a worker that is gone, in one line; the exit code is negative for a signal."""
    if exit_code == -signal.SIGKILL:
        return (
            "a worker was killed by the system, most likely since memory ran out; lower engine.batch_tokens, the batch "
            "size in the trainer's args or compute.workers, and run the same command again"
        )
    if exit_code == -signal.SIGBUS:
        return (
            "a worker could not read or write a mapped file, most likely since its disk or /dev/shm is full; make room "
            "and run the same command again"
        )
    return f"a worker failed: its process {exit_reason(exit_code)}"
