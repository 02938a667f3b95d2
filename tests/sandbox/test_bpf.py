"""Filters of system calls, run by a reader of classic BPF: what each call comes to."""

from __future__ import annotations

import errno
import struct

import pytest

from sandbox.seccomp.bpf import Filter, known_machine

ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
X86, ARM = 0xC000003E, 0xC00000B7


def outcome(program: bytes, number: int, arguments: tuple[int, ...] = (), architecture: int = X86) -> int:
    """What the kernel would make of a call."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = list(struct.iter_unpack("<HBBI", program))
    place = value = 0
    while True:
        code, if_true, if_false, operand = steps[place]
        place += 1
        if code == 0x06:
            return operand
        if code == 0x20:
            value = struct.unpack_from("<I", data, operand)[0]
        elif code == 0x54:
            value &= operand
        else:
            hit = value == operand if code == 0x15 else value >= operand
            place += if_true if hit else if_false


def test_what_no_rule_is_about_is_allowed_and_another_architecture_ends_the_process() -> None:
    program = Filter("x86_64").program()
    assert outcome(program, 1) == ALLOW
    assert outcome(program, 1, architecture=ARM) == KILL
    assert known_machine("aarch64")
    assert not known_machine("riscv64")
    with pytest.raises(KeyError):
        Filter("riscv64")


def test_calls_are_refused_by_their_number_on_each_machine() -> None:
    calls = {"ptrace": (101, 117), "only_x86": (200, None)}
    for machine, architecture, numbers in (("x86_64", X86, (101, 200)), ("aarch64", ARM, (117,))):
        made = Filter(machine)
        made.refuse(calls)
        for number in numbers:
            assert outcome(made.program(), number, architecture=architecture) == ERROR | errno.EPERM
        assert outcome(made.program(), 300, architecture=architecture) == ALLOW


def test_numbers_from_one_on_do_not_exist() -> None:
    made = Filter("x86_64")
    made.refuse_from(400)
    assert outcome(made.program(), 399) == ALLOW
    assert outcome(made.program(), 400) == outcome(made.program(), 2**31) == ERROR | errno.ENOSYS


def test_a_call_is_refused_for_some_arguments() -> None:
    made = Filter("x86_64")
    made.refuse_if((41, 198), 0, (2, 10), errno.EAFNOSUPPORT)
    assert outcome(made.program(), 41, (1,)) == ALLOW
    assert outcome(made.program(), 41, (2,)) == outcome(made.program(), 41, (10,)) == ERROR | errno.EAFNOSUPPORT
    # The high word is none of its business.
    assert outcome(made.program(), 41, (2 | 1 << 40,)) == ERROR | errno.EAFNOSUPPORT


def test_a_call_is_allowed_where_every_demand_is_met() -> None:
    made = Filter("x86_64")
    made.refuse_unless((9, 222), [(2, (1, 3), 0x7), (3, (0x20,), 0x20)])
    assert outcome(made.program(), 9, (0, 0, 1, 0x22)) == ALLOW
    assert outcome(made.program(), 9, (0, 0, 8 | 3, 0x20)) == ALLOW, "the mask leaves out the bit"
    assert outcome(made.program(), 9, (0, 0, 2, 0x22)) == ERROR | errno.EPERM
    assert outcome(made.program(), 9, (0, 0, 1, 0x02)) == ERROR | errno.EPERM
    assert outcome(made.program(), 10, (0, 0, 2, 0)) == ALLOW
