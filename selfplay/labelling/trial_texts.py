"""Inputs and outputs of trials as texts: what programs read and print, or JSON of what functions take and return.

Texts in normal form are equal where outputs are: words in single blanks, or JSON without blanks and with sorted keys.
"""

from __future__ import annotations

import json
from typing import Any

from verifiers.model import Task, Test
from verifiers.programs.task_rows import json_value
from verifiers.untrusted.json_values import is_too_deep


def of_value(value: Any) -> str:
    """The JSON text of a value in normal form; empty where JSON has none, or it lies too deep."""
    try:
        return "" if is_too_deep(value) else json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return ""


def normal(task: Task, output: str) -> str:
    """An output in normal form."""
    if task.entry_point is None:
        return " ".join(output.split())
    return of_value(json_value(output)) if output else ""


def input_of(test: Test) -> str:
    """The input of a test: standard input, or the JSON text of the arguments."""
    return test.input if test.args is None else of_value(list(test.args))


def output_of(test: Test) -> str:
    """The expected output of a test: a text, or the JSON text of a value."""
    return test.output if test.args is None else of_value(test.expected)


def arguments(text: str) -> list[Any]:
    """The arguments of a function from the text that `input_of` writes. Raises ValueError where it is no such text."""
    found = json_value(text)
    if not isinstance(found, list):
        raise ValueError("is no list of arguments")
    return found


def test_of(task: Task, text: str, output: str) -> Test:
    """The test that an input and an output in these forms make."""
    if task.entry_point is None:
        return Test(text, output)
    return Test(args=tuple(arguments(text)), expected=json_value(output))
