"""Plain data, and the text that carries it out of a sandbox with its types kept apart.

JSON, with a container as an object of one key: `l` list, `t` tuple, `s` set, `d` dict (pairs), `i` an integer
beyond 64 bits (hexadecimal). Only exact types are encoded, and a few others that equal one of them by `==` (frozenset,
Counter, numpy's scalars): an object that behaves like a number is not data.
Runs on both sides of the sandbox; `sandbox.warm.returned_values` is the host's half.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import OrderedDict, defaultdict
    from typing import Any, NoReturn
else:
    # Not the module collections, whose import would take most of a sandbox's start.
    from _collections import OrderedDict, defaultdict

MAX_DEPTH = 64
"""Nesting of containers that is encoded and decoded."""

_SMALL = 1 << 63
_SEQUENCES: dict[type, str] = {list: "l", tuple: "t", set: "s", frozenset: "s"}
_MAPPINGS: tuple[type, ...] = (dict, OrderedDict, defaultdict)
_REBUILT: dict[str, type] = {"l": list, "t": tuple, "s": set}
_encoders: list[Any] = []
"""The one encoder, once it was needed."""


class NotPlainData(ValueError):
    """The value cannot be encoded, or the text was not written by this encoding; the message says why."""


def encode(value: Any) -> str:
    """Plain data as text. Raises NotPlainData for any other type, and beyond MAX_DEPTH (so for cycles)."""
    if not _encoders:
        # Only where values are returned, and not the module json, for the same reason.
        from _json import encode_basestring_ascii, make_encoder

        _encoders.append(make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, True))
    return "".join(_encoders[0](_tagged(value, MAX_DEPTH), 0))


def exact(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A copy of plain data in nothing but the built-in types. Raises NotPlainData as encode does."""
    kind = type(value)
    if value is None or kind in (bool, str, float, int):
        return value
    if depth == 0:
        raise NotPlainData("value is not plain data: nested too deeply")
    if _is_mapping(kind):
        return {exact(k, depth - 1): exact(v, depth - 1) for k, v in dict.items(value)}
    if kind in _SEQUENCES:
        return _REBUILT[_SEQUENCES[kind]](exact(item, depth - 1) for item in value)
    raise NotPlainData(f"value is not plain data: {kind.__name__}")


def _tagged(value: Any, depth: int) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is str or kind is float:
        return value
    if kind is int:
        return value if -_SMALL < value < _SMALL else {"i": hex(value)}
    if depth == 0:
        raise NotPlainData("value is not plain data: nested too deeply")
    if _is_mapping(kind):
        pairs = [[_tagged(k, depth - 1), _tagged(v, depth - 1)] for k, v in dict.items(value)]
        return {"d": pairs}
    if kind in _SEQUENCES:
        return {_SEQUENCES[kind]: [_tagged(item, depth - 1) for item in value]}
    if _is_numpy_scalar(kind):
        return _tagged(value.item(), depth - 1)
    raise NotPlainData(f"value is not plain data: {kind.__name__}")


def _is_mapping(kind: type) -> bool:
    return kind in _MAPPINGS or kind is getattr(sys.modules.get("collections"), "Counter", None)


def _is_numpy_scalar(kind: type) -> bool:
    """Whether it is one of the few that equal a number of Python's, where programs may import numpy."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and kind in (numpy.bool_, numpy.int32, numpy.int64, numpy.float32, numpy.float64)


def _refuse(value: object) -> NoReturn:
    raise NotPlainData(f"value is not plain data: {type(value).__name__}")
