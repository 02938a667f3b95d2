"""The answers of a shard that is being made, a JSON line each as it comes, so that none is made twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from selfplay.run.files import repair_lines
from selfplay.run.tables import RecordError


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
            lines = [json.loads(line) for line in self.file.read_text(encoding="ascii").splitlines()]
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
