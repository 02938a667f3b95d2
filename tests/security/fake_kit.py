"""Submissions that try to pass without the right answer, and what they are judged by.

None of them may be accepted, and none may end without a verdict: "not checked" would spare a cheat its zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

from verifiers.model import Task, Test


@dataclass(frozen=True)
class Fake:
    """A submission that deserves no reward."""

    name: str
    source: str
    task: Task


SUM = Task("sum", tests=(Test(args=(20, 22), expected=42), Test(args=(1, 2), expected=3)), entry_point="f")
FLOATS = Task("floats", tests=(Test(args=(), expected=[0.5, 1e9]),), entry_point="f", float_tolerance=1e-6)
MAPPING = Task("mapping", tests=(Test(args=(), expected={"a": 1}),), entry_point="f")
LINES = Task("lines", tests=(Test("3\n", "1\n2\n3\n"), Test("1\n", "1\n")), time_limit_s=1.0)
NUMBER = Task("number", tests=(Test("", "0.25\n"),), float_tolerance=1e-6)
JSON = Task("json", tests=(Test("", '{"a": [1, 2]}\n'),))
_CHECKER = """
import sys
given, output, answer = (open(path).read().split() for path in sys.argv[1:4])
sys.exit(int(output[0]) != int(answer[0]))
"""
CHECKED = Task("checked", tests=(Test("", "42\n"),), checker=_CHECKER)
CPP = Task("cpp", tests=(Test("3\n", "1\n2\n3\n"), Test("1\n", "1\n")), language="cpp")


def of(task: Task, **sources: str) -> list[Fake]:
    return [Fake(name, dedent(source).strip("\n"), task) for name, source in sources.items()]
