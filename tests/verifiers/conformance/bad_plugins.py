"""Plug-ins with one fault each, for the conformance kit to find."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from verifiers.model import Task, Verdict


def right(passed: bool) -> Verdict:
    return Verdict(passed, float(passed), "correct" if passed else "wrong")


class Good:
    """Passes when the last word is the answer."""

    name = "good"

    def verify(self, task: Task, completion: str) -> Verdict:
        return right(completion.split()[-1:] == [task.answer] and "<think>" not in completion)

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        return [self.verify(task, completion) for task, completion in items]

    def close(self) -> None:
        pass


class Hangs(Good):
    def verify(self, task: Task, completion: str) -> Verdict:
        while "\x00" in completion:
            pass
        return super().verify(task, completion)


class Exits(Good):
    def verify(self, task: Task, completion: str) -> Verdict:
        if not completion:
            os._exit(3)
        return super().verify(task, completion)


class Crashes(Good):
    def verify(self, task: Task, completion: str) -> Verdict:
        if completion == "\ud800":
            ctypes.string_at(0)
        return super().verify(task, completion)


class Swells(Good):
    def verify(self, task: Task, completion: str) -> Verdict:
        if completion.startswith("(((("):
            kept = bytearray(400 << 20)
            time.sleep(20)
            del kept
        return super().verify(task, completion)


class Encodes(Good):
    def verify(self, task: Task, completion: str) -> Verdict:
        completion.encode()
        return super().verify(task, completion)


class Leaves(Good):
    def verify(self, task: Task, completion: str) -> Verdict:
        if "\\boxed{" in completion:
            sys.exit("no boxes, please")
        return super().verify(task, completion)


class PassesAll(Good):
    def verify(self, task: Task, completion: str) -> Verdict:
        return right(True)


class Believes(Good):
    def verify(self, task: Task, completion: str) -> Verdict:
        return right("correct" in completion.casefold() or super().verify(task, completion).passed is True)


class RewardsClaims(Good):
    judges = "form"

    def verify(self, task: Task, completion: str) -> Verdict:
        return Verdict(False, 0.5 if "reward" in completion else 0.25, "wrong")


class Searches(Good):
    def verify(self, task: Task, completion: str) -> Verdict:
        return right(str(task.answer) in completion)


class Guesses(Good):
    def verify(self, task: Task, completion: str) -> Verdict:
        return right(random.random() < 0.5)


class Hashes(Good):
    judges = "form"

    def verify(self, task: Task, completion: str) -> Verdict:
        return right(hash(completion.encode("utf-8", "replace")) % 2 == 0)


class Counts(Good):
    judges = "form"

    def __init__(self) -> None:
        self._count = 0

    def verify(self, task: Task, completion: str) -> Verdict:
        self._count += 1
        return right(self._count % 3 == 0)


class Compares(Good):
    """Rewards by rank within the batch."""

    judges = "form"

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        longest = max((len(completion) for _, completion in items), default=0)
        return [right(len(completion) == longest > 0) for _, completion in items]

    def verify(self, task: Task, completion: str) -> Verdict:
        return right(bool(completion))


class Drops(Good):
    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        return super().verify_many(items)[:-1] if len(items) > 5 else super().verify_many(items)


class NeedsOne(Good):
    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        _ = items[0]
        return super().verify_many(items)


class Shares(Good):
    """Keeps what it judges where another thread puts its own."""

    judges = "form"

    def verify(self, task: Task, completion: str) -> Verdict:
        self._completion = completion
        time.sleep(0.0005)
        return right(len(self._completion) % 2 == 0)


class Alarms(Good):
    def verify(self, task: Task, completion: str) -> Verdict:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        return super().verify(task, completion)


class KeepsProcess(Good):
    def __init__(self, *, seconds: str) -> None:
        self._process = subprocess.Popen(["sleep", seconds])


class KeepsDaemon(Good):
    """Its parent ends at once, in a session of its own."""

    def __init__(self, *, seconds: str) -> None:
        subprocess.run(["setsid", "sh", "-c", f"sleep {seconds} &"], check=True)


class KeepsThread(Good):
    def __init__(self) -> None:
        self._stop = threading.Event()
        threading.Thread(target=self._stop.wait, daemon=True).start()


class KeepsFile(Good):
    def __init__(self) -> None:
        os.open(os.devnull, os.O_RDONLY)


class ClosesOnce(Good):
    _open = True

    def close(self) -> None:
        if not self._open:
            raise RuntimeError("closed already")
        self._open = False


class Prints(Good):
    def verify(self, task: Task, completion: str) -> Verdict:
        print("judging")
        os.environ["SEEN"] = "1"
        return super().verify(task, completion)


class Wavers(Good):
    """Can check every other time."""

    judges = "form"

    def __init__(self) -> None:
        self._count = 0

    def verify(self, task: Task, completion: str) -> Verdict:
        self._count += 1
        return right(False) if self._count % 2 else Verdict(None, None, "not_checked", "busy")


class Changes(Good):
    def verify(self, task: Task, completion: str) -> Verdict:
        for test in task.tests:
            if test.args:
                test.args[0].append(0)
        return super().verify(task, completion)


class Malformed(Good):
    def verify(self, task: Task, completion: str) -> Any:
        return {"passed": False}


class NeedsNothing(Good):
    def __init__(self, *, depth: int) -> None:
        self._depth = depth


NOT_A_VERIFIER = 3
