"""`selfplay status` and `selfplay report`: how far a run is, from its files alone."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from selfplay.cli.shared import RunFolder, errors_told


def status(
    run: RunFolder,
    once: Annotated[bool, typer.Option("--once", help="Show it once, also on a terminal.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show it once, with all stages and metrics, however long that is.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it once, as JSON.")] = False,
) -> None:
    """Show how far a run is, live while it goes on; safe from any other terminal."""
    from rich.console import Console

    from selfplay.cli.status_view import EVERYTHING, fitted, status_view, watch
    from selfplay.run.directory import read_recipe
    from selfplay.run.plan import expected, read_plan
    from selfplay.tracking.digest import MetricDigest
    from selfplay.watching.status import run_status

    try:
        read_recipe(run)
        plan = read_plan(run)
        metrics = MetricDigest(run)

        def read() -> dict[str, Any]:
            return run_status(run, expected(run, plan), metrics)

        if as_json:
            typer.echo(json.dumps(read()))
        elif everything:
            console = Console()
            console.print(status_view(read(), EVERYTHING, console.width))
        elif once or not sys.stdout.isatty():
            console = Console()
            console.print(fitted(read(), console))
        else:
            watch(Console(), read)
    except KeyboardInterrupt:
        raise typer.Exit from None


def report(run: RunFolder) -> None:
    """Write RUN/report.html from what the run has made so far."""
    from selfplay.report.page import write_report

    with errors_told(run):
        typer.echo(str(write_report(run)))


track_app = typer.Typer(help="The copies of a run's metrics in W&B.", no_args_is_help=True)


@track_app.command("sync")
def sync_command(
    run: RunFolder,
    project: Annotated[str | None, typer.Option(help="Another W&B project than the recipe's.")] = None,
    entity: Annotated[str | None, typer.Option(help="Another W&B user or team.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the server to answer.")] = 60.0,
) -> None:
    """Upload what W&B lacks of a run that is offline, or whose server was out of reach."""
    from selfplay.tracking.mirror import sync

    lines = sync(run, project, entity, timeout)
    typer.echo(f"{lines} lines uploaded; W&B has all of {run}." if lines else f"W&B has all of {run} already.")
