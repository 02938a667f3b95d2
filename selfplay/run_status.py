"""How far a run is, as plain data, from its files alone: neither takes nor waits for the run's lock."""

from __future__ import annotations

import fcntl
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from selfplay.progress_file import FILE as PROGRESS_FILE
from selfplay.run import RunError, read_json
from selfplay.tracking import MetricLine, latest_by_step, read_metrics
from selfplay.tracking.metric_log import read_alarms

TREND_POINTS = 60
TAIL_BYTES = 4_000_000
"""How much of the rollouts of a round that goes on is read."""
RECENT_ROLLOUTS = 1000
RIGHT = ("correct", "accepted", "passed")

Status = dict[str, Any]


def run_status(run_path: Path, planned: Sequence[str]) -> Status:
    """What `selfplay status --json` prints.

    Args:
        run_path: the run directory.
        planned: its stages, in order.
    """
    running = is_running(run_path)
    manifests = {name: _manifest(run_path, name) for name in planned}
    done = [name for name in planned if manifests[name] is not None]
    begun = planned.index(done[-1]) + 1 if done else 0
    current = planned[begun] if begun < len(planned) else None
    lines = read_metrics(run_path)
    source, rollouts = _latest_rollouts(run_path, planned, lines)
    return {
        "name": run_path.resolve().name,
        "running": running,
        "finished": current is None,
        "stages_done": len(done),
        "stages": [_stage(name, place, begun, manifests[name]) for place, name in enumerate(planned)],
        "current": _current(run_path, current) if running else None,
        "latest": _latest(lines, current),
        "reward": [trend for name in planned if (trend := _reward(lines, name))],
        "heldout": _heldout(lines, planned),
        "pass_rate": rollouts,
        "pass_rate_of": source,
        "failures": _failures(run_path, source, lines),
        "alarms": [{"stage": a.stage, "name": a.name, "text": a.text} for a in read_alarms(run_path)],
    }


def is_running(run_path: Path) -> bool:
    """Whether a process holds the run's lock."""
    try:
        lock = (run_path / "lock").open("rb")
    except FileNotFoundError:
        return False
    with lock:
        try:
            # Shared, and dropped at once: two people who look at the same moment do not see each other.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(lock, fcntl.LOCK_UN)
        return False


def _manifest(run_path: Path, stage: str) -> dict[str, Any] | None:
    file = run_path / "stages" / stage / "manifest.json"
    try:
        return read_json(file) if file.exists() else None
    except RunError as error:
        return {"seconds": 0.0, "counts": {"damaged": str(error)}}


def _stage(name: str, place: int, begun: int, manifest: Mapping[str, Any] | None) -> Status:
    if manifest is not None:
        counts = manifest.get("counts") or {}
        return {"name": name, "state": "done", "seconds": manifest.get("seconds", 0.0), "counts": counts}
    state = "skipped" if place < begun else "current" if place == begun else "planned"
    return {"name": name, "state": state}


def _current(run_path: Path, stage: str | None) -> Status | None:
    """The piece of work that goes on, with what is left of it."""
    try:
        found = json.loads((run_path / PROGRESS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("stage") != stage or "work" not in found:
        return None
    now = time.time()
    total, done, rate = found.get("total"), found.get("done", 0), found.get("rate")
    left = None if total is None else max(0, total - done)
    return {
        "work": found["work"],
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


def _latest(lines: Sequence[MetricLine], stage: str | None) -> Status | None:
    if not lines:
        return None
    last = next((line for line in reversed(lines) if line.stage == stage), lines[-1])
    age = max(0.0, time.time() - last.time)
    return {"stage": last.stage, "step": last.step, "age_s": age, "metrics": last.metrics}


def _reward(lines: Sequence[MetricLine], stage: str) -> Status | None:
    values = [value for _, value in latest_by_step(lines, stage, "reward")]
    values = values or [line.metrics["rollouts/reward"] for line in lines if _has(line, stage, "rollouts/reward")][-1:]
    if not values or not stage.startswith("selfplay_"):
        return None
    return {"stage": stage, "first": values[0], "last": values[-1], "values": thinned(values)}


def _has(line: MetricLine, stage: str, metric: str) -> bool:
    return line.stage == stage and metric in line.metrics


def _heldout(lines: Sequence[MetricLine], planned: Sequence[str]) -> list[Status]:
    """Each held-out metric over the evaluations so far."""
    latest = {
        line.stage: line.metrics for line in lines if line.stage.startswith("evaluation_") and line.step is not None
    }
    stages = [name for name in planned if name in latest]
    names = dict.fromkeys(name for stage in stages for name in latest[stage])
    return [{"metric": name, "values": [latest[s][name] for s in stages if name in latest[s]]} for name in names]


def _latest_rollouts(run_path: Path, planned: Sequence[str], lines: Sequence[MetricLine]) -> tuple[str, list[float]]:
    """The last round that has rollouts, and the share that passed over them, oldest first."""
    for stage in reversed([name for name in planned if name.startswith("selfplay_")]):
        rows = list(recent_rollouts(run_path, stage))
        if rows:
            passed = [float(bool(row.get("passed"))) for row in rows if row.get("passed") is not None]
            return stage, thinned(passed, 20)
        if any(line.stage == stage and _statuses(line) for line in lines):
            return stage, []
    return "", []


def recent_rollouts(run_path: Path, stage: str) -> Iterator[Mapping[str, Any]]:
    """The last rollouts that a training has logged, in order."""
    for file in sorted((run_path / "stages" / stage).glob("*-training/rollouts-*.jsonl"))[:1]:
        with file.open("rb") as handle:
            size = file.stat().st_size
            handle.seek(max(0, size - TAIL_BYTES))
            content = handle.read(TAIL_BYTES)
        tail = content.split(b"\n")[1 if size > TAIL_BYTES else 0 : -1]
        for line in tail[-RECENT_ROLLOUTS:]:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield row


def _failures(run_path: Path, stage: str, lines: Sequence[MetricLine]) -> list[Status]:
    """Why the last rollouts did not pass, most frequent first; shares of all of them."""
    rows = list(recent_rollouts(run_path, stage)) if stage else []
    if rows:
        counts = Counter(
            (str(row.get("domain")), "not checked" if row.get("passed") is None else str(row.get("status")))
            for row in rows
            if not row.get("passed")
        )
        shares = {key: count / len(rows) for key, count in counts.items()}
    else:
        last = next((found for line in reversed(lines) if line.stage == stage and (found := _statuses(line))), {})
        shares = {key: share for key, share in last.items() if key[1] not in RIGHT and share}
    ranked = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return [{"domain": domain, "reason": reason, "share": share} for (domain, reason), share in ranked]


def _statuses(line: MetricLine) -> dict[tuple[str, str], float]:
    found = {}
    for name, value in line.metrics.items():
        parts = name.split("/")
        if parts[:2] == ["rollouts", "status"] and len(parts) == 4:
            found[parts[3], parts[2]] = value
        elif parts[:2] == ["rollouts", "not_checked"] and len(parts) == 3:
            found[parts[2], "not checked"] = value
    return found


def thinned(values: Sequence[float], points: int = TREND_POINTS) -> list[float]:
    """At most so many values: the means of neighbours."""
    size = max(1, -(-len(values) // points))
    groups = [values[start : start + size] for start in range(0, len(values), size)]
    return [sum(group) / len(group) for group in groups]
