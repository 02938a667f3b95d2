"""Users for sandboxes of a caller with root's rights: one for each, since the kernel counts by user what it lends.

Room in pipes, descriptors under way in sockets, pending signals: one sandbox that takes all that its user may have
leaves its neighbours without.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
from collections.abc import Collection
from pathlib import Path

_SMALL_RANGE = (61184, 65520)
_LARGE_RANGE = (1_900_000_000, 2_000_000_000)
"""Users that a host's own accounts do not have; the small one is for hosts that map only 65536 of them."""
_ATTEMPTS = 100


def fresh_user(taken: Collection[int] = ()) -> int:
    """A user at random, whom no other sandbox is likely to have, and none of those that are taken. Raises OSError."""
    low, high = _range()
    for _ in range(_ATTEMPTS):
        user = low + secrets.randbelow(high - low)
        if user not in taken:
            return user
    raise OSError("no unused user was found")


def owners_of_processes() -> dict[int, int]:
    """Users of all processes."""
    owners = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                owners[int(name)] = os.stat(f"/proc/{name}").st_uid
    return owners


@functools.cache
def _range() -> tuple[int, int]:
    mapped = [list(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    everybody = any(inside == 0 and length > _LARGE_RANGE[1] for inside, _, length in mapped)
    return _LARGE_RANGE if everybody else _SMALL_RANGE
