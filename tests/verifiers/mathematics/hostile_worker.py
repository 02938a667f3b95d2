"""A worker of the math verifiers whose readers misbehave on a text that says so, such as `extraction sleep`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tests.verifiers.pool.hostile_reader import misbehave
from verifiers.mathematics import algebra, worker
from verifiers.pool.serving import serve


def faulty(place: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def patched(first: Any, *others: Any) -> Any:
        _, found, fault = str(first).partition(f"{place} ")
        if found:
            misbehave(fault.split()[0].strip("}$',"))
        return original(first, *others)

    return patched


if __name__ == "__main__":
    sys.setrecursionlimit(2000)
    worker.math_answer = faulty("extraction", worker.math_answer)  # type: ignore[attr-defined]
    worker._form = faulty("reading", worker._form)  # type: ignore[assignment]
    worker.symbolic.is_plain = faulty("comparing", worker.symbolic.is_plain)
    worker.symbolic.answer = faulty("comparing", worker.symbolic.answer)
    serve(worker.answer, algebra.warm_up)
