"""A table of rollouts that are drawn in waves: each wave is a file, until the rows of each task are put together."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from selfplay.rollouts.completions import PosedTask
from selfplay.run.directory import Stage
from selfplay.run.records import Rollout
from selfplay.run.tables import read_rows, read_values, write_table


class Waves:
    """One table of a stage, wave after wave."""

    def __init__(self, stage: Stage, table: str) -> None:
        self._stage, self._table = stage, table
        self._files: list[Path] = []

    def add(self, rows: Iterable[Rollout], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Writes the rows of a wave, those of a task together; gives the values of some of their fields."""
        file = self._stage.folder / f"{self._table}-wave-{len(self._files)}.parquet"
        write_table(file, Rollout, rows)
        self._files.append(file)
        return read_values(file, Rollout, names)

    def merge(self, tasks: Sequence[PosedTask], finish: Callable[[Rollout], Rollout] | None = None) -> int:
        """Writes the table out of all waves, and says how many rows it has.

        Args:
            tasks: in the order in which the table has them, each with all its rows.
            finish: gives each row its last form.
        """
        places = {task.id: place for place, task in enumerate(tasks)}
        waves = [read_rows(file, Rollout) for file in self._files]
        rows = heapq.merge(*waves, key=lambda row: (places[row.task_id], row.index))
        count = self._stage.write(self._table, Rollout, rows if finish is None else map(finish, rows))
        for file in self._files:
            file.unlink()
        return count
