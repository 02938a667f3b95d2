"""`selfplay verifiers list` and `selfplay verifiers test`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selfplay.cli.shared import show
from selfplay.config.errors import FAILED, UserError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from verifiers.conformance.report import Report

verifiers_app = typer.Typer(help="What judges completions, and how to test it.", no_args_is_help=True)

_KEY_VALUE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_MARKS = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}
_SHOWN_FAILURES = 5

Rate = Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the labelled cases that may differ, 0 to 1.")]


class ParamsError(UserError):
    """Parameters that are none; the message says how to write them."""


@verifiers_app.command("list")
def list_verifiers(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """Show every verifier that is known by name, who offers it, and what it takes."""
    from verifiers.catalogue import descriptions

    found = descriptions()
    if as_json:
        typer.echo(json.dumps([asdict(description) for description in found]))
        return
    from rich.table import Table

    from selfplay.watching.terminal import plain

    table = Table("name", "from", "what it does", "parameters")
    for one in found:
        parameters = ", ".join(f"{name}={default}" for name, default in one.parameters.items())
        what = one.summary if not one.fault else f"can't be loaded: {one.fault}"
        table.add_row(*map(plain, (one.name, one.source, what, parameters)))
    show(table)


@verifiers_app.command("test")
def examine_verifier(
    name: Annotated[str, typer.Argument(metavar="NAME|MODULE:NAME", help="The verifier.")],
    cases: Annotated[Path | None, typer.Option(help="Labelled cases, as JSON lines.")] = None,
    params: Annotated[
        list[str] | None, typer.Option(help="Parameters: key=value, or a mapping in JSON or YAML; may be repeated.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report here as JSON.")] = None,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds for one item.")] = 10.0,
    memory: Annotated[int, typer.Option(min=64, help="Megabytes for the process that judges.")] = 4096,
    huge: Annotated[int, typer.Option(min=1000, help="Characters of the huge completions.")] = 1_000_000,
    max_false_passes: Rate = 0.0,
    max_false_fails: Rate = 0.0,
    max_not_checked: Rate = 0.0,
) -> None:
    """Run the conformance kit on a verifier; exits 0 when all that must pass does."""
    from verifiers.conformance.cases import read_cases
    from verifiers.conformance.kit import Settings, examine
    from verifiers.conformance.trial import TrialLimits

    settings = Settings(TrialLimits(deadline, memory), huge, max_false_passes, max_false_fails, max_not_checked)
    try:
        labelled = read_cases(cases, name) if cases is not None else []
        report = examine(name, read_params(params or []), labelled, settings)
        if json_file is not None:
            json_file.write_text(json.dumps(report.to_json(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ParamsError(f"--json {json_file}: cannot be written: {error}") from error
    for renderable in report_view(report):
        show(renderable)
    raise typer.Exit(0 if report.passed else FAILED)


def read_params(texts: Sequence[str]) -> dict[str, Any]:
    """The parameters of a verifier as written on the command line: `key=value`, JSON or YAML; later ones win.

    Raises ParamsError.
    """
    from verifiers.untrusted.yaml_text import UnusableYaml, parse_yaml

    found: dict[str, Any] = {}
    for text in texts:
        pair = _KEY_VALUE.fullmatch(text.strip())
        try:
            value, _ = parse_yaml(pair.group(2) if pair else text)
        except UnusableYaml as error:
            if pair is None:
                raise ParamsError(f"--params {text!r}: is neither key=value nor JSON nor YAML ({error})") from error
            value = pair.group(2)
        if pair is not None:
            found[pair.group(1)] = value
        elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
            found |= value
        else:
            raise ParamsError(f"--params {text!r}: must be key=value, or a mapping such as {{workers: 2}}")
    return found


def report_view(report: Report) -> list[RenderableType]:
    """The report for a terminal: a table of checks, the first failures of each, the agreement, the outcome."""
    from rich.table import Table
    from rich.text import Text

    from selfplay.watching.terminal import plain
    from verifiers.conformance.kit import agreement_text

    table = Table("check", "", "trials", "detail", title=plain(f"{report.verifier} ({report.source})"))
    for check in report.checks:
        mark = _MARKS[check.outcome] if check.must or check.outcome != "failed" else "advice"
        table.add_row(check.name, mark, str(check.trials), plain(check.detail))
    views: list[RenderableType] = [table]
    for check in report.checks:
        for failure in check.failures[:_SHOWN_FAILURES]:
            views.append(plain(f"{check.name}: {failure.item}: {failure.problem}"))
        if len(check.failures) > _SHOWN_FAILURES:
            views.append(Text(f"{check.name}: and more; --json FILE keeps the first twenty"))
    if report.agreement is not None:
        views.append(Text(agreement_text(report.agreement)))
    ending = "conforms" if report.passed else "does not conform"
    left_out = [check.name for check in report.checks if check.outcome == "skipped"]
    if left_out:
        views.append(Text(f"not checked: {', '.join(left_out)}"))
    views.append(plain(f"{report.verifier} {ending}; {report.seconds:.1f} s, at most {report.peak_memory_mb:.0f} MB"))
    return views
