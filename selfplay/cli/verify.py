"""`selfplay verify` and `selfplay serve`: verdicts for those who train elsewhere."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from selfplay.config.errors import UserError

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="Rows with a completion each.")],
    verifier: Annotated[str, typer.Option(help="A verifier's name, or module:Name.")],
    params: Annotated[str, typer.Option(help="The verifier's parameters, as a JSON object.")] = "{}",
) -> None:
    """Judge completions: one verdict a row as JSON lines, in input order."""
    from verifiers.jsonl import verify_file

    with _verdicts_alone() as verdicts:
        verify_file(verifier, file, verdicts, params=_json_object(params), tell=functools.partial(typer.echo, err=True))


@contextlib.contextmanager
def _verdicts_alone() -> Iterator[TextIO]:
    """Where verdicts are written. What a plug-in prints, by Python or beneath it, is for a person, and goes to the
    standard error."""
    verdicts = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        if not _is_the_systems(verdicts):  # a caller in Python has put another stream in its place
            yield verdicts
            return
        verdicts.flush()
        with os.fdopen(os.dup(STANDARD_OUTPUT), "w", encoding=verdicts.encoding) as own:
            os.dup2(STANDARD_ERROR, STANDARD_OUTPUT)
            try:
                yield own
            finally:
                own.flush()
                os.dup2(own.fileno(), STANDARD_OUTPUT)


def _is_the_systems(stream: TextIO) -> bool:
    try:
        return stream.fileno() == STANDARD_OUTPUT
    except (OSError, AttributeError):
        return False


def serve(
    verifiers: Annotated[
        str, typer.Option(help="Verifiers by name or module:Name, as in math,code,mine=my_rules:short_and_right.")
    ] = "",
    verifiers_file: Annotated[
        Path | None, typer.Option(help="A YAML or JSON file with more of them, and their parameters.")
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen; other machines need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8700,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the bearer token; SELFPLAY_SERVE_TOKEN does too.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Workers of each verifier; default one a core.")] = None,
    limit: Annotated[
        list[str] | None, typer.Option(metavar="NAME=NUMBER", help="A limit, such as max_items=1000; may be repeated.")
    ] = None,
    drain: Annotated[int, typer.Option(min=0, help="Seconds that requests get to end in after SIGTERM.")] = 30,
) -> None:
    """Serve verdicts over HTTP, so that another trainer can use the rewards."""
    from selfplay.cli.serve import missing_extra
    from selfplay.cli.serve import serve as serve_until_stopped

    if fault := missing_extra():
        raise UserError(fault)
    serve_until_stopped(
        verifiers,
        verifiers_file,
        host=host,
        port=port,
        token_file=token_file,
        workers=workers or len(os.sched_getaffinity(0)),
        drain_s=drain,
        limits=limit or [],
        say=typer.echo,
    )


def _json_object(text: str) -> dict[str, Any]:
    from verifiers.untrusted.files import json_object

    return json_object(text, "--params", UserError, ', such as {"require_box": true}')
