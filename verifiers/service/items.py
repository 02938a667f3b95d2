"""The items of a request: what to ask which verifier. Of large requests they stay packed until they are judged."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from verifiers.model import Task, Test, Verdict

_PLAIN = Task()
_FIELDS = tuple(name for name in Task.__dataclass_fields__ if name != "tests")


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """One item of a request: what to ask the verifier `name`, or the fault that makes asking pointless."""

    id: str | int | None
    name: str
    task: Task = field(default_factory=Task)
    completion: str = ""
    fault: Verdict | None = None

    def pair(self) -> tuple[Task, str]:
        """Task and completion, as the verifier is asked."""
        return self.task, self.completion


@dataclass(frozen=True, slots=True)
class PackedItem:
    """The same as another process has read it."""

    id: str | int | None
    name: str
    packed: bytes
    """As `packed` makes it."""
    fault: Verdict | None = None

    def pair(self) -> tuple[Task, str]:
        """Task and completion, made anew each time."""
        completion, fields, tests = from_json(self.packed)
        return Task(tests=tuple(_test(*test) for test in tests), **fields), completion


Item = ScoredItem | PackedItem


def packed(item: ScoredItem) -> bytes:
    """Task and completion as JSON on one line."""
    task = item.task
    fields = {name: value for name in _FIELDS if (value := getattr(task, name)) != getattr(_PLAIN, name)}
    tests = [(test.input, test.output, test.args, test.expected) for test in task.tests]
    return json.dumps((item.completion, fields, tests), separators=(",", ":"), allow_nan=False).encode()


def _test(given: str, output: str, args: list[Any] | None, expected: Any) -> Test:
    return Test(given, output, None if args is None else tuple(args), expected)
