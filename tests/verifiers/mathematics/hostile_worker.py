"""A worker of the math verifiers whose readers misbehave on a text that says so, such as `extraction sleep`."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from verifiers.mathematics import algebra, worker
from verifiers.pool.serving import serve


def misbehave(fault: str) -> None:
    if fault == "sleep":
        time.sleep(60)
    if fault == "loop":
        while True:
            pass
    if fault == "memory":
        bytearray(1 << 40)
    if fault == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault == "recurse":
        misbehave(fault)
    if fault == "raise":
        raise ValueError("a fault of ours")


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
