"""The words between the host and the fork server: two fixed-size messages, and descriptors beside them.

The host sends REQUEST with the descriptors of one test; the fork server answers REPLY. Neither message holds
anything that the program wrote, so there is nothing in them to parse.
"""

from __future__ import annotations

# Not the modules struct and enum: what runs inside starts with each sandbox, and imports are most of its start.
from _struct import Struct

REQUEST = Struct("<9d")
"""cpu_s, wall_s, memory, processes, output, disk, stack (bytes), file size (bytes), bits of PRELOADED."""

PRELOADED = (
    *("math", "re", "collections", "heapq", "bisect", "itertools", "functools", "string", "operator", "typing"),
    *("copy", "datetime", "decimal", "fractions", "dataclasses", "enum", "json", "cmath", "array", "contextlib"),
    *("numbers", "struct", "numpy"),
)
"""Modules that the fork server imports once, before the first program that names them. Not threading, nor what
imports it: its work at a fork, in every later program, costs more than its import in the few that use it."""

REPLY = Struct("<4i5d")
"""Verdict, exit code or -1, signal or 0, 1 if the folder stayed dirty; cpu_s, wall_s, peak and tree bytes, and the
processor seconds of the fork server itself.

The exit code of what was NOT_STARTED is the error number."""

READY = b"ready"
"""First message of a fork server that can take requests."""

CHANNEL_ENV = "SANDBOX_CHANNEL"
"""Environment variable naming the channel's descriptor to the fork server."""

PACKAGES = "/opt/packages"
"""Folder inside with the third-party packages that programs may import, where there are any."""

CHANNEL = 10
"""Number of the channel's descriptor in the fork server."""

STDIN, STDOUT, STDERR, JOB, VALUE, BINARY = range(6)
"""Order of the descriptors beside a request, and their numbers in the child. BINARY is absent for Python."""

VALUE_BYTES = 8 << 20
"""Most bytes of a compiled program."""

RETURNED_BYTES = 4 << 20
"""Most bytes of the encoded values that the calls of one process return."""

VALUE_HEADER = Struct("<cQ")
"""Before a value: `V` (a value) or `E` (a reason in UTF-8), and the length of what follows."""

NO_COMPILER = 127
"""Exit code of a compile job whose compiler does not exist."""


class StopReason:
    """Why the fork server ended a test; NONE: the program ended by itself."""

    NONE, CPU, WALL, MEMORY, OUTPUT, DISK, PROCESSES, NOT_STARTED = range(8)
