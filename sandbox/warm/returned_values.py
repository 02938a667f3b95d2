"""What a program of function mode wrote to the value descriptor, hostile or not, as values of executions."""

from __future__ import annotations

from dataclasses import replace

from sandbox.inside import plain, wire
from sandbox.model import Execution, Status
from sandbox.warm.plain_decoding import decode_plain


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
    at, size = 0, wire.VALUE_HEADER.size
    while at + size <= len(data) and (not records or records[-1][0] == b"V"):
        kind, length = wire.VALUE_HEADER.unpack_from(data, at)
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
            raise plain.NotPlainData("the returned value is of no known kind")
        return replace(execution, value=decode_plain(body.decode("utf-8", "surrogatepass")))
    except (plain.NotPlainData, UnicodeDecodeError) as error:
        return replace(failed, reason=str(error))
