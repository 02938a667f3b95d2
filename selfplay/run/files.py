"""The small files of a run directory: written whole or not at all, and read with an error that names the remedy."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from selfplay.config.errors import UserError
from selfplay.config.values.secrets import struck
from verifiers.untrusted import files

BLOCK_BYTES = 1_000_000


class RunError(UserError):
    """A run directory that cannot be used as asked; the message names it and the remedy."""


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        RunError: the file is damaged.
    """
    content = files.read_json(path, RunError, "it is damaged: delete it and run again")
    if not isinstance(content, dict):
        raise RunError(f"{path}: holds no JSON object; delete it and run again")
    return content


def open_lock(run_path: Path, flags: int = os.O_RDONLY) -> BinaryIO:
    """The file whose lock says that a process runs the run; no link, which could lead out of it."""
    remedy = "delete it, or choose another with --run-dir"
    return files.open_file(run_path / "lock", RunError, remedy, flags | os.O_NOFOLLOW)


def locked(file: IO[Any], how: int = fcntl.LOCK_EX) -> bool:
    """Takes the lock of an open file, unless another process has it; whether it was taken."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON object durably and atomically."""
    write_text(path, json.dumps(finite(content), indent=1, sort_keys=True, allow_nan=False) + "\n")


def finite(value: Any) -> Any:
    """The value with null for numbers that JSON lacks."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_text(path: Path, text: str) -> None:
    """Writes a text file durably and atomically, without what looks like a secret."""
    with whole_file(path) as file:
        file.write(struck(text).encode("utf-8"))


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes its name once it is on disk whole; folders above it are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        # On a disk that is full, what is left of it must not take the room.
        partial.unlink(missing_ok=True)
        raise


def repair_lines(file: Path) -> None:
    """Cuts off a last line that a kill left without its end; reads the file from behind, since logs grow long."""
    if not file.exists():
        return
    with files.open_file(file, RunError, flags=os.O_RDWR) as handle:
        whole, newline = handle.seek(0, os.SEEK_END), -1
        while whole and newline < 0:
            start = max(0, whole - BLOCK_BYTES)
            handle.seek(start)
            newline = handle.read(whole - start).rfind(b"\n")
            whole = start + newline + 1
        handle.truncate(whole)


def sync_folder(folder: Path) -> None:
    """Flushes every file below a folder to disk."""
    for file in folder.rglob("*"):
        if file.is_file():
            with files.open_file(file, RunError) as handle:
                os.fsync(handle.fileno())


def sync_directory_entry(folder: Path) -> None:
    """Flushes a directory's list of names to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def contents_hash(paths: Iterable[Path]) -> str:
    """SHA-256 over the contents of files, one after the other; one that is not there has none."""
    digest = hashlib.sha256()
    for file in paths:
        if file.is_file():
            files.add_file(digest, file, RunError)
    return digest.hexdigest()


def remove_folder(folder: Path) -> None:
    """Removes a folder if it is there."""
    if folder.exists():
        shutil.rmtree(folder)
