"""`selfplay compare`: models of evaluations and runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfplay.cli.shared import show


def compare(
    places: Annotated[
        list[Path],
        typer.Argument(metavar="RUN|EVALUATION...", help="Run directories and folders of `selfplay evaluate`."),
    ],
    html: Annotated[Path | None, typer.Option("--html", help="Write a page as well.")] = None,
    flips: Annotated[int, typer.Option(min=0, help="Most problems of each kind that went the other way.")] = 5,
    whole: Annotated[bool, typer.Option("--whole", help="Do not cut long texts.")] = False,
) -> None:
    """Compare models on the problems that they share: figures, paired differences, problems that went the other way."""
    from selfplay.cli.compare_view import comparison_view
    from selfplay.evaluation import comparison
    from selfplay.evaluation.compared import read_compared

    found = comparison.compare(read_compared(places), flips)
    show(comparison_view(found, whole))
    if html is not None:
        from selfplay.report.page import write_comparison

        write_comparison(html, comparison.facts(found))
        typer.echo(f"{html}: the same as a page, which needs no network")
