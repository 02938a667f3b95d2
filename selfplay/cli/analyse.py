"""`selfplay analyse`: data sets against benchmarks and against one another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selfplay.cli.shared import show

if TYPE_CHECKING:
    from rich.console import RenderableType

EXCERPT = 160


def analyse(
    places: Annotated[list[Path], typer.Argument(metavar="RUN|FILE...", help="Runs, and files of problems.")],
    suite: Annotated[
        list[str] | None, typer.Option("--suite", help="A named suite that no problem may hold; may be given again.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of downloaded files that suites are read from.")] = None,
    column: Annotated[str, typer.Option(help="The column with the problem.")] = "problem",
    incomplete: Annotated[bool, typer.Option("--incomplete", help="Take suites that are not whole.")] = False,
    alike: Annotated[
        float, typer.Option(min=0, max=1, help="Least share of words in common order besides; 0 asks for no more.")
    ] = 0.0,
    examples: Annotated[int, typer.Option(min=0, help="Most examples of a suite and data set.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look for benchmarks in data sets, and say how varied each is and how far they lie apart."""
    from dataclasses import asdict

    from selfplay.config.curation import Curation
    from selfplay.evaluation.contamination import contaminated, texts_of
    from selfplay.evaluation.diversity import placed_in_two_dimensions, set_figures
    from selfplay.suites.load import load_suite

    suites = [load_suite(one, data, incomplete=incomplete) for one in suite or []]
    settings = Curation(decontamination_lcs=alike)
    sets = {str(place): texts_of(place, column) for place in places}
    figures, apart = set_figures(list(sets.values()))
    found = {
        "sets": {name: asdict(one) for name, one in zip(sets, figures, strict=True)},
        "apart": apart.tolist(),
        "places": placed_in_two_dimensions(apart).tolist(),
        "contaminated": {
            name: [asdict(one) for one in contaminated(texts, suites, settings)] for name, texts in sets.items()
        },
        "suites": [one.name for one in suites],
    }
    if as_json:
        typer.echo(json.dumps(found))
    else:
        show(_view(found, examples))


def _view(found: dict[str, Any], examples: int) -> RenderableType:
    from rich.console import Group
    from rich.table import Table

    from selfplay.watching.terminal import plain

    sets = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    sets.add_column("set")
    for name in ("texts", "words", "distinct-2", "Vendi", "of", "nearest", "nearly the same"):
        sets.add_column(name, justify="right")
    for name, one in found["sets"].items():
        cells = [f"{one['texts']:,}", f"{one['words']:.0f}", f"{one['distinct_2']:.2f}", f"{one['vendi']:.1f}"]
        cells += [str(one["sampled"]), f"{one['nearest']:.2f}", f"{one['nearly_the_same']:.1%}"]
        sets.add_row(plain(name), *cells)
    parts: list[RenderableType] = [sets]
    names = list(found["sets"])
    for place, first in enumerate(names):
        for other in range(place + 1, len(names)):
            parts.append(plain(f"1 - cosine of means: {found['apart'][place][other]:.3f}, {first} and {names[other]}"))
    for name, leaks in found["contaminated"].items():
        for suite in found["suites"]:
            own = [one for one in leaks if one["suite"] == suite]
            line = f"{name}: {len(own)} of {found['sets'][name]['texts']} problems hold one of {suite}"
            parts.append(plain(line, "bold" if own else ""))
            for one in own[:examples]:
                parts.append(plain(f"  {one['text'][:EXCERPT]}", "dim", overflow="fold"))
                parts.append(plain(f"  {one['published']}: {one['problem'][:EXCERPT]}", "dim", overflow="fold"))
    return Group(*parts)
