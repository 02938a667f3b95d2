"""Judges a file of JSON lines: one verdict a row, in order. All rows are checked before the first is judged.

Row in: `completion`; for math `answer`; for code `tests`, and optionally `entry_point`, `language`,
`time_limit_s`, `memory_mb`, `float_tolerance`, `tolerance_kind`, `comparison`, `checker`; for judges `problem`; `id` is
passed through.
Row out: `id`, `passed`, `reward`, `status`, `reason`, `seconds`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from verifiers.model import Task, Verdict, Verifier
from verifiers.programs.task_rows import TASK_FIELDS, read_task
from verifiers.registry import load
from verifiers.untrusted.files import LONGEST_ROW, lines_of
from verifiers.untrusted.json_values import parse_json
from verifiers.untrusted.shown import shown

_BATCH = 64
REMEDY = "; write one JSON object a line, with `completion` and the right answer or tests"
NEEDS = {"math": "answer", "math_verify": "answer", "choice": "answer", "exact": "answer", "code": "tests"}
"""The field without which a verifier can judge nothing, by its name."""

BESIDE_TASKS = {"completion", "id", "prompt", "label", "status", "reward"}
"""Fields that rows have for others than a verifier."""
MOST_SHOWN, LONGEST_SHOWN = 8, 40
"""Names that no verifier reads, and characters of each, that are told."""


class UnusableInput(ValueError):
    """A row can't be judged; the message names file, line and field."""

    def __init__(self, path: Path | str, line: int, field: str, problem: str) -> None:
        """`line` counts from 1 (0: the file as a whole); `field` is empty when the line as a whole is at
        fault."""
        where = f"{path}:{line}" if line else str(path)
        super().__init__(f"{where}: {field + ': ' if field else ''}{problem}")
        self.path, self.line, self.field, self.problem = str(path), line, field, problem


class Row(NamedTuple):
    """One row that can be judged; `line` counts from 1, `fields` are all of the row's, as they came."""

    line: int
    fields: Mapping[str, Any]
    task: Task
    completion: str


def verify_file(
    name: str,
    path: Path | str,
    out: TextIO,
    *,
    params: Mapping[str, Any] | None = None,
    verifier: Verifier | None = None,
    tell: Callable[[str], object] | None = None,
) -> int:
    """Writes one verdict a row to `out` and returns how many there were.

    `tell` hears, before anything is judged, of rows that say nothing of their tasks but under names of their own.

    Raises UnusableInput before anything is judged, UnknownVerifier when there is no verifier of this name.
    Holds at most a batch of rows in memory. A verifier passed in is used, and left open.
    """
    unread = _unread(read_rows(path, name))
    if unread and tell is not None:
        tell(
            f"{path}: no row has a field of a task, and no verifier reads {', '.join(unread)}; a right answer is "
            f"called `answer`, and there are {', '.join(TASK_FIELDS)}"
        )
    judge = verifier or load(name, params)
    count = 0
    try:
        rows = read_rows(path, name)
        while batch := list(islice(rows, _BATCH)):
            verdicts = judge.verify_many([(row.task, row.completion) for row in batch])
            for row, verdict in zip(batch, verdicts, strict=True):
                out.write(_line_of(row_of(row.fields.get("id"), verdict)))
            out.flush()
            count += len(batch)
    finally:
        if verifier is None:
            judge.close()
    return count


def _unread(rows: Iterable[Row]) -> list[str]:
    """The names of what rows hold, where none of them has a field of a task; a few of them where there are many."""
    others: set[str] = set()
    named = False
    for row in rows:
        named = named or any(row.fields.get(name) is not None for name in TASK_FIELDS)
        if len(others) < MOST_SHOWN:
            others |= row.fields.keys() - BESIDE_TASKS
    return [] if named else [shown(name, LONGEST_SHOWN) for name in sorted(others)[:MOST_SHOWN]]


def row_of(row_id: Any, verdict: Verdict) -> dict[str, Any]:
    """Returns the row of a verdict."""
    return {
        "id": row_id,
        "passed": verdict.passed,
        "reward": verdict.reward,
        "status": verdict.status,
        "reason": verdict.reason,
        "seconds": round(verdict.seconds, 6),
    }


def _line_of(row: Mapping[str, Any]) -> str:
    """A lone surrogate, which no file can hold, is written as JSON's escape for it."""
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace").decode() + "\n"


def read_rows(path: Path | str, name: str = "") -> Iterator[Row]:
    """Yields the rows of a file in order; `name` is the verifier whose fields must be there.

    Raises UnusableInput, naming file, line and field.
    """
    for number, line in lines_of(path, LONGEST_ROW, lambda sentence: _unusable(path, sentence)):
        yield _row(path, number, line, name)


def _unusable(path: Path | str, sentence: str) -> UnusableInput:
    return UnusableInput(path, 0, "", sentence.removeprefix(f"{path}: "))


def _row(path: Path | str, number: int, line: bytes, name: str) -> Row:
    def fault(field: str, problem: str) -> UnusableInput:
        return UnusableInput(path, number, field, problem)

    try:
        row = parse_json(line, finite=False)
    except ValueError as error:
        raise fault("", f"{error}{REMEDY}") from error
    if not isinstance(row, dict):
        raise fault("", f"is not a JSON object{REMEDY}")
    completion = row.get("completion")
    if completion is None:
        raise fault("completion", "is missing")
    if not isinstance(completion, str):
        raise fault("completion", f"must be text, not {type(completion).__name__}")
    needed = NEEDS.get(name)
    if needed and row.get(needed) is None:
        raise fault(needed, f"is missing, and verifier {name} needs it; give it under this name")
    if row.get("tests") == []:
        raise fault("tests", "must be a list with at least one test")
    return Row(number, row, read_task(row, fault, name == "code"), completion)
