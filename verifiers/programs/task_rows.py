"""Tasks as rows: read from what people's files hold, with complaints that name the field, and written for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from keyword import iskeyword
from typing import Any

from sandbox.languages import LANGUAGES
from verifiers.model import Task, Test
from verifiers.programs.approximate import TOLERANCE_KINDS
from verifiers.programs.checker import needs_testlib
from verifiers.programs.comparison import COMPARISONS
from verifiers.untrusted.json_values import DEEPEST_JSON, is_of_whole_characters, is_too_deep, parse_json
from verifiers.untrusted.shown import quoted

TASK_FIELDS = tuple(field.name for field in fields(Task))
"""Fields of a row that say something of a task; all are optional."""
_IN_AND_OUT = ("input", "output")
_MOST = 1e9
LONGEST_JSON = 1 << 24
"""Most characters of the text of one JSON value."""

Fault = Callable[[str, str], Exception]
"""Makes the exception for a field and what is wrong with it."""


def json_text(value: Any) -> str:
    """A JSON value as ASCII text, which `json_value` reads."""
    return json.dumps(value, separators=(",", ":"))


def json_value(text: str) -> Any:
    """The value of a JSON text. Raises ValueError where it is none, or too long, or too deep."""
    if len(text) > LONGEST_JSON:
        raise ValueError(f"is longer than {LONGEST_JSON} characters")
    return parse_json(text, finite=False)


def read_task(row: Mapping[str, Any], fault: Fault, programs: bool) -> Task:
    """The task of a row, of which fields that are null count as absent.

    Where columns have one type, as in Parquet, `args` of a test may be the JSON text of a list, and `expected` is then
    a JSON text, too; so may be `tests` as a whole.

    Args:
        row: fields of a task under our names; others are not looked at.
        fault: makes what is raised where a field cannot be used.
        programs: whether the tasks are for the code verifier, which knows some languages only.
    """
    return _TaskRow(row, fault).task(programs)


def program_fault(task: Task) -> tuple[str, str] | tuple[()]:
    """The field for which no program can be judged by a task, and what is wrong with it; nothing where one can."""
    return _fault_of_choices(task) or _fault_of_bounds(task) or _fault_of_function(task) or _fault_of_texts(task)


def _fault_of_choices(task: Task) -> tuple[str, str] | tuple[()]:
    if task.comparison is not None and task.comparison not in COMPARISONS:
        return "comparison", f"must be one of {', '.join(COMPARISONS)}, not {task.comparison!r}"
    if task.tolerance_kind not in TOLERANCE_KINDS:
        return "tolerance_kind", f"must be one of {', '.join(TOLERANCE_KINDS)}, not {task.tolerance_kind!r}"
    if task.language not in LANGUAGES:
        return "language", f"must be one of {', '.join(LANGUAGES)}, not {task.language!r}"
    if task.checker is not None and needs_testlib(task.checker):
        return "checker", "includes testlib.h, which is not shipped: put the header's text in its place"
    return ()


def _fault_of_bounds(task: Task) -> tuple[str, str] | tuple[()]:
    """Of what comes from a caller in Python; rows are read within the same bounds."""
    for field, kinds in (("time_limit_s", (int, float)), ("memory_mb", (int,)), ("float_tolerance", (int, float))):
        value = getattr(task, field)
        if value is None and field == "float_tolerance":
            continue
        is_bounded = type(value) in kinds and (0 < value < _MOST or (value == 0 and field == "float_tolerance"))
        if not is_bounded:
            kind = "a whole number" if kinds == (int,) else "a number"
            return field, f"must be {kind} above 0 and below {_MOST:g}, not {quoted(value, 40)}"
    return ()


def _fault_of_function(task: Task) -> tuple[str, str] | tuple[()]:
    if task.entry_point is None:
        return ()
    if not task.entry_point.isidentifier() or iskeyword(task.entry_point):
        return "entry_point", f"{task.entry_point!r} is no name of a function"
    if not LANGUAGES[task.language].has_functions:
        return "entry_point", f"names a function, and those of {task.language} programs are not called"
    if any(test.args is None for test in task.tests):
        return "tests", "have no args, and this task calls a function"
    if not all(isinstance(test.args, list | tuple) for test in task.tests):
        return "tests", "have args that are no list of arguments"
    return (
        ("checker", "reads standard output, and this task calls a function; drop one of them") if task.checker else ()
    )


def _fault_of_texts(task: Task) -> tuple[str, str] | tuple[()]:
    """No program reads or writes half of a character."""
    texts = ((f"tests[{at}].{name}", getattr(test, name)) for at, test in enumerate(task.tests) for name in _IN_AND_OUT)
    for field, text in texts:
        if not isinstance(text, str):
            return field, f"must be text, not {type(text).__name__}"
        if not is_of_whole_characters(text):
            return field, "holds a lone surrogate, which no program reads or writes; write whole characters"
    return ()


class _TaskRow:
    def __init__(self, row: Mapping[str, Any], fault: Fault) -> None:
        self._row, self._fault = row, fault

    def task(self, programs: bool) -> Task:
        entry_point, language = self._text("entry_point"), self._text("language") or "python"
        task = Task(
            problem=self._text("problem") or "",
            answer=self._answer(),
            tests=self._tests(entry_point),
            entry_point=entry_point,
            language=language,
            time_limit_s=self._positive("time_limit_s", 5.0),
            memory_mb=int(self._positive("memory_mb", 512)),
            float_tolerance=self._positive("float_tolerance", None),
            tolerance_kind=self._one_of("tolerance_kind", TOLERANCE_KINDS) or "either",
            comparison=self._one_of("comparison", COMPARISONS),
            checker=self._text("checker"),
        )
        if programs and (found := program_fault(task)):
            raise self._fault(*found)
        return task

    def _text(self, field: str) -> str | None:
        value = self._row.get(field)
        if value is not None and not isinstance(value, str):
            raise self._fault(field, f"must be text, not {type(value).__name__}")
        return value

    def _one_of(self, field: str, choices: Sequence[str]) -> str | None:
        value = self._text(field)
        if value is not None and value not in choices:
            raise self._fault(field, f"must be one of {', '.join(choices)}, not {value!r}")
        return value

    def _answer(self) -> str | None:
        value = self._row.get("answer")
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal | None):
            raise self._fault("answer", f"must be text or a number, not {type(value).__name__}; write it as text")
        if isinstance(value, float | Decimal) and not math.isfinite(value):
            raise self._fault("answer", f"is {value}, which no completion gives; leave it empty where there is none")
        return None if value is None else str(value)

    def _positive(self, field: str, default: Any) -> Any:
        value = self._row.get(field)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
            raise self._fault(field, "must be a number that is not negative")
        if value == 0 and field != "float_tolerance":
            raise self._fault(field, "must be more than 0")
        return value

    def _tests(self, entry_point: str | None) -> tuple[Test, ...]:
        tests = self._row.get("tests")
        if tests is None:
            return ()
        if isinstance(tests, str):
            tests = self._decoded("tests", tests)
        if not isinstance(tests, list):
            raise self._fault("tests", f"must be a list of tests, not {type(tests).__name__}")
        return tuple(self._test(f"tests[{at}]", test, entry_point is not None) for at, test in enumerate(tests))

    def _test(self, field: str, test: Any, of_function: bool) -> Test:
        if not isinstance(test, dict):
            raise self._fault(field, "must be an object")
        if of_function:
            return self._call(field, test)
        for key in ("input", "output"):
            if not isinstance(test.get(key), str):
                raise self._fault(f"{field}.{key}", "must be text; tests of functions need `entry_point`")
        return Test(input=test["input"], output=test["output"])

    def _call(self, field: str, test: dict[str, Any]) -> Test:
        args, expected = test.get("args"), test.get("expected")
        if isinstance(args, str):
            args = self._decoded(f"{field}.args", args)
            expected = None if expected is None else self._decoded(f"{field}.expected", expected)
        if not isinstance(args, list):
            raise self._fault(f"{field}.args", "must be a list of arguments")
        if "expected" not in test:
            raise self._fault(f"{field}.expected", "is missing")
        if is_too_deep([args, expected]):
            raise self._fault(field, f"is nested deeper than {DEEPEST_JSON} levels")
        return Test(args=tuple(args), expected=expected)

    def _decoded(self, field: str, text: Any) -> Any:
        try:
            return json_value(text)
        except TypeError as error:
            raise self._fault(field, "is not JSON, but a value, while `args` is the text of one") from error
        except ValueError as error:
            raise self._fault(field, str(error)) from error


def task_to_json(task: Task) -> str:
    """A task as a JSON text, which `task_from_json` reads; nothing of it is checked."""
    plain = {name: getattr(task, name) for name in TASK_FIELDS}
    tests = [{"input": t.input, "output": t.output, "args": t.args, "expected": t.expected} for t in task.tests]
    return json_text(plain | {"tests": tests})


def task_from_json(text: str) -> Task:
    """The task that `task_to_json` wrote. Raises ValueError where the text is no JSON."""
    row = json_value(text)
    return Task(**row | {"tests": tuple(row["tests"])})
