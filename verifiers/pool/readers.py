"""Readers of untrusted texts, in worker processes that can be killed: the rules on texts, and the search for programs.

A reader is a function or a class of ours, called on rows of arguments. Many rows go to a worker at a time, which costs
each some microseconds; where that fails, each row is read alone, within a deadline of its own. So whatever a reader
does with a text costs that text alone, and the caller's thread only waits.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from verifiers.pool.pool import Bounds, WorkerOutcome, WorkerPool

PROGRAM = "verifiers.pool.reading"
WORKERS = 2
PLACES = 8
"""Workers at most, where several threads ask: a long text of one verifier holds up no text of another."""
DEADLINE_S = 5.0
"""For one text."""
TOGETHER_S = 1.0
"""For texts that are read together; those of them that are not are read again, each alone."""
_WORKING = 0.5
"""Share of that time that is processor time: what reads for ever has used it up before the clock ends it."""
_MOST_TOGETHER, _CHARACTERS_TOGETHER = 64, 16_000
_MEMORY_MB = 1024

_Row = Sequence[Any]
_shared: dict[int, WorkerPool] = {}
_lock = threading.Lock()


class TextReader:
    """One function or class, for any thread.

    The workers are those of all readers of this process, start when first needed, and end with it. Those of a reader
    that `loads` something first are its own, and end when it is closed.
    """

    def __init__(self, path: str, params: Mapping[str, Any] | None = None, *, loads: bool = False) -> None:
        """Takes a `module:name` of ours and, of a class, its parameters. Raises TypeError for such as are no JSON."""
        self._target = json.dumps([path, dict(params or {})])
        self._own = _pool((self._target,)) if loads else None

    def read(self, rows: Sequence[_Row], do: str = "") -> list[WorkerOutcome]:
        """The outcome of each row (JSON data): of the function, or of the method `do`."""
        pool = self._own or _shared_pool()
        batches = list(_together(rows))
        bounds = [_bounds(TOGETHER_S if len(batch) > 1 else DEADLINE_S) for batch in batches]
        found: list[WorkerOutcome] = []
        for batch, outcome in zip(batches, pool.spread(self._asked(batches, do), bounds), strict=True):
            if outcome.status == "ok":
                share = outcome.seconds / len(batch)
                found += [WorkerOutcome("ok", value, seconds=share) for value in outcome.value]
            elif len(batch) == 1:
                found.append(outcome)
            else:
                alone = pool.spread(self._asked([[row] for row in batch], do), [_bounds(DEADLINE_S)] * len(batch))
                found += [WorkerOutcome(o.status, o.value and o.value[0], o.reason, o.seconds) for o in alone]
        return found

    def close(self) -> None:
        """Ends the workers that are its own."""
        if self._own is not None:
            self._own.close()

    def _asked(self, batches: Sequence[Sequence[_Row]], do: str) -> list[dict[str, Any]]:
        return [{"target": self._target, "do": do, "rows": batch} for batch in batches]


def _bounds(seconds: float) -> Bounds:
    return Bounds(seconds, _WORKING * seconds)


def _together(rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    batch: list[_Row] = []
    size = 0
    for row in rows:
        long = sum(len(part) for part in row if isinstance(part, str))
        if batch and (len(batch) == _MOST_TOGETHER or size + long > _CHARACTERS_TOGETHER):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += long
    if batch:
        yield batch


def _pool(targets: Sequence[str] = ()) -> WorkerPool:
    return WorkerPool(PROGRAM, workers=WORKERS, places=PLACES, memory_mb=_MEMORY_MB, arguments=targets)


def _shared_pool() -> WorkerPool:
    """The workers of this process; a forked copy of it has some of its own."""
    with _lock:
        if os.getpid() not in _shared:
            _shared[os.getpid()] = made = _pool()
            atexit.register(made.close)
        return _shared[os.getpid()]
