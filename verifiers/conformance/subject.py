"""The examiner's end of the process in which a verifier is examined: deadlines, memory, and a sure end.

Whatever the verifier does, a question ends within its deadline: with an answer, or with a `Trouble` that says
what happened, after which the process and all that it started are dead.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

import psutil

_START_S = 60.0
_SLICE_S = 0.1
_MAX_ANSWER = 64 << 20
_KEPT_OUTPUT = 4096
_SWEEPS = 5
_END_S = 5.0
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
        self._buffer = b""
        self._gone = False
        self._stacks = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed by `end`
            "r", prefix="stacks-", encoding="utf-8", errors="replace"
        )
        pipes = [os.pipe() for _ in range(3)]
        theirs = (pipes[0][0], pipes[1][1], pipes[2][0])
        self._questions, self._answers, self._lifeline = pipes[0][1], pipes[1][0], pipes[2][1]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "verifiers.conformance.child", *map(str, theirs), self._stacks.name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=theirs,
                env=_environment(hash_seed),
                start_new_session=True,
            )
        except OSError:
            for end in (self._questions, self._answers, self._lifeline):
                os.close(end)
            raise
        finally:
            for end in theirs:
                os.close(end)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.printed = _Drain(self._process.stdout)
        self.complained = _Drain(self._process.stderr)
        self._setting = {"name": name, "params": dict(params), "items": str(items)}
        self._told = False

    def ask(self, do: str, deadline_s: float, **arguments: Any) -> Any:
        """Asks one question and returns the answer. Raises Trouble."""
        if self._gone:
            raise Trouble("died", "its process had ended before")
        until = time.monotonic() + deadline_s
        try:
            if not self._told:
                self._send(self._setting, until)
                self._told = True
            self._send({"do": do, **arguments}, until)
            answer = json.loads(self._line(until, deadline_s))
        except BrokenPipeError:
            raise self._died() from None
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
        under: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._process.pid)
            process.suspend()  # so that it starts nothing, and still adopts what loses its parent
            for _ in range(_SWEEPS):
                alive = [child for child in process.children(recursive=True) if not _is_dead(child)]
                for child in alive:
                    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                        child.kill()
                if not alive:
                    break
                under += alive
        self._process.kill()
        self._process.wait()
        until = time.monotonic() + _END_S
        while not all(_is_dead(child) for child in under) and time.monotonic() < until:
            time.sleep(0.01)
        for end in (self._questions, self._answers, self._lifeline):
            os.close(end)
        self.printed.close()
        self.complained.close()
        self._stacks.close()

    def _send(self, question: Mapping[str, Any], until: float) -> None:
        """Writes a question without ever waiting on a process that doesn't read."""
        data = json.dumps(question).encode() + b"\n"
        os.set_blocking(self._questions, False)
        while data:
            if not select.select([], [self._questions], [], max(0.0, until - time.monotonic()))[1]:
                raise self._hung("did not take the question")
            data = data[os.write(self._questions, data) :]

    def _line(self, until: float, deadline_s: float) -> bytes:
        while b"\n" not in self._buffer:
            left = until - time.monotonic()
            if left <= 0:
                raise self._hung(f"no answer within {deadline_s:g} s")
            self._watch_memory()
            if not select.select([self._answers], [], [], min(left, _SLICE_S))[0]:
                continue
            chunk = os.read(self._answers, 1 << 16)
            if not chunk:
                raise self._died()
            self._buffer += chunk
            if len(self._buffer) > _MAX_ANSWER:
                self.end()
                raise Trouble("died", f"its answers were longer than {_MAX_ANSWER} bytes")
        line, _, self._buffer = self._buffer.partition(b"\n")
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
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.poll()
        self.end()
        how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        last = self.complained.head.strip().splitlines()[-1:] if code not in (0, None) else []
        return Trouble("died", f"it ended the process with {how}{': ' + last[0][:200] if last else ''}")

    def _place_of_hang(self) -> str:
        """Asks the process for its stacks; the first frame is where it is."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
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


def _is_dead(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _environment(hash_seed: int) -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, *[folder for folder in sys.path if folder and folder != root]])
    return {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": str(hash_seed)}
