"""`selfplay doctor`: one page on the machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfplay.cli.shared import show
from selfplay.config.errors import FAILED

if TYPE_CHECKING:
    from rich.console import RenderableType

    from selfplay.preflight.doctor.finding import MachineFinding

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where runs will lie; default here.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at the machine: packages, GPUs, vLLM, sandbox, disk, W&B; exits 0 where nothing fails."""
    from selfplay.preflight.doctor import examine_machine
    from selfplay.preflight.doctor.finding import State, worst

    findings = examine_machine(folder)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        show(doctor_view(findings))
    raise typer.Exit(FAILED if worst(findings) is State.FAIL else 0)


def doctor_view(findings: Sequence[MachineFinding]) -> RenderableType:
    """The page: a line for each finding, with its remedy below it."""
    from rich.table import Table

    from selfplay.watching.terminal import plain

    table = Table.grid(padding=(0, 2))
    for column in ({"no_wrap": True}, {"no_wrap": True}, {"overflow": "fold"}):
        table.add_column(**column)
    for finding in findings:
        table.add_row(plain(finding.state, STYLES[finding.state]), plain(finding.subject), plain(finding.detail))
        if finding.remedy:
            table.add_row("", "", plain(finding.remedy, "dim"))
    return table
