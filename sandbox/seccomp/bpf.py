"""Builds a system-call filter in classic BPF: a list of calls, and for each what becomes of it."""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Mapping, Sequence

_LOAD, _JUMP_EQUAL, _JUMP_FROM, _RETURN, _AND = 0x20, 0x15, 0x35, 0x06, 0x54
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": 0, "aarch64": 1}

Numbers = tuple[int | None, int | None]
"""A call's number on x86_64 and on aarch64; None where it does not exist."""


def known_machine(machine: str) -> bool:
    """Whether filters can be built for this processor architecture."""
    return machine in _AUDIT


class Filter:
    """A filter that allows whatever no rule is about. The first rule about a call is the only one for it."""

    def __init__(self, machine: str = platform.machine()) -> None:
        """Raises KeyError for an architecture other than x86_64 and aarch64."""
        self._column = _COLUMN[machine]
        # Calls of another architecture (32-bit code on a 64-bit kernel) have other numbers: no rule would fit them.
        self._program = [
            _instruction(_LOAD, _ARCHITECTURE),
            _instruction(_JUMP_EQUAL, _AUDIT[machine], 1, 0),
            _instruction(_RETURN, _KILL),
            _instruction(_LOAD, _NUMBER),
        ]

    def refuse(self, calls: Mapping[str, Numbers], error: int = errno.EPERM) -> None:
        """These calls fail with an error number; with 0 they succeed without doing anything."""
        for numbers in calls.values():
            self._on(numbers, [_error(error)])

    def refuse_from(self, number: int) -> None:
        """Every call from this number on does not exist. Must come before any other rule about them."""
        self._program += [_instruction(_JUMP_FROM, number, 0, 1), _error(errno.ENOSYS)]

    def refuse_if(self, call: Numbers, argument: int, words: Sequence[int], error: int = errno.EPERM) -> None:
        """The call fails if the low word of an argument (counted from 0) is one of these."""
        # A hit jumps over the rest of the chain and over "allow".
        chain = [_instruction(_JUMP_EQUAL, word, len(words) - place) for place, word in enumerate(words)]
        self._on(call, [_argument(argument), *chain, _instruction(_RETURN, _ALLOW), _error(error)])

    def refuse_unless(
        self, call: Numbers, demands: Sequence[tuple[int, Sequence[int], int]], error: int = errno.EPERM
    ) -> None:
        """The call fails unless each demand (argument, words, mask) finds the masked low word among the words."""
        body: list[bytes] = []
        for argument, words, mask in demands:
            body += [_argument(argument), _instruction(_AND, mask)]
            # A hit jumps over the rest of the chain and the error.
            body += [_instruction(_JUMP_EQUAL, word, len(words) - place) for place, word in enumerate(words)]
            body += [_error(error)]
        self._on(call, [*body, _instruction(_RETURN, _ALLOW)])

    def program(self) -> bytes:
        """An array of `struct sock_filter`."""
        return b"".join([*self._program, _instruction(_RETURN, _ALLOW)])

    def _on(self, numbers: Numbers, body: list[bytes]) -> None:
        number = numbers[self._column]
        if number is not None:
            self._program += [_instruction(_JUMP_EQUAL, number, 0, len(body)), *body]


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, operand)


def _error(number: int) -> bytes:
    return _instruction(_RETURN, _ERROR | number)


def _argument(place: int) -> bytes:
    return _instruction(_LOAD, _ARGUMENTS + 8 * place)
