"""Reads back what the real wandb package wrote: LevelDB's log format around protocol buffers."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LOG_HEADER = 7
LOG_BLOCK = 32768


def item_name(item: Any) -> str:
    """The key of a history or summary item."""
    return item.key or "/".join(item.nested_key)


def history_of(records: list[Any]) -> list[dict[str, Any]]:
    """The history rows, in order."""
    return [{item_name(i): json.loads(i.value_json) for i in r.history.item} for r in records if r.HasField("history")]


def read_transaction_log(run_path: Path) -> list[Any]:
    """The records of all W&B files of a run, each whole: W&B writes a file's end shortly after `finish` returns."""
    records: list[Any] = []
    for file in sorted((run_path / "wandb").glob("offline-run-*/*.wandb")):
        deadline = time.monotonic() + 20
        found = _records(file)
        while not any(record.HasField("exit") for record in found) and time.monotonic() < deadline:
            time.sleep(0.05)
            found = _records(file)
        records += found
    return records


def _records(file: Path) -> list[Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    return [Record.FromString(payload) for payload in _payloads(file.read_bytes())]


def _payloads(content: bytes) -> Iterator[bytes]:
    position, whole = LOG_HEADER, b""
    while position + LOG_HEADER <= len(content):
        left_in_block = LOG_BLOCK - position % LOG_BLOCK
        if left_in_block < LOG_HEADER:
            position += left_in_block
            continue
        length, kind = struct.unpack("<HB", content[position + 4 : position + LOG_HEADER])
        if position + LOG_HEADER + length > len(content):
            return
        whole += content[position + LOG_HEADER : position + LOG_HEADER + length]
        position += LOG_HEADER + length
        if kind in (1, 4):  # a full record, or the last fragment of one
            yield whole
            whole = b""
