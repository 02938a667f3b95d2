"""What the text of a Python program says beforehand about what it needs. Nothing here runs it, or relies on it."""

from __future__ import annotations

from sandbox.inside import wire

_LONGEST_IMPORT = 200
_WITHOUT_OS = {"sys", "math", "time", "itertools", "import", "stdin", "stdout"}
"""What statements may name that import nothing which needs the module os, as most of the library does."""
_READS_ITSELF = ("__file__", "argv", "inspect", "linecache", "spawn", "forkserver")
_WRITES_LATE = ("__del__", "open", "TextIOWrapper", "BufferedWriter", "FileIO")


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
