"""The system-call filter, run here as the kernel runs it, so that each processor's is examined on any of them."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.seccomp import filter as seccomp

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL = 0x7FFF0000, 0x80000000
NUMBERS = {
    "clone": (56, 220), "clone3": (435, 435), "socket": (41, 198), "socketpair": (53, 199), "setsockopt": (54, 208),
    "ioctl": (16, 29), "prctl": (157, 167), "setpriority": (141, 140), "prlimit64": (302, 261), "ptrace": (101, 117),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "mount": (165, 40), "bpf": (321, 280),
    "read": (0, 63), "write": (1, 64), "futex": (202, 98), "execve": (59, 221), "wait4": (61, 260), "openat": (257, 56),
    "io_setup": (206, 0), "sync": (162, 81), "fsync": (74, 82), "inotify_init1": (294, 26), "unshare": (272, 97),
    "mmap": (9, 222), "fcntl": (72, 25), "file_setattr": (469, 469),
}  # fmt: skip
_INSTRUCTION = struct.Struct("<HBBI")


def answer(program: bytes, number: int, arguments: tuple[int, ...] = (), audit: int = MACHINES["x86_64"]) -> int:
    """What a filter returns for one call."""
    words = [argument & (1 << 64) - 1 for argument in (*arguments, *[0] * 6)][:6]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, audit, 0, *words)
    instructions = list(_INSTRUCTION.iter_unpack(program))
    at, accumulator = 0, 0
    while True:
        code, if_true, if_false, operand = instructions[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, operand)[0]
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x06:
            return int(operand)
        else:
            hit = {0x15: accumulator == operand, 0x35: accumulator >= operand}[code]
            at += if_true if hit else if_false


def refused(error: int) -> int:
    return 0x00050000 | error


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Calls:
    """One machine's filter, called by name."""

    def __init__(self, machine: str) -> None:
        self._column = list(MACHINES).index(machine)
        self._audit = MACHINES[machine]
        self._program = seccomp.filter_program(machine)

    def __call__(self, name: str, *arguments: int) -> int:
        return answer(self._program, NUMBERS[name][self._column], arguments, self._audit)

    def number(self, number: int, audit: int | None = None) -> int:
        return answer(self._program, number, (), self._audit if audit is None else audit)


@pytest.fixture
def call(machine: str) -> Calls:
    return Calls(machine)


def test_another_convention_ends_the_process(call: Calls) -> None:
    for audit in (0x40000003, 0x40000028, 0, *(set(MACHINES.values()) - {call._audit})):
        assert call.number(0, audit) == KILL


def test_calls_that_were_not_examined_do_not_exist(call: Calls) -> None:
    for number in (seccomp._FIRST_UNEXAMINED, 1000, 0x3FFFFFFF, 0x40000000, 0x40000000 + 59, 0x7FFFFFFF, -1):
        assert call.number(number) == refused(errno.ENOSYS)


@pytest.mark.parametrize("name", ["read", "write", "futex", "execve", "wait4", "openat"])
def test_ordinary_calls_pass(call: Calls, name: str) -> None:
    assert call(name, 1, 2, 3) == ALLOW


@pytest.mark.parametrize("name", ["ptrace", "mount", "bpf", "io_setup", "inotify_init1", "unshare"])
def test_denied_calls_are_refused(call: Calls, name: str) -> None:
    assert call(name) == refused(errno.EPERM)


@pytest.mark.parametrize("name", ["sync", "fsync"])
def test_flushing_is_pretended(call: Calls, name: str) -> None:
    assert call(name) == refused(0)


def test_no_call_is_named_twice() -> None:
    for column in range(2):
        numbers = [pair[column] for pair in (*seccomp._DENIED.values(), *seccomp._PRETENDED.values())]
        known = [number for number in numbers if number is not None]
        assert len(set(known)) == len(known)


def _words(low: int) -> Iterator[int]:
    """Arguments of 64 bits whose low word the kernel takes for `low`."""
    for high in (0, 1, 0xFFFFFFFF):
        yield high << 32 | low


@pytest.mark.parametrize("flag", [1 << bit for bit in (17, 25, 26, 27, 28, 29, 30)])
def test_no_clone_makes_a_namespace(call: Calls, flag: int) -> None:
    for flags in _words(flag | 17):
        assert call("clone", flags) == refused(errno.EPERM)
    for flags in _words(0x3D0F00):
        assert call("clone", flags) == ALLOW
    assert call("clone3") == refused(errno.ENOSYS)


def test_only_unix_sockets(call: Calls) -> None:
    for family in range(64):
        wanted = ALLOW if family == 1 else refused(errno.EAFNOSUPPORT)
        for word in _words(family):
            assert call("socket", word, 1) == wanted
            assert call("socketpair", word, 1) == wanted


@pytest.mark.parametrize("name", ["prlimit64", "sched_setaffinity", "sched_setscheduler"])
def test_limits_and_scheduling_only_of_oneself(call: Calls, name: str) -> None:
    for pid in (1, 2, 0xFFFFFFFF):
        assert call(name, pid) == refused(errno.EPERM)
    for word in _words(0):
        assert call(name, word) == ALLOW


@given(which=st.integers(0, 2**32 - 1), who=st.integers(0, 2**32 - 1))
def test_niceness_only_of_oneself(which: int, who: int) -> None:
    for machine in MACHINES:
        wanted = ALLOW if which == who == 0 else refused(errno.EPERM)
        assert Calls(machine)("setpriority", which, who, 19) == wanted


def test_buffers_keep_their_size(call: Calls) -> None:
    for option in (7, 8, 32, 33):
        assert call("setsockopt", 3, 1, option) == refused(0)
    assert call("setsockopt", 3, 1, 2) == ALLOW


def test_no_pages_of_the_hosts_reserve(call: Calls) -> None:
    for word in _words(0x40022):
        assert call("mmap", 0, 4096, 3, word, 2**64 - 1) == refused(errno.ENOMEM)
    for word in _words(0x22):
        assert call("mmap", 0, 4096, 3, word, 2**64 - 1) == ALLOW


def test_nothing_types_into_a_terminal_and_nobody_shares_cores(call: Calls) -> None:
    for request in (0x5412, 0x541C):
        for word in _words(request):
            assert call("ioctl", 0, word) == refused(errno.EPERM)
    assert call("ioctl", 0, 0x5401) == ALLOW
    assert call("prctl", 62, 2, 1) == refused(errno.EPERM)
    assert call("prctl", 15) == ALLOW


@pytest.mark.parametrize("command", [1024, 1026, 1040], ids=["lease", "notify", "delegation"])
def test_no_file_or_folder_is_watched_or_held(call: Calls, command: int) -> None:
    for word in _words(command):
        assert call("fcntl", 3, word, 4) == refused(errno.EPERM)
    for ordinary in (0, 1, 2, 3, 4, 5, 6, 7, 1025, 1030, 1031, 1034):
        assert call("fcntl", 3, ordinary) == ALLOW


@pytest.mark.parametrize("request_", [0x40086602, 0x40046602, 0x401C5820, 0x40087602])
def test_no_mark_is_set_on_a_file_or_folder(call: Calls, request_: int) -> None:
    for word in _words(request_):
        assert call("ioctl", 3, word) == refused(errno.EPERM)
    assert call("file_setattr") == refused(errno.EPERM)
    assert call("ioctl", 3, 0x80086601) == ALLOW


@given(number=st.integers(0, 2**32 - 1), arguments=st.tuples(*[st.integers(0, 2**64 - 1)] * 6))
def test_every_call_gets_one_of_the_known_answers(number: int, arguments: tuple[int, ...]) -> None:
    known = {ALLOW, KILL, *map(refused, (0, errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT, errno.ENOMEM))}
    for machine, audit in MACHINES.items():
        assert answer(seccomp.filter_program(machine), number, arguments, audit) in known
