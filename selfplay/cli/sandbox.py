"""`selfplay sandbox run` and `selfplay sandbox doctor`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from selfplay.config.errors import FAILED

sandbox_app = typer.Typer(help="Run untrusted programs in isolation by the kernel.", no_args_is_help=True)


@sandbox_app.command("run")
def sandbox_run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A program.")],
    language: Annotated[
        str | None, typer.Option(help="python, or cpp or one of its standards; default by the file's ending.")
    ] = None,
    stdin: Annotated[Path | None, typer.Option(help="A file for standard input.")] = None,
    backend: Annotated[str, typer.Option(help="bubblewrap, landlock, or auto: this host's best.")] = "auto",
    waive: Annotated[list[str] | None, typer.Option(help="A limit that may go unenforced; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the execution as JSON.")] = False,
) -> None:
    """Run one program in the sandbox; exits 0 when the program ended well."""
    from selfplay.cli.sandbox_trials import run_file

    execution = run_file(file, language, stdin, backend, waive or [])
    if as_json:
        typer.echo(json.dumps(execution))
    else:
        sys.stdout.write(execution["stdout"])
        sys.stderr.write(execution["stderr"])
        typer.echo(f"{execution['status']} {execution['reason']}".strip(), err=True)
    raise typer.Exit(0 if execution["status"] == "ok" else FAILED)


@sandbox_app.command("doctor")
def sandbox_doctor(
    backend: Annotated[str, typer.Option(help="bubblewrap, landlock, remote, or auto: this host's best.")] = "auto",
    url: Annotated[str | None, typer.Option(help="remote: address of a SandboxFusion server.")] = None,
    token_env: Annotated[str | None, typer.Option(help="remote: environment variable with a bearer token.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Try every limit of a sandbox for real; exits 0 when all are enforced."""
    from selfplay.cli.sandbox_trials import examine_backend

    about, rows = examine_backend(backend, url, token_env)
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        typer.echo(about)
        for row in rows:
            typer.echo(f"{'enforced' if row['enforced'] else 'NOT ENFORCED':13} {row['limit']:16} {row['detail']}")
    raise typer.Exit(0 if all(row["enforced"] for row in rows) else FAILED)
