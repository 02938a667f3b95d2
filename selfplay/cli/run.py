"""`selfplay run`, `selfplay synthesize` and `selfplay check`: whatever stops a run is one sentence and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selfplay.cli.shared import (
    INTERRUPTED,
    TERMINATED,
    Overrides,
    RecipeFile,
    Terminated,
    errors_told,
    load_recipe_file,
    show,
    stop_on_sigterm,
)
from selfplay.config.errors import UserError

if TYPE_CHECKING:
    from selfplay.config.recipe import Recipe

RunDir = Annotated[Path | None, typer.Option("--run-dir", help="Where the run lives; default runs/<name>.")]
Reuse = Annotated[
    Path | None,
    typer.Option("--reuse", help="Another run, whose stages are taken over where settings and inputs agree."),
]

Until = Annotated[
    str | None, typer.Option(help="Stop after this stage, such as cold_start; the same command without it goes on.")
]


def run(
    recipe: RecipeFile,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    reuse: Reuse = None,
    until: Until = None,
) -> None:
    """Run a recipe, or continue its run."""
    with stopped_in_order(run_dir):
        loaded = load_recipe_file(recipe, overrides)
        folder = run_dir or Path("runs") / loaded.name
        summary = launch_run(loaded, folder, reuse, until)
        if summary is None:
            typer.echo(f"{until} is done; the same command without --until continues {folder}.")
        else:
            from selfplay.watching.terminal import closing_table

            show(closing_table(summary))


def check(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Validate a recipe, show its plan, and try its rewards on known answers; loads no weights."""
    loaded = load_recipe_file(recipe, overrides)
    from selfplay import pipeline
    from selfplay.cli.views import plan_view
    from selfplay.watching.terminal import Progress

    show(plan_view(loaded))
    with Progress() as progress:
        findings = pipeline.check(loaded, tell=progress.prepare)
    for finding in findings:
        typer.echo(f"ok  {finding.name}: {finding.detail}")


def synthesize(
    recipe: RecipeFile,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    reuse: Reuse = None,
    until: Until = None,
) -> None:
    """Run a recipe as far as its curated prompts; with `--until labelling`, their answers by votes are found, too."""
    with stopped_in_order(run_dir):
        loaded = load_recipe_file(recipe, overrides)
        from selfplay.pipeline.stages import end_of_prompts, stage_table, synthesis_stages

        table = stage_table(loaded)
        stages = synthesis_stages(table)
        folder, last = run_dir or Path("runs") / loaded.name, until or end_of_prompts(table)
        if last not in stages:
            raise UserError(f"--until {last}: is not a stage; the stages are {', '.join(stages)}")
        launch_run(loaded, folder, reuse, last)
        from selfplay.run.plan import Kind, manifest_of

        if counts := manifest_of(folder, Kind.ANNOTATION).get("counts"):
            from selfplay.cli.views import annotation_view

            show(annotation_view(counts, str(folder / "stages" / Kind.ANNOTATION)))
        typer.echo(f"{last} is done; `selfplay run` with the same recipe and settings continues {folder}.")


def scale(
    recipe: RecipeFile,
    sizes: Annotated[str, typer.Option(help="Training prompts a round, as in 100,300,1000.")],
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the runs; default runs/<name>-by-size.")] = None,
    reuse: Reuse = None,
    flips: Annotated[int, typer.Option(min=0, help="Most problems of each kind that went the other way.")] = 0,
) -> None:
    """Train and evaluate on nested subsets of a recipe's prompts, and draw accuracy over their number."""
    from selfplay.evaluation.scaling import PAGE, parsed_sizes, sized_runs, write_curve

    wanted = parsed_sizes(sizes)
    with stopped_in_order(out):
        loaded = load_recipe_file(recipe, overrides)
        folder, before, done = out or Path("runs") / f"{loaded.name}-by-size", reuse, []
        runs = list(sized_runs(lambda one: load_recipe_file(recipe, [*(overrides or []), one]), loaded, wanted, folder))
        for run_, sized in runs:
            typer.echo(f"{run_.size:,} prompts a round: {run_.path}", err=True)
            launch_run(sized, run_.path, before, None)
            before = run_.path
            done.append(run_)
        from selfplay.cli.compare_view import comparison_view

        with errors_told(folder):
            curve = write_curve(done, folder, flips)
        show(comparison_view(curve.comparison))
        for run_ in done:
            if (fewest := min(run_.prompts, default=0)) < run_.size:
                typer.echo(f"{run_.path}: a round had only {fewest:,} prompts to train on", err=True)
        typer.echo(f"{folder / PAGE}: the curve as a page, which needs no network")


@contextmanager
def stopped_in_order(folder: Path | None) -> Iterator[None]:
    """Has SIGINT and SIGTERM end a command with a sentence on how to continue, and with their exit codes.

    Args:
        folder: the run directory; None where the recipe, which names it, has not been read yet.
    """
    stop_on_sigterm()
    try:
        yield
    except KeyboardInterrupt as stop:
        where = "" if folder is None else f" {folder}"
        typer.echo(f"\nStopped. Finished work is kept; the same command continues{where}.", err=True)
        raise typer.Exit(TERMINATED if isinstance(stop, Terminated) else INTERRUPTED) from None


def launch_run(recipe: Recipe, folder: Path, reuse: Path | None, until: str | None) -> dict[str, Any] | None:
    """Runs a recipe in a folder; whatever stops it is said in one sentence, with its exit code.

    Args:
        reuse: another run, whose stages are taken over where they agree.
        until: the last stage; None for all.

    Returns:
        The closing table; None where the run was to stop before its end.
    """
    # At once: what follows loads libraries for some seconds.
    typer.echo(f"{recipe.name}: getting ready; the run directory is {folder}", err=True)
    from selfplay.pipeline.launch import launch

    with errors_told(folder, of_run=True), stopped_in_order(folder):
        return launch(recipe, folder, reuse, until)
