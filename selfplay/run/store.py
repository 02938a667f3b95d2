"""The content-keyed store: finished generations, scores and verdicts survive a crash and are never paid twice."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from selfplay.run.place import inside
from selfplay.run.tables import DAMAGED, UNREADABLE, RecordError, write_arrow
from verifiers.untrusted.files import demand_file

HOST = "SELFPLAY_HOST"
"""Names in the environment of a worker on a cluster the host that it is on."""


def folder_of_host(store: Path) -> Path:
    """Where this process keeps its verdicts: on a cluster each host has a folder of its own, since SQLite's write-ahead
    log takes all its users to be on one machine."""
    host = os.environ.get(HOST)
    return inside(store, "hosts", host) if host else store


def content_key(*parts: Any) -> str:
    """A key for whatever the parts say: SHA-256 of their JSON."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def key_begun(*parts: Any) -> Any:
    """The hash of a content key whose last part is still to come, for `key_ended`; so keys of many that begin alike
    need what is long only once."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=True)[:-1].encode())


def key_ended(begun: Any, last: Any) -> str:
    """`content_key` of all parts."""
    digest = begun.copy()
    digest.update(f", {json.dumps(last, sort_keys=True, ensure_ascii=True)}]".encode())
    return str(digest.hexdigest())


class ShardStore:
    """Tables by content key, one Parquet file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _file(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.parquet"

    def has(self, key: str) -> bool:
        """Whether rows are kept under a key."""
        return self._file(key).exists()

    def read(self, key: str) -> list[dict[str, Any]]:
        """The rows kept under a key.

        Raises:
            RecordError: the shard is damaged.
        """
        file = self._file(key)
        demand_file(file, RecordError, DAMAGED)
        try:
            rows: list[dict[str, Any]] = pq.read_table(file, page_checksum_verification=True).to_pylist()
        except UNREADABLE as error:
            raise RecordError(f"{file}: is damaged ({error}); delete it and run again: it will be made anew") from error
        return rows

    def put(self, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keeps rows under a key, durably; what was kept of them while they were made goes."""
        write_arrow(self._file(key), pa.Table.from_pylist(list(rows)))
        self.unfinished(key).unlink(missing_ok=True)

    def unfinished(self, key: str) -> Path:
        """Where the rows of a key may be kept while they are made."""
        return self.folder / key[:2] / f"{key}.unfinished.jsonl"


class _RowStore:
    """Rows of JSON by content key in one SQLite file with a write-ahead log, shared by all processes of a run."""

    table: ClassVar[str]
    columns: ClassVar[str]
    """Of the table, the key first and the JSON last."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(file, timeout=60, check_same_thread=False)
        self._database.text_factory = bytes
        with self._lock, self._database:
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(f"CREATE TABLE IF NOT EXISTS {self.table} ({self.columns})")

    def get_many(self, keys: Iterable[str], read: Callable[[Any], Any] = dict) -> dict[str, Any]:
        """Those rows that are known, by key. One that cannot be read any more is dropped, so that it is made again.

        Args:
            keys: whose.
            read: makes something of a row's content; raises where it is not what it should be.
        """
        return {key: row for key in set(keys) if (row := self._get(key, read)) is not None}

    def _get(self, key: str, read: Callable[[Any], Any]) -> Any:
        with self._lock:
            found = self._database.execute(f"SELECT * FROM {self.table} WHERE key = ?", (key,)).fetchone()
        if found is None:
            return None
        try:
            return read(json.loads(found[-1].decode("utf-8")))
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError):
            with self._lock, self._database:
                self._database.execute(f"DELETE FROM {self.table} WHERE key = ?", (key,))
            return None

    def _put(self, rows: Iterable[tuple[Any, ...]]) -> None:
        marks = ", ".join("?" * (self.columns.count(",") + 1))
        with self._lock, self._database:
            self._database.executemany(f"INSERT OR IGNORE INTO {self.table} VALUES ({marks})", rows)

    def close(self) -> None:
        """Closes the database."""
        self._database.close()


class VerdictStore(_RowStore):
    """Verdicts by content key."""

    table = "verdicts"
    columns = "key TEXT PRIMARY KEY, verdict TEXT NOT NULL"

    def put_many(self, verdicts: Mapping[str, Mapping[str, Any]]) -> None:
        """Keeps verdicts; one already there stays as it is."""
        self._put([(key, json.dumps(dict(verdict))) for key, verdict in verdicts.items()])


class SampleStore(_RowStore):
    """Answers of endpoints by content key, with whom they were for and their tokens."""

    table = "answers"
    columns = (
        "key TEXT PRIMARY KEY, owner TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, "
        "completion_tokens INTEGER NOT NULL, answer TEXT NOT NULL"
    )

    def known(self, keys: Iterable[str], read: Callable[[Any], Any] = dict) -> set[str]:
        """Those keys that have an answer which can be read; the arguments are those of `get_many`."""
        return {key for key in set(keys) if self._get(key, read) is not None}

    def put(self, key: str, owner: str, answer: Mapping[str, Any]) -> None:
        """Keeps an answer, which must have `prompt_tokens` and `completion_tokens`; one already there stays."""
        self._put([(key, owner, answer["prompt_tokens"], answer["completion_tokens"], json.dumps(dict(answer)))])

    def tokens_of(self, owner: str) -> tuple[int, int]:
        """Prompt tokens and completion tokens of all answers for an owner."""
        query = "SELECT SUM(prompt_tokens), SUM(completion_tokens) FROM answers WHERE owner = ?"
        with self._lock:
            prompt_tokens, completion_tokens = self._database.execute(query, (owner,)).fetchone()
        return int(prompt_tokens or 0), int(completion_tokens or 0)
