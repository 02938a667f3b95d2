"""LiveCodeBench's rows as they are released: statements with public tests, and hidden ones that are packed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfplay.suites.pickled_text import packed_text
from selfplay.suites.rows import SuiteError
from verifiers.model import Task, Test
from verifiers.untrusted.json_values import parse_json

TIME_LIMIT_S = 6.0
"""As the authors have it, for each test."""
MEMORY_MB = 2048


def contest_task(where: str, row: Mapping[str, Any]) -> Task:
    """The task of a row.

    Raises:
        SuiteError: a field is missing, or is not what it should be.
    """
    problem, starter = _text(where, row, "question_content"), _text(where, row, "starter_code")
    tests = [*_tests(where, row, "public_test_cases"), *_tests(where, row, "private_test_cases")]
    kinds = {str(test.get("testtype")) for test in tests}
    if kinds == {"stdin"}:
        made = tuple(Test(_text(where, test, "input"), _text(where, test, "output")) for test in tests)
        return Task(problem, tests=made, time_limit_s=TIME_LIMIT_S, memory_mb=MEMORY_MB)
    if kinds != {"functional"}:
        raise SuiteError(f"{where}: has tests of the kinds {sorted(kinds)}; known are stdin or functional")
    return Task(
        f"{problem}\n\nStarter code:\n```python\n{starter}\n```",
        tests=tuple(_call(where, test) for test in tests),
        entry_point=_function(where, row),
        time_limit_s=TIME_LIMIT_S,
        memory_mb=MEMORY_MB,
    )


def contest_day(where: str, row: Mapping[str, Any]) -> str:
    """The day of a row's contest, YYYY-MM-DD."""
    day = str(row.get("contest_date", ""))[:10]
    if len(day) != 10 or day[4] != "-" or day[7] != "-":
        raise SuiteError(f"{where}: `contest_date` must be a date, such as 2024-08-01T00:00:00")
    return day


def _tests(where: str, row: Mapping[str, Any], field: str) -> list[dict[str, Any]]:
    """The tests of a field: a JSON list, or one that is packed."""
    text = _text(where, row, field)
    try:
        found = parse_json(text if text.lstrip()[:1] == "[" else packed_text(text), finite=False)
    except ValueError as error:
        raise SuiteError(f"{where}: `{field}` {error}") from error
    if not isinstance(found, list) or not all(isinstance(test, dict) for test in found):
        raise SuiteError(f"{where}: `{field}` must hold a JSON list of tests")
    return found


def _call(where: str, test: Mapping[str, Any]) -> Test:
    """A call: each line of the input is the JSON of an argument, the output that of the value."""
    try:
        arguments = [parse_json(line, finite=False) for line in _text(where, test, "input").split("\n")]
        return Test(args=tuple(arguments), expected=parse_json(_text(where, test, "output"), finite=False))
    except ValueError as error:
        raise SuiteError(f"{where}: a test of a function {error}") from error


def _function(where: str, row: Mapping[str, Any]) -> str:
    """The name of the function that is called, from `metadata`."""
    metadata = row.get("metadata")
    try:
        known = parse_json(metadata) if isinstance(metadata, str) else metadata
    except ValueError as error:
        raise SuiteError(f"{where}: `metadata` {error}") from error
    name = known.get("func_name") if isinstance(known, dict) else None
    if not isinstance(name, str) or not name.isidentifier():
        raise SuiteError(f"{where}: `metadata` must name the function as `func_name`")
    return name


def _text(where: str, row: Mapping[str, Any], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str):
        raise SuiteError(f"{where}: `{field}` must be a text, as released; it is {type(value).__name__}")
    return value
