"""Further refusals of the system-call filter where there are no namespaces. Filters add up: the strictest counts.

Without a network, IPC or pid namespace of its own a program would share sockets, System V objects and process
numbers with the host; without a mount namespace it can name the host's files, and Landlock guards what is in
them, not their modes, owners and times.
"""

from __future__ import annotations

import errno
import platform

from sandbox.landlock.inside import OWN_GROUP, OWN_PID
from sandbox.landlock.rules import SIGNALS_SINCE, TRUNCATE_SINCE
from sandbox.seccomp.bpf import Filter, Numbers

_STREAM, _SEQPACKET, _TYPE_BITS = 1, 5, 0xF
_AF_UNIX = 1
_PR_SET_DUMPABLE = 4
_F_SETOWN, _F_SETOWN_EX = 8, 15
_SET_OWNER = (0x8901, 0x8902)
"""FIOSETOWN and SIOCSPGRP."""

_SHARED_IPC: dict[str, Numbers] = {
    "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192), "msgsnd": (69, 189), "msgrcv": (70, 188),
    "msgctl": (71, 187), "shmctl": (31, 195), "shmdt": (67, 197), "mq_unlink": (241, 181), "mq_timedsend": (242, 182),
    "mq_timedreceive": (243, 183), "mq_notify": (244, 184), "mq_getsetattr": (245, 185),
    "inotify_add_watch": (254, 27),
}  # fmt: skip
_TRUNCATE: dict[str, Numbers] = {"truncate": (76, 45)}
_TIMES: dict[str, Numbers] = {
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
}  # fmt: skip
_ATTRIBUTES: dict[str, Numbers] = {
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
}  # fmt: skip
_MODES: dict[str, Numbers] = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
}  # fmt: skip
_OWNERS: dict[str, Numbers] = {
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
}  # fmt: skip
_SIGNALS: dict[str, Numbers] = {
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}  # fmt: skip
_PIDFD_SEND_SIGNAL: dict[str, Numbers] = {"pidfd_send_signal": (424, 424)}
_SOCKET, _SOCKETPAIR, _PRCTL, _IOCTL, _FCNTL = (41, 198), (53, 199), (157, 167), (16, 29), (72, 25)
_ANY_BIT = 0xFFFFFFFF


def shared_filter(version: int, machine: str = platform.machine()) -> bytes:
    """For the fork server and all that it starts: no sockets but connected pairs, no System V IPC, and nothing
    that changes a file which its user may write, but Landlock does not let it open.

    A pair of datagram sockets is refused too, since such a socket sends to any other by its name. Times are only
    pretended to change: programs that copy files set them, and do not look again.
    """
    rules = Filter(machine)
    rules.refuse(_SHARED_IPC)
    rules.refuse(_ATTRIBUTES)
    rules.refuse(_TIMES, error=0)
    if version < TRUNCATE_SINCE:
        rules.refuse(_TRUNCATE)
    rules.refuse({"socket": _SOCKET}, errno.EAFNOSUPPORT)
    connected_pair = [(0, (_AF_UNIX,), _ANY_BIT), (1, (_STREAM, _SEQPACKET), _TYPE_BITS)]
    rules.refuse_unless(_SOCKETPAIR, connected_pair, errno.EAFNOSUPPORT)
    rules.refuse_if(_PRCTL, 0, (_PR_SET_DUMPABLE,))
    return rules.program()


def program_filter(version: int, own_user: bool, machine: str = platform.machine()) -> bytes:
    """For the process of one test, with marks for its numbers; empty if nothing needs it.

    Args:
        version: of Landlock. Before signals could be refused there, a program may signal only itself.
        own_user: whether no file of the host belongs to the user that programs run as.
        machine: processor architecture.
    """
    if version >= SIGNALS_SINCE and own_user:
        return b""
    rules = Filter(machine)
    if version < SIGNALS_SINCE:
        _refuse_signals(rules)
    if not own_user:
        # Pretended, as times are.
        rules.refuse(_MODES, error=0)
        rules.refuse(_OWNERS)
    return rules.program()


def _refuse_signals(rules: Filter) -> None:
    for name, numbers in _SIGNALS.items():
        allowed = (OWN_PID, OWN_GROUP, 0) if name == "kill" else (OWN_PID,)
        rules.refuse_unless(numbers, [(0, allowed, _ANY_BIT)])
    rules.refuse(_PIDFD_SEND_SIGNAL)
    rules.refuse_if(_FCNTL, 1, (_F_SETOWN, _F_SETOWN_EX))
    rules.refuse_if(_IOCTL, 1, _SET_OWNER)
