"""What the system-call filter must also refuse where there are no namespaces. Filters add up: the strictest counts.

Without a network, IPC or pid namespace of its own a program would share sockets, System V objects and process
numbers with the host; without a mount namespace it can name the host's files, and Landlock guards what is in
them, not their modes, owners and times.
"""

from __future__ import annotations

import errno
import platform
from struct import pack

from sandbox.landlock_rules import SIGNALS_SINCE, TRUNCATE_SINCE
from sandbox.seccomp import Architecture, Filter, architecture

_STREAM, _SEQPACKET, _TYPE_BITS = 1, 5, 0xF
_AF_UNIX = 1
_PR_SET_DUMPABLE = 4
_F_SETOWN, _F_SETOWN_EX = 8, 15
_SET_OWNER = (0x8901, 0x8902)
"""FIOSETOWN and SIOCSPGRP."""
_SET_FLAGS = (0x40086602, 0x401C5820)
"""FS_IOC_SETFLAGS and FS_IOC_FSSETXATTR."""
_OWN_PID, _OWN_GROUP = 0x5A5AA5A1, 0x5A5AA5A2
"""Stand for numbers that are known only in the process that the filter is for."""

# Name: number on x86_64, number on aarch64 (None where the call does not exist).
_SHARED_IPC: dict[str, tuple[int | None, int | None]] = {
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "shmctl": (31, 195),
    "shmdt": (67, 197),
    "mq_unlink": (241, 181),
    "mq_timedsend": (242, 182),
    "mq_timedreceive": (243, 183),
    "mq_notify": (244, 184),
    "mq_getsetattr": (245, 185),
    "inotify_add_watch": (254, 27),
}
_TRUNCATE: dict[str, tuple[int | None, int | None]] = {"truncate": (76, 45)}
_MODES_AND_TIMES: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
}
"""Pretended: programs that copy files set these, and do not look again."""
_OWNERS_AND_ATTRIBUTES: dict[str, tuple[int | None, int | None]] = {
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}
_SIGNALS: dict[str, tuple[int, int]] = {
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}
_PIDFD_SEND_SIGNAL: dict[str, tuple[int | None, int | None]] = {"pidfd_send_signal": (424, 424)}
_FCNTL = (72, 25)


def shared_filter(version: int, machine: str = platform.machine()) -> bytes:
    """For the fork server and all that it starts: no sockets but connected pairs, no System V IPC, no watching.

    A pair of datagram sockets is refused too, since such a socket sends to any other by its name.
    """
    arch = architecture(machine)
    rules = Filter(arch)
    rules.refuse(_SHARED_IPC)
    if version < TRUNCATE_SINCE:
        rules.refuse(_TRUNCATE)
    rules.on(arch.socket, rules.refusal(errno.EAFNOSUPPORT))
    rules.on(
        arch.socketpair,
        rules.unless_word(0, (_AF_UNIX,), errno.EAFNOSUPPORT)
        + rules.unless_word(1, (_STREAM, _SEQPACKET), errno.EAFNOSUPPORT, mask=_TYPE_BITS),
    )
    rules.on(arch.prctl, rules.if_word(0, (_PR_SET_DUMPABLE,), errno.EPERM))
    return rules.program()


def program_filter(version: int, own_user: bool, machine: str = platform.machine()) -> bytes:
    """For the process of one test, to be completed by `for_process`; empty if nothing needs it.

    Args:
        version: of Landlock. Before signals could be refused there, a program may signal only itself.
        own_user: whether no file of the host belongs to the user that programs run as.
        machine: processor architecture.
    """
    if version >= SIGNALS_SINCE and own_user:
        return b""
    arch = architecture(machine)
    rules = Filter(arch)
    ioctls: tuple[int, ...] = ()
    if version < SIGNALS_SINCE:
        _refuse_signals(rules, arch)
        ioctls += _SET_OWNER
    if not own_user:
        rules.pretend(_MODES_AND_TIMES)
        rules.refuse(_OWNERS_AND_ATTRIBUTES)
        ioctls += _SET_FLAGS
    rules.on(arch.ioctl, rules.if_word(1, ioctls, errno.EPERM))
    return rules.program()


def for_process(program: bytes, pid: int) -> bytes:
    """The filter with the numbers of the process that installs it, the leader of its own group."""
    return program.replace(pack("<I", _OWN_PID), pack("<I", pid)).replace(pack("<I", _OWN_GROUP), pack("<i", -pid))


def _refuse_signals(rules: Filter, arch: Architecture) -> None:
    for name, numbers in _SIGNALS.items():
        allowed = (_OWN_PID, _OWN_GROUP, 0) if name == "kill" else (_OWN_PID,)
        rules.on(numbers[arch.column], rules.unless_word(0, allowed, errno.EPERM))
    rules.refuse(_PIDFD_SEND_SIGNAL)
    rules.on(_FCNTL[arch.column], rules.if_word(1, (_F_SETOWN, _F_SETOWN_EX), errno.EPERM))
