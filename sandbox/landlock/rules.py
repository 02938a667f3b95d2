"""Landlock's three system calls: which files a process may reach, and nobody outside of its own domain.

Constants and structures are those of <linux/landlock.h>. A kernel knows the rights up to its version of the
interface; what it does not know it cannot refuse, so those rights are left out and `version` is for the caller
to judge by. Runs on both sides of the sandbox, with the standard library only.
"""

from __future__ import annotations

import ctypes
import os
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_QUIET = 1
"""Refusals are not logged (from version 7 on)."""
_RULESET = Struct("=3Q")
_PATH_RULE = Struct("=Qi")

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_CHAR, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8
_MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = 1 << 9, 1 << 10, 1 << 11, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_ALL_OF_VERSION_1 = (1 << 13) - 1
_BIND_AND_CONNECT_TCP = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

TRUNCATE_SINCE = 3
"""Version from which a file that may only be read cannot be emptied either."""
SIGNALS_SINCE = 6
"""Version from which a process cannot signal those outside of its domain."""

LIST = _READ_DIR
READ = _EXECUTE | _READ_FILE | _READ_DIR
WRITE_DEVICE = _READ_FILE | _WRITE_FILE | _TRUNCATE
OWN_FOLDER = (
    (READ | _WRITE_FILE | _TRUNCATE | _REFER | _REMOVE_DIR | _REMOVE_FILE)
    | (_MAKE_DIR | _MAKE_REG | _MAKE_FIFO | _MAKE_SYM)
)  # fmt: skip
"""No sockets and no devices can be made."""
_FOR_FILES = _EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV


def version() -> int:
    """The version of the interface that this kernel offers; 0 if it has none, or it is switched off."""
    return max(0, _call(_CREATE_RULESET, None, 0, _ASK_VERSION))


def ruleset(paths: Sequence[tuple[str, int]], known: int) -> int:
    """A descriptor of rules that grant the rights to what lies beneath each path, and nothing else.

    TCP, abstract sockets and signals to others are granted to nobody, as far as version `known` can refuse them.
    Paths that do not exist are left out. Raises OSError.
    """
    handled = _handled(known)
    attributes = _RULESET.pack(
        handled,
        _BIND_AND_CONNECT_TCP if known >= 4 else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if known >= SIGNALS_SINCE else 0,
    )
    size = 8 if known < 4 else 16 if known < SIGNALS_SINCE else 24
    rules = _checked(_CREATE_RULESET, ctypes.create_string_buffer(attributes, _RULESET.size), size, 0)
    os.set_inheritable(rules, False)
    grant(rules, paths, known)
    return rules


def grant(rules: int, paths: Sequence[tuple[str, int]], known: int) -> None:
    """Adds to rules that nobody is restricted by yet. Raises OSError."""
    handled = _handled(known)
    for path, rights in paths:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            possible = rights & handled & (-1 if os.path.isdir(path) else _FOR_FILES)
            rule = ctypes.create_string_buffer(_PATH_RULE.pack(possible, place), _PATH_RULE.size)
            _checked(_ADD_RULE, rules, _PATH_BENEATH, rule, 0)
        finally:
            os.close(place)


def restrict_self(rules: int, known: int) -> None:
    """Puts this thread, and all that it starts, into a fresh domain for good. Raises OSError.

    The process must have given up new privileges (PR_SET_NO_NEW_PRIVS).
    """
    _checked(_RESTRICT_SELF, rules, _QUIET if known >= 7 else 0)


def _handled(known: int) -> int:
    rights = _ALL_OF_VERSION_1
    for right, since in ((_REFER, 2), (_TRUNCATE, TRUNCATE_SINCE), (_IOCTL_DEV, 5)):
        if known >= since:
            rights |= right
    return rights


_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return int(_libc.syscall(ctypes.c_long(number), *words))


def _checked(number: int, *arguments: object) -> int:
    result = _call(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock's system call {number}: {os.strerror(error)}")
    return result
