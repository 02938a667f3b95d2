"""The work of `readers`: calls of functions and classes of ours on texts, in a process that can be killed.

`python -m verifiers.pool.reading CONTROL MEMORY_MB ITEMS TARGET...`; each TARGET is made before the first question.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from functools import lru_cache
from typing import Any

from verifiers.pool.serving import serve

DEEPEST = 2000
"""Calls within one another."""


def answer(question: Any) -> list[Any]:
    """The results of a target on each row of arguments, as JSON data."""
    target = target_of(question["target"])
    call = getattr(target, question["do"]) if question["do"] else target
    return [_data(call(*row)) for row in question["rows"]]


@lru_cache(64)
def target_of(told: str) -> Any:
    """The function of a `module:name`, or an object of the class there, by JSON of the name and its parameters."""
    path, params = json.loads(told)
    module, _, name = path.partition(":")
    found = getattr(importlib.import_module(module), name)
    return found(**params) if isinstance(found, type) else found


def _data(value: Any) -> Any:
    """A result as JSON data: of a dataclass, its values in order."""
    kind: Any = type(value)
    names = _names(kind)
    return [getattr(value, name) for name in names] if names else value


@lru_cache(64)
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(one.name for one in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


def warm_up() -> None:
    """Loads what nearly every reader needs, and makes what the command line names."""
    importlib.import_module("verifiers.extraction")
    for told in sys.argv[4:]:
        target_of(told)


if __name__ == "__main__":
    sys.setrecursionlimit(DEEPEST)
    serve(answer, warm_up)
