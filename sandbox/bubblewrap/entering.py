"""A thread as another user in another mount namespace, so that what it starts is there at once.

A helper between them, such as nsenter, would be one more program to start, a thirtieth of a sandbox's whole start.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
from collections.abc import Iterator, Sequence

_CLONE_FS, _CLONE_NEWNS = 0x200, 0x20000
_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4
_NUMBERS = {"x86_64": (117, 119, 116), "aarch64": (147, 149, 159)}
"""Of setresuid, setresgid and setgroups. By the C library's own functions every thread would change its user."""
_LIKE_BEFORE = -1
_libc = ctypes.CDLL(None, use_errno=True)
_paused: list[bool] = []


@contextlib.contextmanager
def entered(namespace: int, user: int) -> Iterator[None]:
    """The calling thread, and no other of this process, as that user and group and in that mount namespace.

    It can become root again, and does at the end; a program that it starts cannot, since that keeps the effective user
    alone. No garbage is collected meanwhile: what finalizers of the caller's objects do, they do as root and with the
    host's files. The thread's current folder is its own from then on.

    Args:
        namespace: its descriptor.
        user: whom nothing belongs to.

    Raises:
        OSError: the kernel refuses.
        KeyError: the processor's system calls are not known.
    """
    set_users, set_groups_of, set_groups = _NUMBERS[platform.machine()]
    with contextlib.ExitStack() as undo:
        if gc.isenabled():
            undo.callback(_collect_again)
            _paused.append(True)
            gc.disable()
        if _checked(_libc.prctl, _PR_GET_DUMPABLE, 0, 0, 0, 0) == 1:
            # The kernel takes it from a process one of whose threads changes its user.
            undo.callback(_checked, _libc.prctl, _PR_SET_DUMPABLE, 1, 0, 0, 0)
        _checked(_libc.unshare, _CLONE_FS)
        home = undo.enter_context(_opened("/proc/thread-self/ns/mnt"))
        undo.callback(_return, home, undo.enter_context(_opened("/")))
        _checked(_libc.setns, namespace, _CLONE_NEWNS)
        undo.callback(_set_groups, set_groups, os.getgroups())
        _set_groups(set_groups, ())
        undo.callback(_checked, _libc.syscall, set_groups_of, *os.getresgid())
        _checked(_libc.syscall, set_groups_of, user, user, 0)
        undo.callback(_checked, _libc.syscall, set_users, *os.getresuid())
        # Rights come back with the effective user, and with them all else.
        undo.callback(_checked, _libc.syscall, set_users, _LIKE_BEFORE, 0, _LIKE_BEFORE)
        _checked(_libc.syscall, set_users, user, user, 0)
        yield


def _collect_again() -> None:
    if _paused:
        _paused.clear()
        gc.enable()


# For a copy of this process that another thread makes meanwhile.
os.register_at_fork(after_in_child=_collect_again)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _return(namespace: int, root: int) -> None:
    _checked(_libc.setns, namespace, _CLONE_NEWNS)
    os.fchdir(root)
    os.chroot(".")


def _set_groups(number: int, groups: Sequence[int]) -> None:
    _checked(_libc.syscall, number, len(groups), (ctypes.c_uint * len(groups))(*groups))


def _checked(call: ctypes._NamedFuncPointer, *arguments: object) -> int:
    result = int(call(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the sandbox's thread could not enter its namespace: {os.strerror(number)}")
    return result
