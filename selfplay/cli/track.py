"""`selfplay track`: what concerns the copies of a run's metrics elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from selfplay.cli.shared import RunFolder

track_app = typer.Typer(help="The copies of a run's metrics in W&B.", no_args_is_help=True)


@track_app.command("sync")
def sync_command(
    run: RunFolder,
    project: Annotated[str | None, typer.Option(help="Another W&B project than the recipe's.")] = None,
    entity: Annotated[str | None, typer.Option(help="Another W&B user or team.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the server to answer.")] = 60.0,
) -> None:
    """Upload what W&B lacks of a run that is offline, or whose server was out of reach."""
    from selfplay.tracking.sync import sync

    lines = sync(run, project, entity, timeout)
    typer.echo(f"{lines} lines uploaded; W&B has all of {run}." if lines else f"W&B has all of {run} already.")
