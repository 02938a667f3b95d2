"""The words between the host and the fork server: two fixed-size messages, and descriptors beside them.

The host sends REQUEST with the descriptors of one test; the fork server answers REPLY. Neither message holds
anything that the program wrote, so there is nothing in them to parse.
"""

from __future__ import annotations


class Doubles:
    """A message of so many floating-point numbers, by the built-in types alone.

    A module such as struct would be loaded with each sandbox, and what it maps be copied for each test.
    """

    def __init__(self, count: int) -> None:
        self.size = 8 * count
        """Bytes."""

    def pack(self, *numbers: float) -> bytes:
        """The message. Raises IndexError if there are too many numbers."""
        message = bytearray(self.size)
        places = memoryview(message).cast("d")
        for place, number in enumerate(numbers):
            places[place] = number
        return bytes(message)

    def unpack(self, message: bytes) -> tuple[float, ...]:
        """The numbers of a message of the right size."""
        return tuple(memoryview(message).cast("d"))


REQUEST = Doubles(9)
"""cpu_s, wall_s, memory, processes, output, disk, stack (bytes), file size (bytes), bits of PRELOADED."""

PRELOADED = (
    *("math", "re", "collections", "heapq", "bisect", "itertools", "functools", "string", "operator", "typing"),
    *("copy", "datetime", "decimal", "fractions", "dataclasses", "enum", "json", "cmath", "array", "contextlib"),
    *("numbers", "struct", "numpy", "_json", "os", "__future__"),
)
"""Modules that the fork server imports once, before the first program that names them. Not threading, nor what
imports it: its work at a fork, in every later program, costs more than its import in the few that use it."""

REPLY = Doubles(9)
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

STDIN, STDOUT, STDERR, VALUE = range(4)
BINARY, JOB = VALUE, -1
"""Order of the descriptors beside a request, and their numbers in the child, which has not the job's, the last of them.
VALUE is there where a function is called, a program compiled or its code kept, and BINARY where one is executed."""

VALUE_BYTES = 8 << 20
"""Most bytes of a compiled program."""

RETURNED_BYTES = 4 << 20
"""Most bytes of the encoded values that the calls of one process return."""

LENGTH_BYTES = 8
"""Before a value stand `V` (a value) or `E` (a reason in UTF-8), and the length of what follows in so many bytes."""

NO_COMPILER = 127
"""Exit code of a compile job whose compiler does not exist."""


class StopReason:
    """Why the fork server ended a test; NONE: the program ended by itself."""

    NONE, CPU, WALL, MEMORY, OUTPUT, DISK, PROCESSES, NOT_STARTED = range(8)
