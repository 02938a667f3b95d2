"""Prompts that flow: a replica takes its next shard while the last completions of the one before are still under way.

A shard stays the unit that the store keeps, with a seed of its own, so that what is sampled does not depend on who
takes it, or when. The driver lays shards into a folder, a few ahead of those who take them; a replica takes one by
renaming it, which only one can; and what it finishes goes into the shard's journal, completion by completion, and into
the store once the shard is whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.engines.base import Sampling
from selfplay.engines.jobs import Row, ShardJob
from selfplay.run.files import repair_lines, whole_file
from selfplay.run.store import ShardStore
from selfplay.run.tables import RecordError
from verifiers.untrusted.files import LONGEST_ROW, lines_of, read_json
from verifiers.untrusted.json_values import parse_json

TAKEN = -1
"""In place of an item's: its shard was taken."""
SLOTS = 256
"""Sequences that a replica decodes at once unless its engine says otherwise (vLLM's `max_num_seqs`)."""
Item = tuple[int, int]
"""A shard's number, and a place in it."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Prompts that the store keeps together."""

    number: int
    key: str
    seed: int
    prompts: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowJob(ShardJob):
    """The part of one replica: whose prompts it takes, and where it keeps what it finishes."""

    sampling: Sampling
    queue: Path
    replica: str
    """Its name, under which it holds what it has taken."""
    store: Path


class Feeder:
    """The driver's side: lays shards out, no more than `ahead` that nobody has taken yet."""

    def __init__(self, queue: Path, shards: Iterator[Shard], ahead: int) -> None:
        self._todo = queue / "todo"
        self._todo.mkdir(parents=True, exist_ok=True)
        self._queue, self._shards, self._ahead = queue, shards, ahead
        self._next = next(shards, None)

    def fill(self) -> None:
        """Lays out as many as there is room for; after the last one, the sign that there are no more."""
        waiting = sum(map(_whole, os.listdir(self._todo)))
        for _ in range(self._ahead - waiting):
            if (shard := self._next) is None:
                break
            row = {"key": shard.key, "seed": shard.seed, "prompts": list(shard.prompts)}
            with whole_file(self._todo / f"{shard.number:08d}.json") as file:
                # Data: what looks like a secret in a problem is asked as it stands.
                file.write(json.dumps(row).encode("ascii"))
            self._next = next(self._shards, None)
        if self._next is None:
            (self._queue / "end").touch()

    def finished(self) -> int:
        """Completions that all replicas have finished so far, those counted that journals had."""
        return sum(file.stat().st_size for file in self._queue.glob("finished-*"))


class Taker:
    """A replica's side. What it holds from before, as after a restart of its engine, it takes first."""

    def __init__(self, job: FlowJob) -> None:
        self._queue, self._todo = job.queue, job.queue / "todo"
        self._held = held_folder(job)
        self._held.mkdir(parents=True, exist_ok=True)
        self._again = sorted(os.listdir(self._held))
        self._store = ShardStore(job.store)

    def take(self) -> tuple[Shard, list[int]] | None:
        """The next shard, and the places that its journal lacks; None where none is there now."""
        while self._again:
            name = self._again.pop(0)
            if (self._held / name).exists():
                return self._opened(name)
        for name in sorted(os.listdir(self._todo)):
            if not _whole(name):
                continue
            try:
                (self._todo / name).rename(self._held / name)
            except FileNotFoundError:  # another replica was faster
                continue
            return self._opened(name)
        return None

    @property
    def ended(self) -> bool:
        """Whether no more will come."""
        return (self._queue / "end").exists() and not os.listdir(self._todo)

    def _opened(self, name: str) -> tuple[Shard, list[int]]:
        shard = read_shard(self._held / name)
        done = Journal(self._store.unfinished(shard.key)).rows
        return shard, [place for place in range(len(shard.prompts)) if place not in done]


def _whole(name: str) -> bool:
    """Whether a shard's file is there under its own name, and not one that is being written."""
    return name.endswith(".json") and not name.startswith(".")


def held_folder(job: FlowJob) -> Path:
    """Where the shards lie that a replica has taken and not finished."""
    return job.queue / f"held-{job.replica}"


def read_shard(file: Path) -> Shard:
    """A shard that was laid out. Raises RecordError where it is damaged."""
    row = read_json(file, RecordError)
    return Shard(int(file.stem), str(row["key"]), int(row["seed"]), row["prompts"])


def flowed(job: FlowJob, slots: int, ask: Callable[[Shard, int], Any]) -> Callable[[int], dict[Item, Any] | None]:
    """The next questions to an engine, by how many it has under way: a shard once it has a slot free.

    Args:
        job: the replica's.
        slots: sequences that it decodes at once.
        ask: makes of a shard and a place what the engine takes.

    Returns:
        A function that gives new items with what to ask, none where there is no need or nothing there; None at the end.
    """
    taker = Taker(job)

    def more(under_way: int) -> dict[Item, Any] | None:
        if under_way >= slots:
            return {}
        taken = taker.take()
        if taken is None:
            return None if taker.ended else {}
        shard, missing = taken
        return {(shard.number, TAKEN): None} | {(shard.number, place): ask(shard, place) for place in missing}

    return more


class Keeper:
    """Keeps what one replica finishes: each completion in a journal at once, whole shards in the store."""

    def __init__(self, job: FlowJob) -> None:
        self._job = job
        self._store = ShardStore(job.store)
        self._open: dict[int, tuple[Shard, Journal]] = {}
        self._told = job.queue / f"finished-{job.replica}"
        self.finished = 0
        """Completions that this replica has made."""

    def hear(self, item: Item, row: Row) -> None:
        """Takes in that a shard was taken, or that one of its completions is there."""
        number, place = item
        if place == TAKEN:
            if number not in self._open:
                shard = read_shard(held_folder(self._job) / f"{number:08d}.json")
                journal = Journal(self._store.unfinished(shard.key))
                self._open[number] = (shard, journal)
                self._tell(len(journal.rows))
        else:
            self._open[number][1].add(place, row)
            self.finished += 1
            self._tell(1)
        shard, journal = self._open[number]
        if len(journal.rows) == len(shard.prompts):
            self._store.put(shard.key, [journal.rows[at] for at in range(len(shard.prompts))])
            (held_folder(self._job) / f"{number:08d}.json").unlink()
            del self._open[number]

    def _tell(self, count: int) -> None:
        with self._told.open("ab") as file:
            file.write(b"." * count)


class Journal:
    """Rows by place in a file that is only ever appended to; a kill loses at most the row that was being written."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows: dict[int, dict[str, Any]] = self._read()

    def _read(self) -> dict[int, dict[str, Any]]:
        if not self.file.exists():
            return {}
        repair_lines(self.file)
        try:
            lines = [parse_json(line, finite=False) for _, line in lines_of(self.file, LONGEST_ROW, RecordError)]
            return {int(place): dict(row) for place, row in lines}
        except (ValueError, TypeError) as error:
            raise RecordError(
                f"{self.file}: is damaged ({error}); delete it and run again: its answers will be made anew"
            ) from error

    def add(self, place: int, row: dict[str, Any]) -> None:
        """Keeps a row; what is added survives the death of this process."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("ab") as file:
            file.write(json.dumps([place, row]).encode("ascii") + b"\n")
        self.rows[place] = row
