"""How far a run is, as plain data, from its files alone: neither takes nor waits for the run's lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from selfplay.run.files import RunError, locked, open_lock, read_json
from selfplay.run.plan import Kind, Plan
from selfplay.run.progress import FILE as PROGRESS_FILE
from selfplay.run.shapes import Manifest, ProgressNote, fault_of, read_as
from selfplay.tracking.digest import RIGHT, MetricDigest, Shares
from verifiers.untrusted.files import UnusableFile, json_object, open_file

TREND_POINTS = 60
TAIL_BYTES = 4_000_000
"""How much of the rollouts of a round that goes on is read."""
RECENT_ROLLOUTS = 1000

Status = dict[str, Any]


def run_status(run_path: Path, plan: Plan, metrics: MetricDigest | None = None) -> Status:
    """The content of `selfplay status --json`.

    Args:
        metrics: what an earlier call has read of them; only what is new is then read.
    """
    running = is_running(run_path)
    planned, rounds = plan.names, [stage.name for stage in plan.of_kind(Kind.SELFPLAY)]
    manifests = {name: _manifest(run_path, name) for name in planned}
    done = [name for name in planned if manifests[name] is not None]
    begun = planned.index(done[-1]) + 1 if done else 0
    current = planned[begun] if begun < len(planned) else None
    digest = metrics or MetricDigest(run_path)
    digest.read()
    source, rollouts = _latest_rollouts(run_path, rounds, digest)
    return {
        "name": run_path.resolve().name,
        "running": running,
        "finished": current is None,
        "ended": None if running or current is None else _ended(run_path),
        "stages_done": len(done),
        "stages": [_stage(name, place, begun, manifests[name]) for place, name in enumerate(planned)],
        "current": _current(run_path, current) if running else None,
        "latest": _latest(digest, current),
        "reward": [trend for name in rounds if (trend := _reward(digest, name))],
        "heldout": _heldout(digest, planned),
        "pass_rate": thinned([float(bool(row["passed"])) for row in rollouts if row.get("passed") is not None], 20),
        "pass_rate_of": source,
        "failures": _failures(rollouts, digest.statuses.get(source, {})),
        "alarms": [{"stage": a.stage, "name": a.name, "text": a.text} for a in digest.alarms],
    }


def is_running(run_path: Path) -> bool:
    """Whether a process holds the run's lock."""
    if not os.path.lexists(run_path / "lock"):
        return False
    with open_lock(run_path) as lock:
        # Shared, and dropped with the file: two people who look at the same moment do not see each other.
        return not locked(lock, fcntl.LOCK_SH)


def _manifest(run_path: Path, stage: str) -> dict[str, Any] | None:
    file = run_path / "stages" / stage / "manifest.json"
    try:
        return read_as(file, Manifest) if file.exists() else None
    except RunError as error:
        return {"seconds": 0.0, "counts": {"damaged": str(error)}}


def _stage(name: str, place: int, begun: int, manifest: Mapping[str, Any] | None) -> Status:
    if manifest is not None:
        counts = manifest.get("counts") or {}
        return {"name": name, "state": "done", "seconds": manifest.get("seconds", 0.0), "counts": counts}
    state = "skipped" if place < begun else "current" if place == begun else "planned"
    return {"name": name, "state": state}


def _progress(run_path: Path) -> dict[str, Any]:
    """The content of the progress file; empty where there is none that can be read."""
    try:
        return read_json(run_path / PROGRESS_FILE)
    except RunError:
        return {}


def _ended(run_path: Path) -> str | None:
    """The sentence that the last session ended with."""
    said = _progress(run_path).get("ended")
    return said if isinstance(said, str) else None


def _current(run_path: Path, stage: str | None) -> Status | None:
    """The piece of work that goes on, with what is left of it."""
    found = _progress(run_path)
    if found.get("stage") != stage or fault_of(found, ProgressNote):
        return None
    now = time.time()
    total, done, rate = found.get("total"), found.get("done", 0), found.get("rate")
    left = None if total is None else max(0, total - done)
    return {
        "work": found["work"],
        # Trainings advance by steps, all other work by completions.
        "unit": "steps" if ": training " in found["work"] else "completions",
        "done": done,
        "total": total,
        "shards_done": found.get("pieces", 0),
        "rate_per_s": rate,
        "eta_s": left / rate if left is not None and rate else None,
        # A clock that was set back must not give negative ages.
        "stage_s": max(0.0, now - found["stage_began"]),
        "quiet_s": max(0.0, now - found["written"]),
    }


def _latest(digest: MetricDigest, stage: str | None) -> Status | None:
    last = digest.of_stage.get(stage or "", digest.last)
    if last is None:
        return None
    age = max(0.0, time.time() - last.time)
    return {"stage": last.stage, "step": last.step, "age_s": age, "metrics": last.metrics}


def _reward(digest: MetricDigest, stage: str) -> Status | None:
    values = digest.reward(stage)
    if not values:
        return None
    return {"stage": stage, "first": values[0], "last": values[-1], "values": thinned(values)}


def _heldout(digest: MetricDigest, planned: Sequence[str]) -> list[Status]:
    """Each held-out metric over the evaluations so far."""
    found = [digest.heldout[name] for name in planned if name in digest.heldout]
    names = dict.fromkeys(name for metrics in found for name in metrics)
    return [{"metric": name, "values": [metrics[name] for metrics in found if name in metrics]} for name in names]


def _latest_rollouts(
    run_path: Path, rounds: Sequence[str], digest: MetricDigest
) -> tuple[str, list[Mapping[str, Any]]]:
    """The last round that has rollouts, and the last of those that were logged, oldest first."""
    for stage in reversed(rounds):
        rows = list(recent_rollouts(run_path, stage))
        if rows or stage in digest.statuses:
            return stage, rows
    return "", []


def recent_rollouts(run_path: Path, stage: str) -> Iterator[Mapping[str, Any]]:
    """The last rollouts that a training has logged, in order."""
    for file in sorted((run_path / "stages" / stage).glob("*-training/rollouts-*.jsonl"))[:1]:
        with open_file(file, RunError) as handle:
            size = os.fstat(handle.fileno()).st_size
            handle.seek(max(0, size - TAIL_BYTES))
            content = handle.read(TAIL_BYTES)
        tail = content.split(b"\n")[1 if size > TAIL_BYTES else 0 : -1]
        for line in tail[-RECENT_ROLLOUTS:]:
            with contextlib.suppress(UnusableFile):
                yield json_object(line, "")


def _failures(rows: Sequence[Mapping[str, Any]], statuses: Shares) -> list[Status]:
    """Why the last rollouts did not pass, most frequent first; shares of all of them.

    Args:
        rows: the last that were logged; where there are none, what the round's table says counts.
        statuses: what became of the round's rollouts.
    """
    if rows:
        counts = Counter(
            (str(row.get("domain")), "not checked" if row.get("passed") is None else str(row.get("status")))
            for row in rows
            if not row.get("passed")
        )
        shares = {key: count / len(rows) for key, count in counts.items()}
    else:
        shares = {key: share for key, share in statuses.items() if key[1] not in RIGHT and share}
    ranked = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return [{"domain": domain, "reason": reason, "share": share} for (domain, reason), share in ranked]


def thinned(values: Sequence[float], points: int = TREND_POINTS) -> list[float]:
    """At most so many values: the means of neighbours."""
    size = max(1, -(-len(values) // points))
    groups = [values[start : start + size] for start in range(0, len(values), size)]
    return [sum(group) / len(group) for group in groups]
