"""Puts items to a verifier in killable processes and keeps what came of each; the checks read it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifiers.conformance.items import Item, write_items
from verifiers.conformance.subject import Subject, Trouble

_START_S = 120.0
_MAX_TROUBLES = 3


@dataclass(frozen=True, slots=True)
class TrialLimits:
    """The bounds of one item: seconds, and megabytes of the process that judges it (libraries included)."""

    deadline_s: float = 10.0
    memory_mb: int = 4096


@dataclass(frozen=True, slots=True)
class Result:
    """A verdict in plain data with the faults of its form, or the trouble that came instead of it."""

    passed: bool | None = None
    reward: float | None = None
    status: str = ""
    reason: str = ""
    faults: tuple[str, ...] = ()
    trouble: str = ""
    seconds: float = 0.0

    @property
    def key(self) -> tuple[bool | None, float | None, str]:
        """The part that has to be the same whenever and however the item is judged."""
        return self.passed, self.reward, self.status

    @property
    def told(self) -> str:
        """The verdict in a few words."""
        if self.trouble:
            return self.trouble
        reward = "no reward" if self.reward is None else f"reward {self.reward:g}"
        return f"{self.status} ({reward})"


@dataclass(slots=True)
class Trial:
    """One verifier under examination. `open` before asking; `end` at last."""

    name: str
    params: Mapping[str, Any]
    items: Sequence[Item]
    folder: Path
    limits: TrialLimits
    peak_mb: float = 0.0
    printed: int = 0
    printed_head: str = ""
    _subject: Subject | None = None

    def open(self, hash_seed: int) -> dict[str, Any]:
        """Starts a fresh process with a fresh instance; raises Trouble when the verifier can't be made."""
        file = self.folder / "items.json"
        if not file.exists():
            write_items(self.items, file)
        self.end()
        self._subject = Subject(self.name, self.params, file, memory_mb=self.limits.memory_mb, hash_seed=hash_seed)
        opened: dict[str, Any] = self._subject.ask("open", _START_S)
        return opened

    def ask(self, do: str, deadline_s: float, **arguments: Any) -> Any:
        """Asks the process something; raises Trouble."""
        assert self._subject is not None
        return self._subject.ask(do, deadline_s, **arguments)

    def alone(self, places: Sequence[int], hash_seed: int) -> dict[int, Result]:
        """Judges items one by one. After a hang or a death a fresh process goes on; after three on one kind of
        item, the rest of that kind is not tried."""
        found: dict[int, Result] = {}
        troubles: dict[str, int] = {}
        for place in places:
            kind = self.items[place].kind
            if troubles.get(kind, 0) >= _MAX_TROUBLES:
                found[place] = Result(trouble="not tried, after so many troubles")
                continue
            begun = time.perf_counter()
            try:
                row = self.ask("one", self.deadline_of(place), item=place)
                found[place] = result_of(row, time.perf_counter() - begun)
            except Trouble as trouble:
                found[place] = Result(trouble=str(trouble), seconds=time.perf_counter() - begun)
                if trouble.fatal:
                    troubles[kind] = troubles.get(kind, 0) + 1
                    self.open(hash_seed)
        return found

    def batch(self, places: Sequence[int]) -> list[Result]:
        """Judges items as one batch; raises Trouble."""
        rows = self.ask("many", self.patience(places), items=list(places))
        return [result_of(row) for row in rows]

    def deadline_of(self, place: int) -> float:
        """Seconds that one item may take: the limit, and what the task itself grants to a program."""
        task = self.items[place].task
        return self.limits.deadline_s + len(task.tests) * (2 * task.time_limit_s + 1)

    def patience(self, places: Sequence[int]) -> float:
        """Seconds that so many items may take together: as if one in four took all of its time."""
        return self.limits.deadline_s + sum(self.deadline_of(place) for place in places) / 4

    def end(self) -> None:
        """Ends the process, if there is one."""
        if self._subject is not None:
            self._subject.end()
            self.peak_mb = max(self.peak_mb, self._subject.peak_mb)
            self.printed += self._subject.printed.count
            self.printed_head = self.printed_head or self._subject.printed.head
            self._subject = None

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def result_of(row: Mapping[str, Any], seconds: float = 0.0) -> Result:
    """Returns what a process told of a verdict."""
    return Result(row["passed"], row["reward"], row["status"], row["reason"], tuple(row["faults"]), seconds=seconds)
