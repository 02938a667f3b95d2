"""`selfplay status` as a person sees it: once, or again and again while the run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from selfplay.watching.terminal import duration, plain, sparkline

MOST_FAILURES = 6
MOST_ALARMS = 5
MOST_REWARDS = 3
"""Rounds whose reward is shown where there is not room for all."""
FEWEST_STAGES = 5
AHEAD = 1
"""Planned stages shown after the current one."""
INTERVAL_S = 1.0
QUIET_S = 60.0

Status = Mapping[str, Any]


def status_view(status: Status, most: int | None = None) -> RenderableType:
    """A page of what `run_status` found.

    Args:
        status: of the run.
        most: lines for stages, those around the one that goes on; None shows all of everything.
    """
    stages = status["stages"]
    done = f"  {status['stages_done']} of {len(stages)} stages done, "
    title = Text.assemble((status["name"], "bold"), done, _state(status))
    ended = [plain(status["ended"], "yellow")] if status["ended"] else []
    parts: list[RenderableType] = [title, *ended, *_alarms(status["alarms"]), Text(), _stages_table(status, most)]
    parts += _current(status["current"])
    if not status["finished"]:
        parts += _latest(status["latest"])
    rewards = status["reward"] if most is None else status["reward"][-MOST_REWARDS:]
    return Group(*parts, *_trends(status, rewards), *_failures(status["failures"], status["pass_rate_of"]))


def fitted(status: Status, console: Console) -> RenderableType:
    """As much as the screen has lines for: what goes on and how it goes before stages that ended long ago."""
    if len(status["stages"]) < console.height:
        whole = status_view(status)
        if len(console.render_lines(whole)) < console.height:
            return whole
    without = len(console.render_lines(status_view(status, 0)))
    return status_view(status, max(FEWEST_STAGES, console.height - 1 - without))


def watch(console: Console, read: Callable[[], Status]) -> None:
    """Shows the status anew every second until the run ends, or Ctrl-C."""
    status = read()
    with Live(fitted(status, console), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while status["running"]:
            time.sleep(INTERVAL_S)
            status = read()
            live.update(fitted(status, console), refresh=True)
        # What stays behind may be longer than the screen.
        live.update(status_view(status))


def _state(status: Status) -> tuple[str, str]:
    if status["running"]:
        return "running", "green"
    if status["finished"]:
        return "finished", "green"
    if status["ended"]:
        return "not running", "yellow"
    return "not running; the same `selfplay run` command continues it", "yellow"


def _alarms(alarms: Sequence[Status]) -> list[RenderableType]:
    shown = [plain(f"! {alarm['text']}", "bold red") for alarm in alarms[-MOST_ALARMS:]]
    return [Text(), *shown] if shown else []


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
    end = min(len(stages), max(current + 1 + AHEAD, rows))
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


def _latest(latest: Status | None) -> list[RenderableType]:
    if latest is None:
        return []
    step = "" if latest["step"] is None else f", step {latest['step']}"
    title = f"latest of {latest['stage']}{step}, {duration(latest['age_s'])} ago"
    return [Text(), plain(title, "dim"), plain(counts_line(latest["metrics"]))]


def _trends(status: Status, rewards: Sequence[Status]) -> list[RenderableType]:
    table = Table.grid(padding=(0, 2))
    for trend in rewards:
        ends = f"{trend['first']:.3f} → {trend['last']:.3f}"
        table.add_row(Text("reward", "dim"), plain(trend["stage"]), Text(sparkline(trend["values"]), "cyan"), ends)
    rates = status["pass_rate"]
    if rates:
        where = plain(f"{status['pass_rate_of']}, last rollouts")
        table.add_row(
            Text("pass rate", "dim"), where, Text(sparkline(rates), "cyan"), f"{rates[0]:.1%} → {rates[-1]:.1%}"
        )
    for trend in status["heldout"]:
        values = trend["values"]
        ends = f"{values[0]:.1%} → {values[-1]:.1%}" if len(values) > 1 else f"{values[0]:.1%}"
        table.add_row(Text("held-out", "dim"), plain(trend["metric"]), Text(sparkline(values), "cyan"), ends)
    return [Text(), table] if table.row_count else []


def _failures(failures: Sequence[Status], stage: str) -> list[RenderableType]:
    if not failures:
        return []
    table = Table.grid(padding=(0, 2))
    for failure in failures[:MOST_FAILURES]:
        table.add_row(f"{failure['share']:.1%}", plain(failure["domain"]), plain(failure["reason"]))
    return [Text(), plain(f"rollouts of {stage} that did not pass", "dim"), table]
