"""The system-call filter as a classic BPF program: pure data, so that no library is needed to install it.

The filter is a deny list up to the newest call that was examined, and refuses every later one. Everything an
ordinary program needs stays allowed; what reaches other processes, the kernel's administration, new namespaces,
amounts that the whole host shares, or memory that outlives a test is refused with an error code.
"""

from __future__ import annotations

import errno
import functools
import platform

from sandbox.seccomp.bpf import Filter, Numbers, known_machine

_FIRST_UNEXAMINED = 471
"""Calls from here on are newer than this list; x32's numbers (from 0x40000000) are above it too."""

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
_MAP_HUGETLB = 0x40000
"""Pages of the host's reserve of huge ones, which no limit on a process counts."""
_AF_UNIX = 1
_TERMINAL_INJECTION = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX, which type into a terminal."""
_SET_FLAGS = (0x40086602, 0x40046602, 0x401C5820, 0x40087602)
"""FS_IOC_SETFLAGS with its 32-bit form, FS_IOC_FSSETXATTR and FS_IOC_SETVERSION: lasting marks on a file or folder."""
_WATCHES = (1024, 1026, 1040)
"""F_SETLEASE, F_NOTIFY and F_SETDELEG, which make a process hear of, or hold up, what others do to a file or folder."""
_PR_SCHED_CORE = 62
"""Puts another process, such as the fork server, on cores of its own."""
_BUFFER_SIZES = (7, 8, 32, 33)
"""SO_SNDBUF, SO_RCVBUF and their FORCE forms: kernel memory that no limit on a process counts."""
_PRIO_PROCESS = 0
_ANY_BIT = 0xFFFFFFFF

_DENIED: dict[str, Numbers] = {
    # mounts and roots
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467), "swapon": (167, 224),
    "swapoff": (168, 225), "quotactl": (179, 60), "quotactl_fd": (443, 443), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # new namespaces
    "unshare": (272, 97), "setns": (308, 268),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "kcmp": (312, 272), "pidfd_getfd": (438, 438),
    "move_pages": (279, 239), "migrate_pages": (256, 238), "get_robust_list": (274, 100), "ioprio_set": (251, 30),
    # the kernel's administration
    "reboot": (169, 142), "acct": (163, 89), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "syslog": (103, 116), "vhangup": (153, 58),
    "uselib": (134, None), "ustat": (136, None), "sysfs": (139, None), "personality": (135, 92),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "bpf": (321, 280), "perf_event_open": (298, 241), "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263), "lookup_dcookie": (212, 18), "listns": (470, 470), "file_setattr": (469, 469),
    # amounts that all of the host, or all of a user's processes, share
    "io_setup": (206, 0), "inotify_init": (253, None), "inotify_init1": (294, 26),
    # large attack surface, no honest use here
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "vmsplice": (278, 75), "mbind": (237, 235), "set_mempolicy": (238, 237),
    "set_mempolicy_home_node": (450, 450), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # memory that outlives a process or escapes its limits
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180), "mlock": (149, 228), "mlock2": (325, 284),
    "mlockall": (151, 230),
}  # fmt: skip
_ONLY_ON_ITSELF: dict[str, Numbers] = {
    "prlimit64": (302, 261), "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274),
}  # fmt: skip
"""Calls whose first argument is a process: 0 (the caller) passes, another could be the fork server."""

_PRETENDED: dict[str, Numbers] = {
    "sync": (162, 81), "syncfs": (306, 267), "fsync": (74, 82), "fdatasync": (75, 83), "sync_file_range": (277, 84),
}  # fmt: skip
"""Calls that succeed without doing anything. A program's own files lie in memory; on a file of the host, opened for
reading, these would flush the host's disks, and a process that waits for a disk cannot be ended."""


_CLONE, _CLONE3, _SOCKET, _SOCKETPAIR, _SETSOCKOPT = (56, 220), (435, 435), (41, 198), (53, 199), (54, 208)
_IOCTL, _FCNTL, _PRCTL, _SETPRIORITY, _MMAP = (16, 29), (72, 25), (157, 167), (141, 140), (9, 222)


def supported(machine: str = platform.machine()) -> bool:
    """Whether a filter exists for this processor architecture."""
    return known_machine(machine)


@functools.cache
def filter_program(machine: str = platform.machine()) -> bytes:
    """The filter as an array of `struct sock_filter`, in the form that bwrap --seccomp reads.

    Raises KeyError for an architecture other than x86_64 and aarch64.
    """
    rules = Filter(machine)
    rules.refuse_from(_FIRST_UNEXAMINED)
    rules.refuse(_DENIED)
    rules.refuse(_PRETENDED, error=0)
    for call in _ONLY_ON_ITSELF.values():
        rules.refuse_unless(call, [(0, (0,), _ANY_BIT)])
    rules.refuse_unless(_SETPRIORITY, [(0, (_PRIO_PROCESS,), _ANY_BIT), (1, (0,), _ANY_BIT)])
    rules.refuse_unless(_CLONE, [(0, (0,), _NEW_NAMESPACES)])
    # The flags of clone3 lie in memory, out of a filter's sight: its absence makes the C library use clone.
    rules.refuse({"clone3": _CLONE3}, errno.ENOSYS)
    for call in (_SOCKET, _SOCKETPAIR):
        rules.refuse_unless(call, [(0, (_AF_UNIX,), _ANY_BIT)], errno.EAFNOSUPPORT)
    rules.refuse_unless(_MMAP, [(3, (0,), _MAP_HUGETLB)], errno.ENOMEM)
    # Refused in silence, as the kernel itself caps these sizes in silence.
    rules.refuse_if(_SETSOCKOPT, 2, _BUFFER_SIZES, error=0)
    rules.refuse_if(_PRCTL, 0, (_PR_SCHED_CORE,))
    rules.refuse_if(_IOCTL, 1, (*_TERMINAL_INJECTION, *_SET_FLAGS))
    rules.refuse_if(_FCNTL, 1, _WATCHES)
    return rules.program()
