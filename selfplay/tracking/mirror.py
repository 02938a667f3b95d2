"""A process that follows a run's files and copies what is new to one tracker: `python -m selfplay.tracking.mirror`.

It may fail, hang or be killed without the run noticing more than one sentence. It ends when the run tells it to, or
when the run is gone, however it went. The next one passes on what it did not, and so does `selfplay track sync`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox.process.inside import take_channel
from selfplay.config.errors import FAILED, UserError
from selfplay.config.values.secrets import strike_streams, struck
from selfplay.run.directory import read_settings
from selfplay.run.files import RunError, locked
from selfplay.run.place import inside, refuse_ways_out
from selfplay.run.shapes import fault_of
from selfplay.tracking.metric_log import METRICS_FILE, TABLES_FOLDER, CopiedLine, Follower, histograms_of, metric_line
from selfplay.tracking.mirror_process import remedy
from selfplay.tracking.sinks import Sink

INTERVAL_S = 1.0
LOCK_WAIT_S = 60.0
"""Longest wait for a mirror of the session before, which may still be passing on its last lines."""


class NotCopied(RuntimeError):
    """A tracker did not take everything; the message says why."""


def copy_new(follower: Follower, sink: Sink, first: int, run_path: Path) -> None:
    """Gives a sink the lines that were added, from number `first` on."""
    before = follower.count
    for number, row in follower.new():
        if isinstance(row, dict) and number >= first:
            _give(sink, number, row, run_path)
    if follower.count > before:
        sink.flush(follower.count)


def _give(sink: Sink, number: int, row: Mapping[str, Any], run_path: Path) -> None:
    line = metric_line(row)
    if line is not None:
        sink.metrics(number, line, histograms_of(row))
    elif fault_of(row, CopiedLine) or not _is_text(row):
        return
    elif row.get("table") is not None:
        # A name that leads elsewhere is none of ours.
        with contextlib.suppress(RunError):
            file = inside(run_path, TABLES_FOLDER, f"{row['table']}.jsonl")
            sink.table(number, row.get("series") or row["table"], file)
    elif row.get("done") is not None:
        sink.done(number, row["stage"], row["done"] | {"kind": row.get("kind", "")})
    elif row.get("alarm") is not None:
        sink.alarm(number, row["alarm"], row.get("text", ""))
    elif row.get("summary") is not None:
        sink.summary(number, row["summary"])


def _is_text(row: Mapping[str, Any]) -> bool:
    """Whether all that a line says is made of whole characters, which trackers demand."""
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def copy_once(run_path: Path, name: str, sink: Sink) -> int:
    """Copies what a sink lacks of a run that is not going on; returns the number of lines that it lacked.

    Raises:
        NotCopied: another process is copying.
    """
    with _alone(run_path, name, wait_s=5.0):
        first = sink.start()
        follower = Follower(run_path / METRICS_FILE)
        copy_new(follower, sink, first, run_path)
        sink.finish(failed=not (run_path / "summary.json").exists())
    return max(0, follower.count - first)


def follow(run_path: Path, sink: Sink, lines_before: int, ended: threading.Event, outcome: list[bool]) -> None:
    """Copies until the run has ended; `outcome` then holds whether it failed.

    The copy is opened when there is something for it: a run that was finished already leaves no empty one. Lines after
    the first `lines_before` are of this session, and new, also where a power cut took lines that the copy has.
    """
    if not _wait_for_news(run_path, sink, lines_before, ended):
        return
    first = min(sink.start(), lines_before)
    follower = Follower(run_path / METRICS_FILE)
    while not ended.is_set():
        copy_new(follower, sink, first, run_path)
        ended.wait(INTERVAL_S)
    copy_new(follower, sink, first, run_path)
    sink.finish(outcome[0])


def _wait_for_news(run_path: Path, sink: Sink, lines_before: int, ended: threading.Event) -> bool:
    """Whether there are lines that the copy lacks, as soon as there are, or when the run has ended without any."""
    lines = Follower(run_path / METRICS_FILE)
    while True:
        over = ended.is_set()
        for _ in lines.new():
            pass
        if lines.count > lines_before or not sink.has_all(lines.count):
            return True
        if over:
            return False
        ended.wait(INTERVAL_S)


@contextlib.contextmanager
def _alone(run_path: Path, name: str, wait_s: float) -> Iterator[None]:
    """Keeps two processes apart that copy one run to one tracker."""
    with (run_path / f".mirror-{name}.lock").open("a") as lock:
        deadline = time.monotonic() + wait_s
        while not locked(lock):
            if time.monotonic() > deadline:
                raise NotCopied("another process is copying this run; wait for it to end")
            time.sleep(0.2)
        yield


def open_sink(run_path: Path, name: str, recipe: Mapping[str, Any], lines_before: int) -> Sink:
    """The sink of that name, as the recipe says; imports what it needs."""
    if name == "wandb":
        from selfplay.tracking.wandb_sink import WandbSink

        return WandbSink(run_path, recipe, recipe["tracking"]["wandb"]["mode"], lines_before)
    if name == "tensorboard":
        from selfplay.tracking.tensorboard_sink import TensorboardSink

        return TensorboardSink(run_path)
    from selfplay.tracking.trackio_sink import TrackioSink

    return TrackioSink(run_path, recipe)


class SyncError(UserError):
    """The upload did not come to its end; the message says why."""

    exit_code = FAILED


def sync(
    run_path: Path, project: str | None = None, entity: str | None = None, init_timeout_s: float | None = None
) -> int:
    """Uploads what is missing, whatever the recipe's mode; returns the number of lines that were.

    Args:
        project: another project than the recipe's.
        entity: another user or team.
        init_timeout_s: seconds to wait for the server.

    Raises:
        RunError: the folder holds no run, or a link in it leads elsewhere, to what is not the run's to upload.
        SyncError: the server cannot be reached, has refused, or did not take everything; what it took is kept there.
    """
    refuse_ways_out(run_path)
    recipe: dict[str, Any] = read_settings(run_path)
    given = {"project": project, "entity": entity}
    settings = recipe["tracking"]["wandb"] | {name: value for name, value in given.items() if value is not None}
    recipe["tracking"] = recipe["tracking"] | {"wandb": settings}
    from selfplay.tracking import wandb_sink

    timeout = init_timeout_s or wandb_sink.INIT_TIMEOUT_S
    try:
        return copy_once(run_path, "wandb", wandb_sink.WandbSink(run_path, recipe, "online", init_timeout_s=timeout))
    except Exception as error:
        raise SyncError(f"wandb: {_reason(error)}; the same command goes on from there") from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


def _main(run_path: Path, name: str, lines_before: int) -> None:
    # The models come first.
    os.nice(5)
    # A library that prints must not be taken for what this process has to say.
    into, out = take_channel()
    strike_streams()
    told = os.fdopen(out, "w", buffering=1)
    ended, outcome = threading.Event(), [True]

    def wait_for_the_end() -> None:
        with os.fdopen(into) as words:
            outcome[0] = words.readline().strip() != "ended"
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    try:
        with _alone(run_path, name, LOCK_WAIT_S):
            sink = open_sink(run_path, name, read_settings(run_path), lines_before)
            follow(run_path, sink, lines_before, ended, outcome)
    except Exception as error:  # noqa: BLE001 - whatever a tracker raises, the run has to hear one sentence
        said = f"{name}: {struck(_reason(error))}; the run keeps everything, and {remedy(run_path, name)}"
        told.write(json.dumps({"say": said}) + "\n")
    told.write(json.dumps({"finished": True}) + "\n")
    told.flush()
    # Threads of a tracker that has failed must not hold this process back.
    os._exit(0)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
