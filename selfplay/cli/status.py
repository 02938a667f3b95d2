"""`selfplay status` and `selfplay report`: how far a run is, from its files alone."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from selfplay.cli.shared import RunFolder, errors_told, show


def status(
    run: RunFolder,
    once: Annotated[bool, typer.Option("--once", help="Show it once, also on a terminal.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it once, as JSON.")] = False,
) -> None:
    """Show how far a run is, live while it goes on; safe from any other terminal."""
    from rich.console import Console

    from selfplay.cli.status_view import status_view, watch
    from selfplay.run.directory import read_recipe
    from selfplay.stage.plan import expected_stages
    from selfplay.tracking.digest import MetricDigest
    from selfplay.watching.status import run_status

    try:
        recipe = read_recipe(run)
        metrics = MetricDigest(run)

        def read() -> dict[str, Any]:
            return run_status(run, expected_stages(run, recipe), metrics)

        if as_json:
            typer.echo(json.dumps(read()))
        elif once or not sys.stdout.isatty():
            show(status_view(read()))
        else:
            watch(Console(), read)
    except KeyboardInterrupt:
        raise typer.Exit from None


def report(run: RunFolder) -> None:
    """Write RUN/report.html from what the run has made so far."""
    from selfplay.report.page import write_report

    with errors_told(run):
        typer.echo(str(write_report(run)))
