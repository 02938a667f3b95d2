"""The command line: which commands there are. Each hands over to the module that does the work, when it is called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sandbox.process.inside import SWITCH_S
from selfplay.cli.analyse import analyse, difficulty
from selfplay.cli.doctor import doctor
from selfplay.cli.evaluate import compare, evaluate, rate
from selfplay.cli.plan import plan
from selfplay.cli.prompts import export_app, prompts
from selfplay.cli.rollouts import rollouts
from selfplay.cli.run import check, run, scale, synthesize
from selfplay.cli.sandbox import sandbox_app
from selfplay.cli.shared import Commands
from selfplay.cli.start import import_gguf, init, recipes, schema, show_version
from selfplay.cli.status import report, status, track_app
from selfplay.cli.verifiers import verifiers_app
from selfplay.cli.verify import serve, verify
from selfplay.config.errors import UNUSABLE

app = typer.Typer(
    cls=Commands,
    help="A language model makes its own problems, solves them, checks the answers by machine, and learns.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(init)
app.command()(doctor)
app.command()(run)
app.command()(check)
app.command()(scale)
app.command()(evaluate)
app.command()(compare)
app.command()(rate)
app.command()(analyse)
app.command()(difficulty)
app.command()(plan)
app.command()(status)
app.command()(report)
app.command()(prompts)
app.command()(rollouts)
app.command()(synthesize)
app.command()(recipes)
app.command()(schema)
app.command("import-gguf")(import_gguf)
app.command()(verify)
app.command()(serve)
app.add_typer(verifiers_app, name="verifiers")
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(export_app, name="export")
app.add_typer(track_app, name="track")


@app.callback()
def selfplay(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A language model makes its own problems, solves them, checks the answers by machine, and learns."""


def main() -> None:
    """The `selfplay` command."""
    from selfplay.preflight.doctor.installation import clash

    fault = clash()
    if fault:
        typer.echo(fault, err=True)
        raise SystemExit(UNUSABLE)
    # Verifiers named `module:Name` may lie where the user works; last, so that they hide nothing.
    here = str(Path.cwd())
    sys.path[:] = [*(path for path in sys.path if path not in ("", here)), here]
    sys.setswitchinterval(SWITCH_S)
    app()
