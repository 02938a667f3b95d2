"""The contest problems by which the paper rates models, as its authors released them.

A row of `promptcot2_codeforces_test.jsonl` has the whole prompt, in the turns of one chat format, and its tests as a
JSON text with `inputs` and `outputs`. Which contest a problem is of stands nowhere in it, and a rating needs that: rows
may bear `id` (as in 1971/A) or `contest_id` and `index` besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfplay.suites.rows import SuiteError, column_text
from verifiers.model import Task, Test
from verifiers.untrusted.json_values import parse_json

TIME_LIMIT_S = 30.0
"""As the authors have it, for each test."""
MEMORY_MB = 2048
OPENED, CLOSED = "<|im_start|>user\n", "<|im_end|>"
"""Around the user's turn: a model gets it in its own chat format."""


def codeforces_task(where: str, row: Mapping[str, Any]) -> Task:
    """The task of a row.

    Raises:
        SuiteError: a column is missing, or is not what it should be.
    """
    return Task(user_turn(where, row), tests=_tests(where, row), time_limit_s=TIME_LIMIT_S, memory_mb=MEMORY_MB)


def user_turn(where: str, row: Mapping[str, Any]) -> str:
    """The words of a row's prompt, without the chat format around them.

    Raises:
        SuiteError: it asks nothing.
    """
    prompt = column_text(where, row, "prompt", "problem")
    asked = prompt.partition(OPENED)[2].partition(CLOSED)[0].strip() if OPENED in prompt else prompt.strip()
    if not asked:
        raise SuiteError(f"{where}: `prompt` has nothing in the user's turn; download the file again")
    return asked


def contest_name(row: Mapping[str, Any]) -> str | None:
    """The name of a row's problem, as in 1971/A, of the two columns that hold it; None where one is missing."""
    parts = [row.get(name) for name in ("contest_id", "index")]
    return None if None in parts or "" in parts else "/".join(map(str, parts))


def _tests(where: str, row: Mapping[str, Any]) -> tuple[Test, ...]:
    given = row.get("input_output")
    try:
        found = parse_json(given, finite=False) if isinstance(given, str) else given
    except ValueError as error:
        raise SuiteError(f"{where}: `input_output` {error}") from error
    sides = [found.get(name) if isinstance(found, dict) else None for name in ("inputs", "outputs")]
    inputs, outputs = (
        [one for one in side if isinstance(one, str)] if isinstance(side, list) else [] for side in sides
    )
    if not inputs or [inputs, outputs] != sides or len(inputs) != len(outputs):
        raise SuiteError(f"{where}: `input_output` must have as many texts in `outputs` as in `inputs`, one or more")
    return tuple(Test(given, expected) for given, expected in zip(inputs, outputs, strict=True))
