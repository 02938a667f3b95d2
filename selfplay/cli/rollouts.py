"""`selfplay rollouts`: what a model was asked, what it answered, and what the verifier said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


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

    from selfplay.cli.views import rollouts_view
    from selfplay.run.directory import read_settings
    from selfplay.run.files import RunError
    from selfplay.watching.rollouts import find_rollouts

    domains = read_settings(run)["domains"]
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
