"""Steps of a battery: processes of their own with a time limit each, whose results are kept and not made twice."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.process.inside import die_with_parent
from selfplay.run.files import read_json, write_json

ROOT = Path(__file__).resolve().parents[2]
LEAST_S = 20.0
"""A step that goes on where it was cut is begun with no less than this."""
LONGEST_SENTENCE = 300

Figures = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One process: `python COMMAND...`, which prints its figures as a line of JSON at the end."""

    name: str
    command: tuple[str, ...]
    """After the interpreter; `{work}` is a folder of its own that stays, `{models}` one that steps share."""
    limit_s: float
    goes_on: bool = False
    """Whether it goes on in its folder where it was cut off; others begin anew."""
    gpus: int | None = 1
    """GPUs that it sees; 0 is all of them, None is none."""
    skipped: str = ""
    """Why it cannot run here; empty where it can."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a part says on the page: sentences, and a table."""

    sentences: list[str] = field(default_factory=list)
    head: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Part:
    """Steps that belong together, and what their figures mean side by side."""

    name: str
    title: str
    steps: tuple[Step, ...]
    tell: Callable[[Mapping[str, Figures]], Told]
    """Is given the figures of the steps that are done, by name."""


class Results:
    """The folder of a battery: a file for each step that has run, and what it said meanwhile."""

    def __init__(self, folder: Path, machine: str) -> None:
        """`machine` is where it runs: results of another one are not taken for its own."""
        self.folder, self._machine = folder, machine

    def of(self, part: str, step: Step) -> Figures:
        """How a step ended, if it has run here as it is now: `state`, `seconds`, and `figures` or `sentence`."""
        if step.skipped:
            return {"state": "skipped", "sentence": step.skipped}
        file = self._file(part, step)
        if not file.is_file():
            return {"state": "waiting"}
        found = read_json(file)
        return found if found.get("key") == self._key(step) else {"state": "waiting"}

    def keep(self, part: str, step: Step, ended: Figures) -> None:
        """Writes how a step ended."""
        write_json(self._file(part, step), ended | {"key": self._key(step), "command": list(step.command)})

    def log(self, part: str, step: Step) -> Path:
        """Where its standard error goes."""
        return self._file(part, step).with_suffix(".log")

    def work(self, part: str, step: Step) -> Path:
        """The folder in which it goes on."""
        return self.folder / "work" / f"{part}-{step.name}-{self._key(step)[:8]}"

    def _file(self, part: str, step: Step) -> Path:
        return self.folder / "steps" / part / f"{step.name}.json"

    def _key(self, step: Step) -> str:
        return hashlib.sha256(json.dumps([step.command, self._machine]).encode()).hexdigest()


def run_parts(parts: Sequence[Part], results: Results, budget_s: float, anew: bool, say: Say) -> None:
    """Runs what has not run yet, in order, until the budget of this call is spent.

    A step is begun where the rest of the budget holds its limit; the first is, in any case. What is too long for the
    rest is left for the next call, and shorter ones go first.

    Args:
        parts: those that are wanted.
        results: of this and earlier calls.
        budget_s: seconds of this call.
        anew: whether steps that failed, or were too slow, are tried again.
        say: hears of each step.
    """
    ends = time.monotonic() + budget_s
    begun = False
    for part in parts:
        for step in part.steps:
            before = results.of(part.name, step)
            if before["state"] in ("done", "skipped") or (before["state"] in ("failed", "too slow") and not anew):
                say(f"{part.name}/{step.name}: {before['state']}")
                continue
            left = ends - time.monotonic()
            if left < (LEAST_S if step.goes_on else step.limit_s) and (begun or left <= 0):
                say(f"{part.name}/{step.name}: waits for the next call")
                continue
            begun = True
            say(f"{part.name}/{step.name}: begins, at most {min(step.limit_s, left):.0f} s")
            ended = run_step(step, results, part.name, min(step.limit_s, left), left < step.limit_s)
            results.keep(part.name, step, ended)
            say(f"{part.name}/{step.name}: {ended['state']} after {ended['seconds']} s {ended.get('sentence', '')}")


def run_step(step: Step, results: Results, part: str, limit_s: float, cut: bool) -> Figures:
    """Runs one step, and ends it with all that it started once its time is over.

    Args:
        step: which.
        results: where its files lie.
        part: to which it belongs.
        limit_s: its time.
        cut: whether that is less than it was to have.
    """
    work, log = results.work(part, step), results.log(part, step)
    for folder in (work, log.parent, results.folder / "models"):
        folder.mkdir(parents=True, exist_ok=True)
    if not step.goes_on:
        shutil.rmtree(work)
        work.mkdir()
    places = {"{work}": str(work.absolute()), "{models}": str((results.folder / "models").absolute())}
    command = [sys.executable, *(_placed(word, places) for word in step.command)]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="battery-") as temporary, log.open("ab" if step.goes_on else "wb") as told:
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(step, temporary),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=told,
            start_new_session=True,
            # In a process with one thread, and where this one is killed without notice, too.
            preexec_fn=functools.partial(die_with_parent, os.getpid()),  # noqa: PLW1509
        )
        try:
            said = child.communicate(timeout=limit_s)[0].decode("utf-8", "replace")
            late = False
        except subprocess.TimeoutExpired:
            said, late = "", True
        finally:
            # Also on Ctrl-C: whatever the step has started goes with it.
            _end_group(child)
    ended: Figures = {"seconds": round(time.monotonic() - begun, 1)}
    if late:
        state = "cut" if cut or step.goes_on else "too slow"
        return ended | {"state": state, "sentence": _late_sentence(state, step, limit_s)}
    figures = _last_json(said)
    if child.returncode or figures is None:
        why = _last_line(log) or f"it said nothing; exit code {child.returncode}"
        return ended | {"state": "failed", "sentence": why}
    return ended | {"state": "done", "figures": figures}


def _placed(word: str, places: Mapping[str, str]) -> str:
    for name, place in places.items():
        word = word.replace(name, place)
    return word


def _environment(step: Step, temporary: str) -> dict[str, str]:
    """A step's: no hub is asked, and a step for one GPU sees one, since a trainer alone would copy itself to all."""
    own = {
        "TMPDIR": temporary,
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_WAIT_POLICY": "passive",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    visible = "" if step.gpus is None else os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    if step.gpus != 0:
        own["CUDA_VISIBLE_DEVICES"] = ",".join(visible.split(",")[: step.gpus])
    return {**os.environ, **own}


def _end_group(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it and all that it started have ended
    finally:
        child.wait()


def _late_sentence(state: str, step: Step, limit_s: float) -> str:
    if step.goes_on:
        return f"was cut after {limit_s:.0f} s; the next call goes on with it"
    if state == "cut":
        return f"was cut after {limit_s:.0f} s of {step.limit_s:.0f}, since --minutes were over; give it more"
    return f"did not end within its {limit_s:.0f} s; name its part by --parts to try it again"


def _last_json(said: str) -> Figures | None:
    """The last line that is a JSON object: libraries may have something to say when they end."""
    for line in reversed(said.splitlines()):
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    return None


def _last_line(log: Path) -> str:
    """The last line that a step's log has, which is what an error says."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return next((line[:LONGEST_SENTENCE] for line in reversed(lines) if line), "")


def collected(parts: Sequence[Part], results: Results) -> Figures:
    """All that is known: of each part its steps, how they ended, and what the part says."""
    found: Figures = {}
    for part in parts:
        ended = {step.name: results.of(part.name, step) for step in part.steps}
        done = {name: one["figures"] for name, one in ended.items() if one["state"] == "done"}
        told = part.tell(done) if done else Told()
        steps = {name: {key: value for key, value in one.items() if key != "key"} for name, one in ended.items()}
        found[part.name] = {
            "title": part.title,
            "steps": steps,
            "sentences": told.sentences,
            "table": {"head": list(told.head), "rows": [list(row) for row in told.rows]},
        }
    return found
