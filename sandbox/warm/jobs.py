"""Jobs for a fork server: the request that it reads itself, and the job that it hands on to the test's process.

Some of it is read off the text of a Python program: signs of what it needs, which save time. Nothing relies on them.
"""

from __future__ import annotations

from typing import Any

from sandbox.inside import wire
from sandbox.languages import Language
from sandbox.model import Limits

Job = tuple[Any, ...]
"""A job's kind, and what goes with it, as `sandbox.inside.child` takes it."""

ENCODER = 1 << wire.PRELOADED.index("_json")
"""Bit of the module that returned values are encoded with."""

_LONGEST_IMPORT = 200
_WITHOUT_OS = {"sys", "math", "time", "itertools", "import", "stdin", "stdout", "__future__", "annotations"}
"""Names in import statements that import nothing which needs the module os, as most of the library does."""
_READS_ITSELF = ("__file__", "argv", "inspect", "linecache", "spawn", "forkserver")
_WRITES_LATE = ("__del__", "open", "TextIOWrapper", "BufferedWriter", "FileIO")


def request(limits: Limits, language: Language, modules: int = 0) -> bytes:
    """A wire.REQUEST; `modules` are bits of those that are imported beforehand."""
    disk = limits.disk_mb << 20
    return wire.REQUEST.pack(
        limits.cpu_s,
        limits.wall_s,
        limits.memory_mb << 20,
        limits.processes,
        limits.output_bytes,
        disk,
        language.stack_mb << 20,
        max(disk, limits.output_bytes + 1, wire.VALUE_BYTES),
        modules,
    )


def script(source: str, code: bytes = b"", is_kept: bool = False) -> Job:
    """A program, by its text or its code; of a text the code can be kept, which the value descriptor is then for."""
    return ("script", code or source, reads_itself(source), writes_late(source), is_kept)


def call(source: str, entry_point: str, arguments: list[list[Any]]) -> Job:
    """Calls of one function."""
    return ("call", source, reads_itself(source), entry_point, arguments)


def named_modules(source: str) -> int:
    """Bits of the modules of wire.PRELOADED that an import statement seems to name."""
    names = {name for line in source.split("\n") for name in _imported(line)}
    if names - _WITHOUT_OS:
        names.add("os")
    return sum(1 << place for place, name in enumerate(wire.PRELOADED) if name in names)


def reads_itself(source: str) -> bool:
    """Whether it may look for its own file; for others there is none, since it costs as much as a test."""
    return any(word in source for word in _READS_ITSELF)


def writes_late(source: str) -> bool:
    """Whether it may write while the interpreter ends: from finalizers, or what is left in a file's buffer."""
    rest = source.replace("open(0", "")  # a usual way to read the input
    suspended = "yield" in rest and ("finally" in rest or "with" in rest or "except" in rest)
    return suspended or any(word in rest for word in _WRITES_LATE)


def _imported(line: str) -> list[str]:
    """The names in an import statement; none for any other line."""
    words = line[: 4 * _LONGEST_IMPORT].replace("\t", " ").strip(" ")
    keyword, _, rest = words.partition(" ")
    if keyword not in {"from", "import"}:
        return []
    rest = rest.partition("#")[0].partition(";")[0][:_LONGEST_IMPORT]
    return "".join(char if char.isalnum() or char == "_" else " " for char in rest).split()
