"""Labelled programs from files of JSON lines, as cases for the code verifier.

The files are HumanEval, MBPP and C++ problems with right and wrong solutions; each row names its task, its tests and
its solutions. HumanEval's `check(candidate)` is turned into arguments and expected values by running it inside the
sandbox with a recording `candidate`: reading its asserts as text loses every assert that is no literal comparison.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandbox.model import Limits, Program, Sandbox, Status
from verifiers.model import Task, Test


@dataclass(frozen=True)
class Case:
    """A program for a task, and whether it is right."""

    name: str
    task: Task
    source: str
    right: bool


_DISPATCH = """

def call_by_name(name, *arguments):
    return globals()[name](*arguments)
"""
_RECORD = """

def recorded_calls(entry_point, helpers):
    import copy
    calls = []
    def recording(name, function):
        def recorded(*arguments):
            before = copy.deepcopy(arguments)
            value = function(*arguments)
            calls.append([[name, *before], value])
            return value
        return recorded
    candidate = recording(entry_point, globals()[entry_point])
    for name in helpers:
        globals()[name] = recording(name, globals()[name])
    check(candidate)
    return calls
"""
_TOLERANT = ("abs(", "fabs(")


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    """All rows of one file."""
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def humaneval(folder: Path, sandbox: Sandbox) -> Iterator[Case]:
    """Function mode, with the calls that `check` makes of the canonical solution and of the prompt's helpers.

    The helpers count because a solution repeats them, and `check` makes its inputs with the solution's own: a wrong
    `encode` beside a right `decode` fails the original test.
    """
    for row in rows(folder, "humaneval"):
        entry_point, test = row["entry_point"], row["test"]
        right = row["prompt"] + row["canonical_solution"]
        defined = [node.name for node in ast.parse(right).body if isinstance(node, ast.FunctionDef)]
        named = {node.id for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Name)}
        helpers = [name for name in defined if name in named and name != entry_point]
        program = Program(f"{right}\n{test}\n{_RECORD}")
        recorded = sandbox.call(program, "recorded_calls", [[entry_point, helpers]], Limits(cpu_s=20, wall_s=60))[0]
        assert recorded.status is Status.OK, (row["task_id"], recorded.reason, recorded.stderr[-300:])
        task = Task(
            row["task_id"],
            tests=tuple(Test(args=tuple(args), expected=value) for args, value in recorded.value),
            entry_point="call_by_name",
            float_tolerance=1e-6 if any(word in test for word in _TOLERANT) else None,
        )
        for case in _cases(task, right, row):
            yield replace(case, source=case.source + _DISPATCH)


def mbpp_functions(folder: Path) -> Iterator[Case]:
    """Function mode, tests as the file has them."""
    for row in rows(folder, "mbpp_func"):
        tests = tuple(Test(args=tuple(test["args"]), expected=test["expected"]) for test in row["tests"])
        yield from _cases(Task(row["task_id"], tests=tests, entry_point=row["entry_point"]), row["solution"], row)


def mbpp_programs(folder: Path) -> Iterator[Case]:
    """Standard input and output."""
    for row in rows(folder, "mbpp_stdio"):
        yield from _cases(Task(row["task_id"], tests=_stdio_tests(row)), row["solution"], row)


def library_checker(folder: Path) -> Iterator[Case]:
    """C++; the labels are those of a comparison of words, without the problems' own checkers."""
    for row in rows(folder, "library_checker_cpp"):
        task = Task(row["task_id"], tests=_stdio_tests(row), language="cpp", time_limit_s=10.0, memory_mb=1024)
        yield Case(f"{task.problem}/right", task, row["solution_cpp"], True)
        for other in row["other_solutions"]:
            right = all(label == "AC" for label in other["on_these_tests"])
            yield Case(f"{task.problem}/{other['file']}", task, other["code"], right)


def _stdio_tests(row: dict[str, Any]) -> tuple[Test, ...]:
    return tuple(Test(test["input"], test["output"]) for test in row["tests"])


def _cases(task: Task, right: str, row: dict[str, Any]) -> Iterator[Case]:
    yield Case(f"{task.problem}/right", task, right, True)
    for number, wrong in enumerate(row["wrong_solutions"]):
        yield Case(f"{task.problem}/wrong{number}", task, wrong["code"], False)
