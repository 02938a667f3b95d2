"""`selfplay rollouts`: what a model was asked, what it answered, and what the verifier said of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfplay.watching.rollouts import TaskRollouts, how_judged, test_text
from selfplay.watching.terminal import plain


def rollouts(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, also of a run that goes on.")],
    task: Annotated[str, typer.Option("--task", help="Only the task whose id begins so.")] = "",
    failed: Annotated[bool, typer.Option("--failed", help="Only completions that did not pass.")] = False,
    stage: Annotated[
        str | None, typer.Option(help="Such as selfplay_1, evaluation_0 or labelling; default the newest round.")
    ] = None,
    domain: Annotated[str, typer.Option(help="Only tasks of one domain.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="Most tasks; 0 for all.")] = 5,
    whole: Annotated[bool, typer.Option("--whole", help="Do not cut long texts.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line for each task.")] = False,
) -> None:
    """Show prompts, completions and the reasons of their verdicts side by side."""
    from rich.console import Console

    from selfplay.run.directory import read_run
    from selfplay.run.files import RunError
    from selfplay.watching.rollouts import find_rollouts

    domains = read_run(run)["domains"]
    if domain and domain not in domains:
        raise RunError(f"--domain {domain}: the run's domains are {', '.join(domains)}")
    found = find_rollouts(run, stage, task, failed, domain, limit)
    if not found:
        typer.echo(f"{run}: has nothing of the kind", err=True)
    console = Console()
    for one in found:
        if as_json:
            # Escaped, so that a hostile completion cannot steer a terminal here either.
            typer.echo(json.dumps(one.as_json()))
        else:
            console.print(rollouts_view(one, whole, failed))


LONGEST = 1500
"""Characters shown of one text, unless all are wanted."""
TESTS = 2
"""Tests of a program that are shown."""
MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}


def rollouts_view(found: TaskRollouts, whole: bool = False, failed: bool = False) -> RenderableType:
    """One task.

    Args:
        found: the task with its completions.
        whole: shows texts of any length.
        failed: it has only those completions that did not pass.
    """
    passed, count = sum(bool(row["passed"]) for row in found.rollouts), len(found.rollouts)
    outcome = f"{count} did not pass" if failed else f"{passed} of {count} passed"
    title = plain(f"{found.task_id}  {found.domain}, {found.stage}: {outcome}", "bold")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_lines=True, expand=True)
    table.add_column("prompt", ratio=3, overflow="fold")
    table.add_column("completion", ratio=5, overflow="fold")
    table.add_column("verdict", ratio=2, overflow="fold")
    longest = None if whole else LONGEST
    for place, row in enumerate(found.rollouts):
        left = _prompt(found, longest) if place == 0 else Text()
        table.add_row(left, block(row["completion"], longest), _verdict(row))
    return Group(title, table)


def _prompt(found: TaskRollouts, longest: int | None) -> Text:
    if found.task is None:
        return block("(no table has its text)", longest)
    text = block(found.task.problem, longest)
    if found.task.answer is not None:
        text.append("\n\n").append_text(plain(f"label {found.task.answer}", "bold"))
    if asked := how_judged(found.task):
        text.append("\n\n").append_text(plain(asked, "bold"))
    for test in found.task.tests[:TESTS]:
        text.append("\n\n").append_text(block(test_text(found.task, test), longest))
    if len(found.task.tests) > TESTS:
        text.append(f"\n… {len(found.task.tests) - TESTS} more tests", "dim")
    if found.agreement is not None:
        text.append(f"\nagreement {found.agreement:.0%}", "dim")
    return text


def _verdict(row: Mapping[str, Any]) -> Text:
    mark, colour = MARKS[row["passed"]]
    text = Text(f"{mark} ", colour).append_text(plain(row["status"], colour))
    if row["reason"]:
        text.append("\n").append_text(plain(row["reason"]))
    reward = "no reward" if row["reward"] is None else f"reward {row['reward']:.3g}"
    return text.append("\n").append_text(plain(f"{reward}, {row['mode']}", "dim"))


def block(value: object, longest: int | None = LONGEST) -> Text:
    """Text of several lines that cannot steer the terminal, cut when long."""
    text = str(value)
    cut = longest is not None and len(text) > longest
    lines = text[:longest].replace("\t", "    ").split("\n")
    shown = Text("\n").join(plain(line) for line in lines)
    return shown.append(f"\n… {len(text) - len(text[:longest])} more characters", "dim") if cut else shown
