"""The content-keyed store: finished generations, scores and verdicts survive a crash and are never paid twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selfplay.run.tables import DAMAGED, UNREADABLE, RecordError, write_arrow
from verifiers.untrusted.files import demand_file


def content_key(*parts: Any) -> str:
    """A key for whatever the parts say: SHA-256 of their JSON."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


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


class VerdictStore:
    """Verdicts by content key, shared by all processes of a run (SQLite, write-ahead log)."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(file, timeout=60, check_same_thread=False)
        with self._lock, self._database:
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute("CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, verdict TEXT NOT NULL)")

    def get_many(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Those verdicts that are known, by key."""
        found = {}
        with self._lock:
            for key in set(keys):
                row = self._database.execute("SELECT verdict FROM verdicts WHERE key = ?", (key,)).fetchone()
                if row is not None:
                    found[key] = json.loads(row[0])
        return found

    def put_many(self, verdicts: Mapping[str, Mapping[str, Any]]) -> None:
        """Keeps verdicts; one already there stays as it is."""
        rows = [(key, json.dumps(dict(verdict))) for key, verdict in verdicts.items()]
        with self._lock, self._database:
            self._database.executemany("INSERT OR IGNORE INTO verdicts VALUES (?, ?)", rows)

    def close(self) -> None:
        """Closes the database."""
        self._database.close()


class SampleStore:
    """Answers of endpoints by content key, with whom they were for and their tokens (SQLite, write-ahead log)."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(file, timeout=60, check_same_thread=False)
        with self._lock, self._database:
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, owner TEXT NOT NULL, "
                "prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, answer TEXT NOT NULL)"
            )

    def known(self, keys: Iterable[str]) -> set[str]:
        """Those keys that have an answer."""
        query = "SELECT 1 FROM answers WHERE key = ?"
        with self._lock:
            return {key for key in set(keys) if self._database.execute(query, (key,)).fetchone() is not None}

    def get_many(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Those answers that are known, by key."""
        found = {}
        with self._lock:
            for key in set(keys):
                row = self._database.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
                if row is not None:
                    found[key] = json.loads(row[0])
        return found

    def put(self, key: str, owner: str, answer: Mapping[str, Any]) -> None:
        """Keeps an answer, which must have `prompt_tokens` and `completion_tokens`; one already there stays."""
        row = (key, owner, answer["prompt_tokens"], answer["completion_tokens"], json.dumps(dict(answer)))
        with self._lock, self._database:
            self._database.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)", row)

    def tokens_of(self, owner: str) -> tuple[int, int]:
        """Prompt tokens and completion tokens of all answers for an owner."""
        query = "SELECT SUM(prompt_tokens), SUM(completion_tokens) FROM answers WHERE owner = ?"
        with self._lock:
            prompt_tokens, completion_tokens = self._database.execute(query, (owner,)).fetchone()
        return prompt_tokens or 0, completion_tokens or 0

    def close(self) -> None:
        """Closes the database."""
        self._database.close()
