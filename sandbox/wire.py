"""What the host and the fork server say to each other: two fixed-size messages, and descriptors beside them.

The host sends REQUEST with the descriptors of one test; the fork server answers REPLY. Neither message holds
anything that the program wrote, so there is nothing in them to parse.
"""

from __future__ import annotations

import struct
from enum import IntEnum

REQUEST = struct.Struct("<8d")
"""cpu_s, wall_s, memory, processes, output, disk, stack (bytes), file size (bytes)."""

REPLY = struct.Struct("<4i4d")
"""Verdict, exit code or -1, signal or 0, 1 if the folder stayed dirty; cpu_s, wall_s, peak and tree bytes."""

READY = b"ready"
"""First message of a fork server that can take requests."""

CHANNEL_ENV = "SANDBOX_CHANNEL"
"""Environment variable naming the channel's descriptor to the fork server."""

STDIN, STDOUT, STDERR, JOB, VALUE, BINARY = range(6)
"""Order of the descriptors beside a request, and their numbers in the child. BINARY is absent for Python."""

VALUE_BYTES = 8 << 20
"""Largest encoded return value, and largest compiled program."""

VALUE_HEADER = struct.Struct("<cQ")
"""Before a value: `V` (a value) or `E` (a reason in UTF-8), and the length of what follows."""

NO_COMPILER = 127
"""Exit code of a compile job whose compiler does not exist."""


class Verdict(IntEnum):
    """Why the fork server ended a test; NONE: the program ended by itself."""

    NONE = 0
    CPU = 1
    WALL = 2
    MEMORY = 3
    OUTPUT = 4
    DISK = 5
    NOT_STARTED = 6
