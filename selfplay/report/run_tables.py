"""Reads parts of a run's tables: some columns, or some rows. A whole table may be larger than memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from selfplay.run.plan import Kind, read_plan
from selfplay.run.tables import read_columns, read_plain, schema_of
from selfplay.watching.rounds import PromptRound, prompt_rounds, table_file


def general_reasons(dropped: Any) -> Any:
    """A column of reasons without what they say in brackets, such as which prompt a duplicate is of."""
    return pc.replace_substring_regex(dropped, r"(?s) \(.*$", "")


class RunTables:
    """The tables below `stages/`, of a run that may be half done."""

    def __init__(self, run_path: Path) -> None:
        self._run = run_path

    def prompt_rounds(self) -> list[PromptRound]:
        """The rounds that have made prompts."""
        return prompt_rounds(self._run)

    def stages(self, kind: Kind) -> list[str]:
        """The stages of a kind, in the order of their rounds."""
        return [stage.name for stage in read_plan(self._run).of_kind(kind)]

    def has(self, stage: str, table: str) -> bool:
        """Whether the table has been written."""
        return self._file(stage, table).exists()

    def columns(self, stage: str, table: str, record: type[Any], names: Sequence[str]) -> Any:
        """Some columns of a table, as an Arrow table.

        Raises:
            RecordError: the file is damaged, or holds another record or another version of it.
        """
        found = list(read_columns(self._file(stage, table), record, names))
        return pa.concat_tables([schema_of(record).empty_table().select(list(names)), *found])

    def rows(
        self, stage: str, table: str, record: type[Any], column: str, values: Sequence[str]
    ) -> list[dict[str, Any]]:
        """The rows in which a column has one of the values.

        Raises:
            RecordError: as for `columns`.
        """
        return list(read_plain(self._file(stage, table), record, only=(column, values))) if values else []

    def counts(self, stage: str, table: str, record: type[Any]) -> Counter[tuple[str, str]]:
        """How many rows there are of each (domain, reason to drop it); the reason is empty for kept rows."""
        read = self.columns(stage, table, record, ["domain", "dropped"])
        table_ = read.set_column(1, "dropped", general_reasons(read["dropped"]))
        grouped = table_.group_by(["domain", "dropped"]).aggregate([([], "count_all")])
        rows = zip(*(grouped[name].to_pylist() for name in ("domain", "dropped", "count_all")), strict=True)
        return Counter({(domain, dropped): count for domain, dropped, count in rows})

    def spread(
        self, stages: Sequence[str], table: str, record: type[Any], domain: str, count: int
    ) -> list[tuple[str, str]]:
        """(stage, id) of kept rows of a domain, taken evenly from the tables laid end to end.

        No row is preferred for what it says.
        """
        kept = []
        for stage in stages:
            rows = self.columns(stage, table, record, ["id", "domain", "dropped"])
            wanted = pc.and_(pc.equal(rows["domain"], domain), pc.equal(rows["dropped"], ""))
            kept.append((stage, rows["id"].filter(wanted)))
        total = sum(len(ids) for _, ids in kept)
        step = max(1, total // count)
        places = range(0, min(total, step * count), step)
        found: list[tuple[str, str]] = []
        before = 0
        for stage, ids in kept:
            found += [(stage, ids[at - before].as_py()) for at in places if before <= at < before + len(ids)]
            before += len(ids)
        return found

    def _file(self, stage: str, table: str) -> Path:
        return table_file(self._run, stage, table)
