"""Values that calls returned: what a program wrote to the value descriptor, hostile or not, as values of executions.

The host's half of the encoding of plain data (`sandbox.inside.plain`); every text is read at a bounded cost.
"""

from __future__ import annotations

import json
from dataclasses import replace
from struct import Struct
from typing import Any

from sandbox.inside.plain import MAX_DEPTH, NotPlainData
from sandbox.model import Execution, Status

_HEADER = Struct("<cQ")
"""Kind and length, as stand before each value."""

MAX_EQUAL_HASHES = 100
"""Keys of one dict or set that may share their hash with another."""

MAX_CONTAINERS = 200_000
"""Lists, tuples, sets, dicts and large integers of one value."""


def with_value(execution: Execution, returned: bytes) -> Execution:
    """An execution with the first value that its process wrote, or with why there is none."""
    if execution.status not in (Status.OK, Status.RUNTIME_ERROR):
        return execution
    records = read_records(returned)
    if not records:
        reason = execution.reason or "the function returned no value"
        return replace(execution, status=Status.RUNTIME_ERROR, reason=reason)
    return decoded(execution, *records[0])


def read_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kinds and bodies, as far as they are well-formed and whole; one that is cut short has the kind b""."""
    records: list[tuple[bytes, bytes]] = []
    at, size = 0, _HEADER.size
    while at + size <= len(data) and (not records or records[-1][0] == b"V"):
        kind, length = _HEADER.unpack_from(data, at)
        body = data[at + size : at + size + length]
        records.append((kind if len(body) == length else b"", body))
        at += size + length
    return records


def decoded(execution: Execution, kind: bytes, body: bytes) -> Execution:
    """An execution with the value of one record."""
    failed = replace(execution, status=Status.RUNTIME_ERROR)
    if kind == b"E":
        return replace(failed, reason=body[:500].decode("utf-8", "replace"))
    if not kind:
        return replace(failed, reason="the returned value is incomplete or too large")
    if execution.status is not Status.OK:
        return execution
    try:
        if kind != b"V":
            raise NotPlainData("the returned value is of no known kind")
        return replace(execution, value=decode(body.decode("utf-8", "surrogatepass")))
    except (NotPlainData, UnicodeDecodeError) as error:
        return replace(failed, reason=str(error))


def decode(text: str) -> Any:
    """The value with its types, tuples and sets included. Raises NotPlainData on any other text."""
    _check_shape(text)
    try:
        return _untagged(json.loads(text))
    except (ValueError, TypeError) as error:
        raise NotPlainData(f"not an encoded value: {error}") from error


def _check_shape(text: str) -> None:
    brackets = list(filter("[]{}".__contains__, _without_strings(text)))
    if len(brackets) > 4 * MAX_CONTAINERS:
        raise NotPlainData("not an encoded value: too many containers")
    depth = deepest = 0
    for bracket in brackets:
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    # A level of nesting costs at most an object, a list and, in a dict, a pair.
    if deepest > 3 * MAX_DEPTH + 3:
        raise NotPlainData("not an encoded value: nested too deeply")


def _without_strings(text: str) -> str:
    """The text without what stands in quotation marks; what is never closed stays."""
    kept, at = [], 0
    while (start := text.find('"', at)) >= 0:
        end = text.find('"', start + 1)
        while end >= 0 and _is_escaped(text, end):
            end = text.find('"', end + 1)
        if end < 0:
            break
        kept.append(text[at:start])
        at = end + 1
    return "".join([*kept, text[at:]])


def _is_escaped(text: str, at: int) -> bool:
    before = at
    while text[before - 1] == "\\":
        before -= 1
    return (at - before) % 2 == 1


def _untagged(node: Any) -> Any:
    if not isinstance(node, (dict, list)):
        return node
    if isinstance(node, list) or len(node) != 1:
        raise NotPlainData("not an encoded value: unknown form")
    [(tag, body)] = node.items()
    if tag == "i" and isinstance(body, str):
        return int(body, 16)
    if not isinstance(body, list):
        raise NotPlainData("not an encoded value: unknown form")
    if tag == "d":
        pairs = [(_untagged(key), _untagged(value)) for key, value in body]
        _check_hashes([key for key, _ in pairs])
        return dict(pairs)
    items = [_untagged(item) for item in body]
    if tag == "l":
        return items
    if tag == "t":
        return tuple(items)
    if tag == "s":
        _check_hashes(items)
        return set(items)
    raise NotPlainData("not an encoded value: unknown tag")


def _check_hashes(keys: list[Any]) -> None:
    # Integers with one hash value are easily made, and a table of n of them takes n * n steps to build.
    if len(keys) - len({hash(key) for key in keys}) > MAX_EQUAL_HASHES:
        raise NotPlainData("not an encoded value: too many keys with equal hashes")
