"""A worker of readers that misbehave on a text that says so, such as `fault: sleep`."""

from __future__ import annotations

import os
import signal
import sys
import time

from verifiers import extraction
from verifiers.pool import reading
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


original = extraction.final_text


def final_text(completion: str) -> str | None:
    fault = completion.partition("fault: ")[2].split()
    if fault:
        misbehave(fault[0].strip("`}"))
    return original(completion)


if __name__ == "__main__":
    sys.setrecursionlimit(reading.DEEPEST)
    extraction.final_text = final_text
    serve(reading.answer, reading.warm_up)
