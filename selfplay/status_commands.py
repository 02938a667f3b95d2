"""`selfplay status` and `selfplay report`: how far a run is, from its files alone."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from selfplay.command_line import RunFolder, recipe_of, show


def status(
    run: RunFolder,
    once: Annotated[bool, typer.Option("--once", help="Show it once, also on a terminal.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it once, as JSON.")] = False,
) -> None:
    """Show how far a run is, live while it goes on; safe from any other terminal."""
    from rich.console import Console

    from selfplay.config import Recipe
    from selfplay.plan import expected_stages
    from selfplay.run_status import run_status
    from selfplay.status_view import status_view, watch
    from selfplay.tracking.digest import MetricDigest

    recipe = Recipe.model_validate(recipe_of(run))
    metrics = MetricDigest(run)

    def read() -> dict[str, Any]:
        return run_status(run, expected_stages(run, recipe), metrics)

    if as_json:
        typer.echo(json.dumps(read()))
    elif once or not sys.stdout.isatty():
        show(status_view(read()))
    else:
        try:
            watch(Console(), read)
        except KeyboardInterrupt:
            raise typer.Exit from None


def report(run: RunFolder) -> None:
    """Write RUN/report.html from what the run has made so far."""
    recipe_of(run)
    from selfplay.report.page import write_report

    typer.echo(str(write_report(run)))
