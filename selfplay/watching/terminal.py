"""A run in the terminal: progress while it goes on, and the closing table.

Text that models or data sets wrote is shown by `plain`: never as markup, and without control codes.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Self, TextIO

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from selfplay.watching.heartbeat import EVERY_S, Heartbeat

SPARKS = "▁▂▃▄▅▆▇█"
SPARK_POINTS = 60
HEADLINE = "avg@"
MOST_REASONS = 8


def plain(value: object, style: str = "", **options: Any) -> Text:
    """Any value as text that cannot steer the terminal."""
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value)), style, **options)


def table_of(*columns: str, left: int = 1, **options: Any) -> Table:
    """A table without rules, of whose columns the first few begin at the left, and the others end at the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", **options)
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place < left else "right")
    return table


def closing_table(summary: Mapping[str, Any]) -> RenderableType:
    """The end of a run on one screen, from the content of `summary.json`."""
    made = summary.get("prompts") or {}
    prompts = Group(_prompts(made), _labels(summary)) if made.get("made") else _prompts({})
    # Side by side where there is room, else one below the other.
    halves = Columns([_stage_times(summary), prompts], padding=(1, 4))
    title = Text.assemble((str(summary.get("name", "run")), "bold"), f"  {summary.get('algorithm', '')}".rstrip())
    parts: list[RenderableType] = [Text(), title, Text(), _accuracy(summary), _measured_on(summary), halves, Text()]
    for sentence in _endings(summary):
        parts += [plain(sentence, "yellow"), Text()]
    return Group(*parts, _paths(summary.get("paths") or {}))


def _endings(summary: Mapping[str, Any]) -> list[str]:
    """Lines on what ended EM, a training, or the rounds before their time, and on the best round where there is one."""
    selection, best = summary.get("selection") or {}, summary.get("best") or {}
    rounds = [
        f"round {row.get('round')}: {row['stopped']}" for row in summary.get("rounds") or [] if row.get("stopped")
    ]
    found = [(summary.get("em_outcome") or {}).get("stopped"), *rounds, selection.get("stopped")]
    if selection:
        name = f"round {best.get('round')}" if best.get("round") else "the base"
        found.append(f"best by its development problems: {name}, {best.get('score', 0.0):.1%}")
    return [str(sentence) for sentence in found if sentence]


def _accuracy(summary: Mapping[str, Any]) -> Table:
    # Domains of ten letters fit 80 columns, longer ones are cut.
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("held-out, %", no_wrap=True)
    for name in ("before", "after", "gain, points"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = list(summary.get("evaluation") or [])
    gains = {(g["round"], g["domain"], g["metric"]): g for g in summary.get("gains") or []}
    for domain in dict.fromkeys(row["domain"] for row in rows):
        metrics = dict.fromkeys(row["metric"] for row in rows if row["domain"] == domain)
        for metric in sorted(metrics, key=lambda name: not name.startswith(HEADLINE)):
            ours = [row for row in rows if (row["domain"], row["metric"]) == (domain, metric)]
            ours.sort(key=itemgetter("round"))
            last = ours[-1]
            gain = gains.get((last["round"], domain, metric))
            style = "" if metric.startswith(HEADLINE) else "dim"
            after = _percent(last) if last["round"] else "-"
            cells = (domain, metric, _percent(ours[0]), after)
            table.add_row(*(plain(cell, style) for cell in cells), _gain(gain, style))
        table.add_section()
    if not rows:
        table.add_row(Text("not evaluated", "dim"))
    return table


def _measured_on(summary: Mapping[str, Any]) -> RenderableType:
    """How many problems the figures are of: an interval over few says little, however narrow it is."""
    counts = {row["domain"]: row["n"] for row in summary.get("evaluation") or [] if "n" in row}
    told = ", ".join(f"{domain} {count}" for domain, count in counts.items())
    return Padding(plain(f"held-out problems: {told}" if told else "", "dim"), (0, 0, 1, 0))


def _percent(row: Mapping[str, Any]) -> str:
    if not math.isfinite(row["value"]):
        return "-"
    return f"{row['value'] * 100:.1f} [{row['low'] * 100:.1f}, {row['high'] * 100:.1f}]"


def _gain(row: Mapping[str, Any] | None, style: str) -> Text:
    if row is None or not math.isfinite(row["value"]):
        return Text("-", "dim")
    text = f"{row['value'] * 100:+.1f} [{row['low'] * 100:+.1f}, {row['high'] * 100:+.1f}]"
    if row["low"] > 0:
        return Text(text, "green" if style else "bold green")
    return Text(text, "red" if row["high"] < 0 else style)


def _stage_times(summary: Mapping[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("stage", no_wrap=True, min_width=18)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    rows = list(summary.get("stages") or [])
    longest = max((row["seconds"] for row in rows), default=0.0) or 1.0
    for row in rows:
        bar = "━" * round(12 * row["seconds"] / longest)
        table.add_row(plain(row["name"]), duration(row["seconds"]), Text(bar, "cyan"))
    if "total_seconds" in summary:
        table.add_row(Text("all", "bold"), Text(duration(summary["total_seconds"]), "bold"), "")
    if summary.get("overhead_share") is not None:
        table.add_row(Text("framework overhead", "dim"), f"{summary['overhead_share']:.1%}", "")
    return table


def _prompts(prompts: Mapping[str, Any]) -> Table:
    table = table_of("prompts", "")
    if not prompts:
        table.add_row(Text("none made", "dim"))
        return table
    table.add_row("made", str(prompts.get("made", "-")))
    lost = sorted((prompts.get("lost") or {}).items(), key=lambda item: -item[1])
    rest = sum(count for _, count in lost[MOST_REASONS:])
    for reason, count in lost[:MOST_REASONS] + ([("other reasons", rest)] if rest else []):
        table.add_row(plain(f"  lost, {reason}", "dim", overflow="ellipsis", no_wrap=True), Text(f"-{count}", "dim"))
    table.add_row(Text("kept", "bold"), plain(prompts.get("kept", "-"), "bold"))
    return table


def _labels(summary: Mapping[str, Any]) -> RenderableType:
    labels = summary.get("labels") or {}
    if labels.get("accuracy") is None:
        text = Text("label accuracy: not measurable, the source has no solver", "dim")
    else:
        text = Text(f"label accuracy {labels['accuracy']:.1%} of {labels['n']}")
    return Padding(text, (1, 0, 0, 0))


def _paths(paths: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, path in paths.items():
        # Paths wrap instead of being cut: they are there to be copied.
        table.add_row(plain(name, "dim"), plain(path, overflow="fold"))
    return table


def sparkline(values: Sequence[float], points: int = SPARK_POINTS) -> str:
    """A curve in one line of text; many values are averaged into a few."""
    size = -(-len(values) // points)
    groups = [values[start : start + size] for start in range(0, len(values), size)]
    means = [sum(group) / len(group) for group in groups]
    low, high = min(means), max(means)
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(SPARKS[round((mean - low) * scale)] for mean in means)


def duration(seconds: float) -> str:
    """Seconds as a person writes them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


class Progress:
    """The stages of a run as they go on: bars on a terminal, else a plain line a stage, and one every half minute."""

    def __init__(self, stream: TextIO | None = None, every_s: float = EVERY_S) -> None:
        file = stream or sys.stderr
        # Rich would take FORCE_COLOR, which CI systems like to set, for a terminal.
        self._live = file.isatty()
        self._console = Console(file=file, force_terminal=self._live, highlight=False, soft_wrap=not self._live)
        self._bars = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            console=self._console,
            refresh_per_second=4,
            transient=True,
            disable=not self._live,
        )
        self._started = time.monotonic()
        self._stage: tuple[str, float] | None = None
        self._task: TaskID | None = None
        self._heartbeat = Heartbeat(self._print, every_s)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._bars.start()
        if not self._live:
            self._heartbeat.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._heartbeat.stop()
        self._end_stage("stopped after" if kind else "")
        self._bars.stop()

    def prepare(self, text: str) -> None:
        """Says what is done before the first stage, such as loading libraries, for as long as that takes."""
        if self._live:
            self.begin(text, None)
        else:
            self._print(text)
            self._heartbeat.stage(text)

    def stage(self, name: str, index: int, total_stages: int, already_done: bool = False) -> None:
        """Says that a stage begins (the first has index 1), and that the one before it has ended."""
        self._end_stage()
        width = len(str(total_stages))
        label = f"[{index:{width}d}/{total_stages}] {name}"
        if already_done:
            self._print(f"{label}  already done", "dim")
            return
        self._stage = (label, time.monotonic())
        if self._live:
            self.begin("", None)
        else:
            self._print(f"{label}  started after {duration(time.monotonic() - self._started)}")
            self._heartbeat.stage(label)

    def begin(self, task_description: str, total: int | None) -> None:
        """Starts the bar of one piece of work in the stage; None where nobody knows how much there is."""
        if not self._live:
            self._heartbeat.begin(task_description, total)
            return
        self._end_task()
        label = self._stage[0] if self._stage else ""
        self._task = self._bars.add_task(f"{label}  {task_description}".strip(), total=total)

    def advance(self, n: int = 1) -> None:
        """Moves the bar of the work that was begun last."""
        if self._task is not None:
            self._bars.advance(self._task, n)
        self._heartbeat.advance(n)

    def hear(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Metrics of a step, for the line of every half minute."""
        self._heartbeat.hear(metrics, step)

    def note(self, text: str) -> None:
        """Says something that a person should know at once."""
        self._print(text, "yellow")

    def _end_task(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None

    def _end_stage(self, how: str = "") -> None:
        self._end_task()
        if self._stage is not None and (self._live or how):
            label, started = self._stage
            self._print(f"{label}  {how} {duration(time.monotonic() - started)}".replace("   ", "  "))
        self._stage = None
        self._heartbeat.stage("")

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(plain(text, style))
