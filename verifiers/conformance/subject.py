"""The examiner's end of the process in which a verifier is examined: deadlines, memory, and a sure end.

Whatever the verifier does, a question ends within its deadline: with an answer, or with a `Trouble` that says
what happened, after which the process and all that it started are dead.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

import psutil

from sandbox.process.child import Child, ChildGone, exit_reason

# Between two looks at the memory: what allocates fast must not get far.
_SLICE_S = 0.1
_MAX_ANSWER = 64 << 20
_KEPT_OUTPUT = 4096
_LAST_S = 5.0
_NOT_THE_PLACE = ("conformance/child.py", "threading.py")


class Trouble(RuntimeError):
    """Something other than an answer: `kind` is raised, unusable, hung, died or over_memory."""

    def __init__(self, kind: Literal["raised", "unusable", "hung", "died", "over_memory"], message: str) -> None:
        """Takes the kind, and a sentence."""
        super().__init__(message)
        self.kind = kind

    @property
    def fatal(self) -> bool:
        """Whether the process is gone, and another one has to be started."""
        return self.kind in ("hung", "died", "over_memory")


class Subject:
    """One process with the verifier in it. Not for several threads at once."""

    def __init__(self, name: str, params: Mapping[str, Any], items: Path, *, memory_mb: int, hash_seed: int) -> None:
        """Starts the process; `items` is the file that `ask` refers to by number, `hash_seed` that of `hash`."""
        self._memory = memory_mb << 20
        self.peak_mb = 0.0
        self._gone = False
        self._stacks = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed by `end`
            "r", prefix="stacks-", encoding="utf-8", errors="replace"
        )
        printed, prints = os.pipe()
        try:
            self._process = Child(
                "verifiers.conformance.child",
                (prints, self._stacks.name),
                fds=(prints,),
                environment={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
                stderr=subprocess.PIPE,
                longest=_MAX_ANSWER,
            )
        except OSError:
            os.close(printed)
            raise
        finally:
            os.close(prints)
        assert self._process.complaints is not None
        self.printed = _Drain(os.fdopen(printed, "rb"))
        self.complained = _Drain(self._process.complaints)
        self._setting = {"name": name, "params": dict(params), "items": str(items)}
        self._told = False

    def ask(self, do: str, deadline_s: float, **arguments: Any) -> Any:
        """Asks one question and returns the answer. Raises Trouble."""
        if self._gone:
            raise Trouble("died", "its process had ended before")
        until = time.monotonic() + deadline_s
        questions = [{"do": do, **arguments}] if self._told else [self._setting, {"do": do, **arguments}]
        self._told = True
        try:
            self._process.write("".join(json.dumps(question) + "\n" for question in questions).encode(), until)
        except TimeoutError:
            raise self._hung("did not take the question") from None
        except ChildGone:
            raise self._died() from None
        answer = json.loads(self._line(until, deadline_s))
        if "unusable" in answer:
            raise Trouble("unusable", answer["unusable"])
        if "raised" in answer:
            raise Trouble("raised", f"it raised {answer['raised']}")
        return answer["value"]

    def end(self) -> None:
        """Kills the process and everything under it, and waits until they are gone."""
        if self._gone:
            return
        self._gone = True
        self._process.close()
        self.printed.close()
        self.complained.close()
        self._stacks.close()

    def _line(self, until: float, deadline_s: float) -> bytes:
        while True:
            self._watch_memory()
            try:
                line = self._process.line(min(until, time.monotonic() + _SLICE_S))
            except TimeoutError:
                if time.monotonic() >= until:
                    raise self._hung(f"no answer within {deadline_s:g} s") from None
            except ChildGone:
                raise self._died() from None
            else:
                self._watch_memory()
                return line

    def _watch_memory(self) -> None:
        try:
            used = psutil.Process(self._process.pid).memory_info().rss
        except psutil.NoSuchProcess:
            return
        self.peak_mb = max(self.peak_mb, used / (1 << 20))
        if used > self._memory:
            self.end()
            raise Trouble("over_memory", f"it took more than {self._memory >> 20} MB of memory")

    def _hung(self, what: str) -> Trouble:
        where = self._place_of_hang()
        self.end()
        return Trouble("hung", f"{what}{where}")

    def _died(self) -> Trouble:
        # What it printed last is heard with its end.
        code = self._process.end(_LAST_S)
        self.end()
        last = self.complained.head.strip().splitlines()[-1:] if code else []
        return Trouble("died", f"it {exit_reason(code)}{': ' + last[0][:200] if last else ''}")

    def _place_of_hang(self) -> str:
        """Asks the process for its stacks; the first frame is where it is."""
        self._process.signal(signal.SIGUSR1)
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            self._stacks.seek(0)
            frames = [line.strip() for line in self._stacks.read(1 << 16).splitlines() if line.startswith("  File ")]
            own = [frame for frame in frames if not any(name in frame for name in _NOT_THE_PLACE)]
            if own:
                return f"; it was at {own[0].removeprefix('File ')}"[:300]
            time.sleep(0.05)
        return ""


class _Drain:
    """Reads what a process prints, so that it never waits; keeps the beginning, and counts the rest."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = bytearray()
        self.count = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def head(self) -> str:
        return bytes(self._kept).decode("utf-8", "replace")

    def close(self) -> None:
        # whoever else holds the other end (a process that got away) must not keep the examiner
        self._thread.join(1)
        if not self._thread.is_alive():
            self._stream.close()

    def _run(self) -> None:
        while chunk := os.read(self._stream.fileno(), 1 << 16):
            self.count += len(chunk)
            self._kept += chunk[: max(0, _KEPT_OUTPUT - len(self._kept))]
