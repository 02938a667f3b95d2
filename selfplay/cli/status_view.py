"""`selfplay status` as a person sees it: once, or again and again while the run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from selfplay.watching.terminal import duration, plain, sparkline

TREND_POINTS = 24
"""Of a curve: with its names and its ends it fits 80 columns."""
INTERVAL_S = 1.0
QUIET_S = 60.0
AHEAD = 1
"""Planned stages shown after the current one."""
NAME_WIDTH = 26
"""Columns of a curve's name."""

Status = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Room:
    """How much of each part of the page is shown; None stands for all of it."""

    stages: int | None = None
    """Lines for stages, those around the one that goes on."""
    alarms: int = 5
    rewards: int | None = None
    """The last rounds whose reward is shown."""
    heldout: int | None = None
    failures: int = 6
    latest: int | None = None
    """Lines of the latest metrics."""


EVERYTHING = Room()
SMALLER = (
    Room(5, 3, 2, 4, 4, 2),
    Room(5, 2, 1, 3, 3, 1),
    Room(4, 1, 1, 1, 2, 1),
    Room(3, 1, 1, 1, 1, 1),
    Room(5, 1, 1, 1, 1, 0),
    Room(3, 1, 1, 1, 1, 0),
    Room(3, 1, 0, 1, 0, 0),
)
"""Rooms for screens with ever fewer lines."""
SOME_METRICS = 3
"""Lines for the latest metrics before further stages get any."""


def status_view(status: Status, room: Room = EVERYTHING, width: int = 80) -> RenderableType:
    """A page of what `run_status` found: how well it goes before the metrics of the last step.

    Args:
        room: how much of it is shown.
    """
    stages = status["stages"]
    done = f"  {status['stages_done']} of {len(stages)} stages done, "
    title = Text.assemble((status["name"], "bold"), done, _state(status))
    ended = [plain(status["ended"], "yellow")] if status["ended"] else []
    alarms = _alarms(status["alarms"], room.alarms)
    parts: list[RenderableType] = [title, *ended, *alarms, Text(), _stages_table(status, room.stages)]
    parts += [*_current(status["current"]), *_trends(status, room), *_failures(status, room.failures)]
    if not status["finished"]:
        parts += _latest(status["latest"], room.latest, width)
    return Group(*parts)


def fitted(status: Status, console: Console) -> RenderableType:
    """As much as the screen has lines for: what goes on and how well, then the last metrics, then stages long ended."""

    def lines(room: Room) -> int:
        return len(console.render_lines(status_view(status, room, console.width)))

    most = console.height - 1
    if len(status["stages"]) < most and lines(EVERYTHING) <= most:
        return status_view(status, EVERYTHING, console.width)
    room = next((room for room in SMALLER if lines(room) <= most), SMALLER[-1])
    for latest in range(SOME_METRICS, room.latest or 0, -1):
        if lines(with_metrics := replace(room, latest=latest)) <= most:
            room = with_metrics
            break
    left = most - lines(room)
    if left > 0:
        room = replace(room, stages=(room.stages or 0) + left)
    return status_view(status, room, console.width)


def watch(console: Console, read: Callable[[], Status]) -> None:
    """Shows the status anew every second until the run ends, or Ctrl-C."""
    status = read()
    with Live(fitted(status, console), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while status["running"]:
            time.sleep(INTERVAL_S)
            status = read()
            live.update(fitted(status, console), refresh=True)
        live.update(fitted(status, console))


def _state(status: Status) -> tuple[str, str]:
    if status["running"]:
        return "running", "green"
    if status["finished"]:
        return "finished", "green"
    if status["ended"]:
        return "not running", "yellow"
    return "not running; the same `selfplay run` command continues it", "yellow"


def _alarms(alarms: Sequence[Status], most: int) -> list[RenderableType]:
    shown = [plain(f"! {alarm['text']}", "bold red") for alarm in alarms[-most:]]
    before = [Text(f"{len(alarms) - most} alarms before", "dim")] if len(alarms) > most else []
    return [Text(), *before, *shown] if shown else []


def _stages_table(status: Status, most: int | None) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=most is not None)
    table.add_column("")
    table.add_column("stage", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    if most is None:
        table.add_column("counts", overflow="fold")
    else:
        table.add_column("counts", overflow="ellipsis", no_wrap=True, ratio=1)
    stages = status["stages"]
    start, end = (0, len(stages)) if most is None else _around_current(stages, most)
    if start:
        table.add_row("", Text(f"{start} before", "dim"), "", "")
    for stage in stages[start:end]:
        name = stage["name"]
        if stage["state"] == "done":
            counts = plain(counts_line(stage["counts"]), "dim")
            table.add_row(Text("✓", "green"), Text(name), duration(stage["seconds"]), counts)
        elif stage["state"] == "skipped":
            table.add_row(Text("-", "dim"), Text(name, "dim"), "", Text("skipped", "dim"))
        elif stage["state"] == "current":
            current = status["current"]
            time_ = duration(current["stage_s"]) if current else ""
            note = "in progress" if status["running"] else "stopped here"
            table.add_row(Text("▶", "yellow"), Text(name, "bold"), time_, Text(note, "yellow"))
        else:
            table.add_row(Text("·", "dim"), Text(name, "dim"), "", "")
    if end < len(stages):
        table.add_row("", Text(f"{len(stages) - end} after", "dim"), "", "")
    return table


def _around_current(stages: Sequence[Status], most: int) -> tuple[int, int]:
    """The stages for which there is room beside a line for those before and one for those after."""
    current = next((place for place, stage in enumerate(stages) if stage["state"] == "current"), len(stages))
    rows = max(0, most - 2)
    end = min(len(stages), max(current + 1 + (AHEAD if rows > 1 else 0), rows))
    return max(0, end - rows), end


def _current(current: Status | None) -> list[RenderableType]:
    if current is None:
        return []
    done, total, unit = current["done"], current["total"], current["unit"]
    of = f"{done}" if total is None else f"{done} of {total}"
    parts = [f"{of} {unit}"]
    if unit == "completions" and current["shards_done"]:
        parts.append(f"{current['shards_done']} shards done")
    if current["rate_per_s"]:
        parts.append(_rate(current["rate_per_s"], unit))
    if current["eta_s"] is not None:
        parts.append(f"about {duration(current['eta_s'])} left of it")
    if current["quiet_s"] >= QUIET_S:
        # The rate is that of the last news: of a run that hangs, it would look as if all were well.
        parts.append(f"nothing new for {duration(current['quiet_s'])}")
    return [Text(), plain(current["work"], "bold"), plain(", ".join(parts))]


def _rate(rate: float, unit: str) -> str:
    return f"{rate:.3g} {unit} a second" if rate >= 1 else f"{rate * 60:.3g} {unit} a minute"


def counts_line(counts: Mapping[str, Any]) -> str:
    """Numbers and texts by name, in one line."""
    told = {name: value for name, value in counts.items() if not (value is None or isinstance(value, list | dict))}
    short = {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in told.items()}
    return ", ".join(f"{name} {value}" for name, value in short.items())


def _latest(latest: Status | None, most: int | None, width: int) -> list[RenderableType]:
    if latest is None or most == 0:
        return []
    step = "" if latest["step"] is None else f", step {latest['step']}"
    title = f"latest of {latest['stage']}{step}, {duration(latest['age_s'])} ago"
    text = counts_line(latest["metrics"])
    if most is not None and len(text) > most * width:
        # Whole metrics alone; lines that break between words hold a little less than their width.
        kept = text[: most * (width - 12) - 4].rpartition(", ")[0]
        text = f"{kept}, …"
    return [Text(), plain(title, "dim"), plain(text)]


def _trends(status: Status, room: Room) -> list[RenderableType]:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=NAME_WIDTH)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    if rates := status["pass_rate"]:
        _add_trend(table, "pass rate", f"{status['pass_rate_of']}, last rollouts", rates, "{:.1%}")
    for trend in _last(status["heldout"], room.heldout, first=True):
        _add_trend(table, "held-out", trend["metric"], trend["values"], "{:.1%}")
    for trend in _last(status["reward"], room.rewards):
        ends = [trend["first"], *trend["values"][1:-1], trend["last"]]
        _add_trend(table, "reward", trend["stage"], ends if len(trend["values"]) > 1 else ends[:1], "{:.3f}")
    return [Text(), table] if table.row_count else []


def _last(trends: Sequence[Status], most: int | None, first: bool = False) -> Sequence[Status]:
    """The last of them, or the first; all where there is room for all."""
    if most is None:
        return trends
    return trends[:most] if first else trends[len(trends) - min(most, len(trends)) :]


def _add_trend(table: Table, what: str, name: str, values: Sequence[float], form: str) -> None:
    ends = " → ".join(form.format(values[place]) for place in dict.fromkeys((0, len(values) - 1)))
    table.add_row(Text(what, "dim"), plain(name), Text(sparkline(values, TREND_POINTS), "cyan"), ends)


def _failures(status: Status, most: int) -> list[RenderableType]:
    shown = status["failures"][:most]
    if not shown:
        return []
    table = Table.grid(padding=(0, 2))
    for column in ({"justify": "right"}, {}, {"overflow": "ellipsis", "no_wrap": True}):
        table.add_column(**column)
    for failure in shown:
        table.add_row(f"{failure['share']:.1%}", plain(failure["domain"]), plain(failure["reason"]))
    return [Text(), plain(f"rollouts of {status['pass_rate_of']} that did not pass", "dim"), table]
