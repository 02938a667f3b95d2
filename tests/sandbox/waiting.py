"""Waits of the sandbox's tests for what other processes do."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
