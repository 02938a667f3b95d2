"""The work of a verifier of others, in a process that can be killed: `python -m verifiers.plugin_worker`.

The module of the plug-in is loaded before the process forks, the plug-in itself made after it, so that threads and
connections that it opens belong to the process that answers.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from functools import cache
from typing import Any

from verifiers.answers import GuardedReader
from verifiers.model import Task, Verdict, Verifier
from verifiers.plugins.guard import GuardedVerifier
from verifiers.pool.serving import serve
from verifiers.registry import find, make


def answer(question: Any) -> Any:
    """Answers one question, by its `do`."""
    if question["do"] == "verify":
        items = [(_task(row), completion) for row, completion in question["items"]]
        return [_row(verdict) for verdict in _guarded().verify_many(items)]
    reader = GuardedReader(_plugin())
    if question["do"] == "extract":
        return reader.extract(question["completion"])
    if question["do"] == "equal":
        return reader.equal(question["first"], question["second"])
    return reader.canonical(question["answer"])


def _task(row: dict[str, Any]) -> Task:
    return Task(**row | {"tests": tuple(row["tests"])})


def _row(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON data, whatever the plug-in put into its details."""
    try:
        details = json.loads(json.dumps(dict(verdict.details), default=str))
    except (TypeError, ValueError, RecursionError):
        details = {}
    return asdict(replace(verdict, details=details))


@cache
def _plugin() -> Verifier:
    told = _told()
    return make(told["path"], told["params"])


@cache
def _guarded() -> GuardedVerifier:
    return GuardedVerifier(_plugin())


@cache
def _told() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(sys.argv[4])
    return told


if __name__ == "__main__":
    serve(answer, lambda: find(_told()["path"]))
