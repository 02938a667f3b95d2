"""One seed in the recipe; every stage, shard and problem derives its own from it by name."""

from __future__ import annotations

import dataclasses
import hashlib

from verifiers.model import Task, Test
from verifiers.programs.task_rows import json_text


def derive(seed: int, *names: str | int) -> int:
    """A seed in [0, 2**31) for whatever the names say, so that order and parallelism don't matter."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def content_id(*parts: object) -> str:
    """A stable identifier of some content: 16 hexadecimal digits of its SHA-256."""
    text = "\x1f".join(map(str, parts))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def task_id(prompt_id: str, task: Task) -> str:
    """The identifier of a prompt under a label."""
    tests = "".join(f"{_test_text(test)}, " for test in task.tests)
    defaults = Task(task.problem, task.answer, task.tests)
    more = {
        field.name: getattr(task, field.name)
        for field in dataclasses.fields(Task)
        if getattr(task, field.name) != getattr(defaults, field.name)
    }
    # Draws depend on these ids. They stay as they were when labels were answers, or inputs and outputs, and no more.
    tests = f"({tests[:-1] if len(task.tests) == 1 else tests[:-2]})"
    return content_id("task", prompt_id, task.answer, tests, *([json_text(more)] if more else []))


def _test_text(test: Test) -> str:
    if test.args is None:
        return f"TestCase(input={test.input!r}, output={test.output!r})"
    return json_text([test.args, test.expected])
