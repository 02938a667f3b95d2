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


class KeyedAnswers:
    """Answers by content key in a table of SQLite with a write-ahead log, shared by all processes of a run."""

    def __init__(self, file: Path, table: str, column: str, others: str = "") -> None:
        """Takes the file, the table, the column of answers, and the definition of further columns."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._table, self._column = table, column
        self._lock = threading.Lock()
        self._database = sqlite3.connect(file, timeout=60, check_same_thread=False)
        with self._lock, self._database:
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(
                f"CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, {others}{column} TEXT NOT NULL)"
            )

    def get_many(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Those answers that are known, by key."""
        rows = self._rows(self._column, keys)
        return {key: json.loads(row[0]) for key, row in rows.items()}

    def _rows(self, what: str, keys: Iterable[str]) -> dict[str, Any]:
        query = f"SELECT {what} FROM {self._table} WHERE key = ?"
        with self._lock:
            found = {key: self._database.execute(query, (key,)).fetchone() for key in set(keys)}
        return {key: row for key, row in found.items() if row is not None}

    def _keep(self, rows: Sequence[Sequence[Any]]) -> None:
        """Keeps rows; one already there stays as it is."""
        if rows:
            places = ", ".join("?" * len(rows[0]))
            with self._lock, self._database:
                self._database.executemany(f"INSERT OR IGNORE INTO {self._table} VALUES ({places})", rows)

    def close(self) -> None:
        """Closes the database."""
        self._database.close()


class VerdictStore(KeyedAnswers):
    """Verdicts."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, "verdicts", "verdict")

    def put_many(self, verdicts: Mapping[str, Mapping[str, Any]]) -> None:
        """Keeps verdicts; one already there stays as it is."""
        self._keep([(key, json.dumps(dict(verdict))) for key, verdict in verdicts.items()])


class SampleStore(KeyedAnswers):
    """Answers of endpoints, with whom they were for and their tokens."""

    def __init__(self, file: Path) -> None:
        counts = "prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, "
        super().__init__(file, "answers", "answer", f"owner TEXT NOT NULL, {counts}")

    def known(self, keys: Iterable[str]) -> set[str]:
        """Those keys that have an answer."""
        return set(self._rows("1", keys))

    def put(self, key: str, owner: str, answer: Mapping[str, Any]) -> None:
        """Keeps an answer, which must have `prompt_tokens` and `completion_tokens`; one already there stays."""
        self._keep([(key, owner, answer["prompt_tokens"], answer["completion_tokens"], json.dumps(dict(answer)))])

    def tokens_of(self, owner: str) -> tuple[int, int]:
        """Prompt tokens and completion tokens of all answers for an owner."""
        query = "SELECT SUM(prompt_tokens), SUM(completion_tokens) FROM answers WHERE owner = ?"
        with self._lock:
            prompt_tokens, completion_tokens = self._database.execute(query, (owner,)).fetchone()
        return prompt_tokens or 0, completion_tokens or 0
