"""`selfplay analyse` and `selfplay difficulty`: data sets against benchmarks and one another, and how hard they are."""

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
    concepts: Annotated[str, typer.Option(help="The column with a list of the problem's concepts.")] = "concepts",
    seeds: Annotated[
        bool, typer.Option("--seeds", help="Take the seeds of each run as a set of their own, too.")
    ] = False,
    incomplete: Annotated[bool, typer.Option("--incomplete", help="Take suites that are not whole.")] = False,
    alike: Annotated[
        float, typer.Option(min=0, max=1, help="Least share of words in common order besides; 0 asks for no more.")
    ] = 0.0,
    near: Annotated[
        float, typer.Option(min=0, max=1, help="Name the problems of suites with this cosine or more, too; 0: none.")
    ] = 0.0,
    embeddings: Annotated[
        str | None, typer.Option(help="A model of sentence-transformers, by folder or hub name; default TF-IDF.")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="Most examples of a suite and data set.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look for benchmarks in data sets, and say how varied each is and how far they lie apart."""
    from selfplay.config.curation import Curation
    from selfplay.evaluation.analysis import analysed, keep_distribution
    from selfplay.evaluation.data_sets import SEEDS, is_run, read_set, seeds_of
    from selfplay.suites.load import load_suite

    suites = [load_suite(one, data, incomplete=incomplete) for one in suite or []]
    runs = [place for place in places if is_run(place)]
    sets = {str(place): read_set(place, column, concepts) for place in places}
    sets |= {f"{run}{SEEDS}": seeds_of(run) for run in (runs if seeds else [])}
    found = analysed(sets, suites, Curation(decontamination_lcs=alike), near, embeddings)
    for run in runs:
        keep_distribution(run, found)
        _tell_report(run, quiet=as_json)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        show(_view(found, examples))


def _tell_report(run: Path, quiet: bool) -> None:
    """Writes the run's report with the analysis that was kept, and says where."""
    from selfplay.report import write_report

    page = write_report(run)
    if not quiet:
        typer.echo(f"{page} shows this under Analyses")


def _view(found: dict[str, Any], examples: int) -> RenderableType:
    from rich.console import Group

    from selfplay.watching.terminal import plain, table_of

    sets = table_of("set", "texts", "words", "distinct-2", "Vendi", "of", "nearest", "nearly the same")
    for name, one in found["sets"].items():
        cells = [f"{one['texts']:,}", f"{one['words']:.0f}", f"{one['distinct_2']:.2f}", f"{one['vendi']:.1f}"]
        nearest = "-" if one["nearest"] is None else f"{one['nearest']:.2f}"
        cells += [str(one["sampled"]), nearest, f"{one['nearly_the_same']:.1%}"]
        sets.add_row(plain(name), *cells)
    parts: list[RenderableType] = [sets]
    names = list(found["sets"])
    parts += [plain(line) for line in _concept_lines(found, names)]
    for place, first in enumerate(names):
        for other in range(place + 1, len(names)):
            apart = f"1 - cosine of means: {found['apart'][place][other]:.3f}, {first} and {names[other]}"
            shared = [found["overlap"][place][other], found["overlap"][other][place]]
            parts.append(plain(f"{apart}; nearly the same in the other: {shared[0]:.1%} and {shared[1]:.1%}"))
    for name, leaks in found["contaminated"].items():
        for suite in found["suites"]:
            own = [one for one in leaks if one["suite"] == suite]
            line = f"{name}: {len(own)} of {found['sets'][name]['texts']} problems hold one of {suite}"
            parts.append(plain(line, "bold" if own else ""))
            for one in sorted(own, key=lambda one: -one["in_order"])[:examples]:
                parts.append(
                    plain(f"  {one['in_order']:.0%} in order: {one['text'][:EXCERPT]}", "dim", overflow="fold")
                )
                parts.append(plain(f"  {one['published']}: {one['problem'][:EXCERPT]}", "dim", overflow="fold"))
    for name, near in found["near"].items():
        if near:
            parts.append(plain(f"{name}: {len(near)} problems lie near one of a suite", "bold"))
        for one in near[:examples]:
            alike = f"cosine {one['cosine']:.2f}, {one['in_order']:.0%} in order"
            parts.append(plain(f"  {alike}: {one['text'][:EXCERPT]}", "dim", overflow="fold"))
            parts.append(plain(f"  {one['published']}: {one['problem'][:EXCERPT]}", "dim", overflow="fold"))
    return Group(*parts)


def _concept_lines(found: dict[str, Any], names: list[str]) -> list[str]:
    """A line a set that names concepts, and one for each two that do."""
    lines = []
    for name, one in found["concepts"].items():
        if one["distinct"]:
            counts = f"{one['distinct']:,} concepts of {one['named']:,} texts, effectively {one['effective']:.1f}"
            lines.append(f"{name}: {counts}; {one['once']:.1%} are used once")
    for place, first in enumerate(names):
        for other in range(place + 1, len(names)):
            shares = [found["covered"][place][other], found["covered"][other][place]]
            if None not in shares:
                lines.append(
                    f"concepts that the other has: {shares[0]:.1%} and {shares[1]:.1%}, {first} and {names[other]}"
                )
    return lines


def difficulty(
    weak: Annotated[str, typer.Argument(metavar="WEAK", help="Evaluation of a weak solver: FOLDER or FOLDER:MODEL.")],
    strong: Annotated[str, typer.Argument(metavar="STRONG", help="Of a strong reference, with several completions.")],
    suite: Annotated[
        list[str] | None, typer.Option("--suite", help="Only this suite of theirs; may be given again.")
    ] = None,
    judge: Annotated[
        str | None, typer.Option(help="Address of a judge of well-posedness, an OpenAI-compatible endpoint.")
    ] = None,
    judge_model: Annotated[str | None, typer.Option(help="Name of the judge at its endpoint.")] = None,
    judge_key_env: Annotated[str | None, typer.Option(help="Environment variable with the endpoint's key.")] = None,
    threshold: Annotated[int, typer.Option(min=1, max=5, help="Least score, of 5, of a well-posed problem.")] = 3,
    examples: Annotated[int, typer.Option(min=0, help="Most doubtful problems that are shown.")] = 5,
    report: Annotated[Path | None, typer.Option(help="A run whose report shall show the table.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, with a row a problem.")] = False,
) -> None:
    """Say how hard problems are for a weak solver, and, beside it, what speaks against their being solvable."""
    from dataclasses import asdict

    from selfplay.config.errors import UserError
    from selfplay.evaluation.analysis import difficulty_facts, keep_difficulty
    from selfplay.evaluation.solvability import doubts, measured_table, solved_problems, two_way
    from selfplay.evaluation.suites_of_run import readers_of
    from selfplay.run.directory import read_run

    if (judge is None) != (judge_model is None):
        raise UserError("--judge: an endpoint may serve several models; give --judge and --judge-model together")
    if report is not None:
        read_run(report)
    tables = [measured_table(one, suite or []) for one in (weak, strong)]
    with readers_of(_folder_of(strong), tables[1]) as readers:
        problems = solved_problems(tables[0], tables[1], readers)
    if judge is not None and judge_model is not None:
        from selfplay.evaluation.well_posed import judge_at, with_scores
        from selfplay.watching.terminal import Progress

        with Progress() as progress:
            store = _folder_of(strong) / "store" / "answers.sqlite"
            engine = judge_at(judge, judge_model, judge_key_env)
            problems = with_scores(
                problems, engine, store, lambda total: progress.begin("judge", total), progress.advance
            )
    rows = two_way(problems, threshold)
    if report is not None:
        keep_difficulty(report, difficulty_facts(problems, threshold, weak, strong))
        _tell_report(report, quiet=as_json)
    if as_json:
        typer.echo(json.dumps({"table": rows, "problems": [asdict(one) for one in problems]}))
        return
    doubtful = [(one.problem, doubts(one, threshold)) for one in problems]
    show(_difficulty_view(rows, [one for one in doubtful if one[1]][:examples]))


def _folder_of(given: str) -> Path:
    return Path(given) if Path(given).is_dir() else Path(given.rpartition(":")[0])


def _difficulty_view(rows: list[dict[str, Any]], doubtful: list[tuple[str, list[str]]]) -> RenderableType:
    from rich.console import Group

    from selfplay.watching.terminal import plain, table_of

    names = ("problems", "agrees", "disagrees", "contradicted", "ill-posed", "doubtful", "tokens")
    table = table_of("weak solver", *names)
    for row in rows:
        contradicted = f"{row['contradicted']} of {row['labelled']}" if row["labelled"] else "-"
        ill_posed = f"{row['ill_posed']} of {row['judged']}" if row["judged"] else "-"
        tokens = "-" if row["tokens"] is None else f"{row['tokens']:,.0f}"
        counts = [f"{row[name]:,}" for name in ("problems", "agrees", "disagrees")]
        table.add_row(row["weak"], *counts, contradicted, ill_posed, f"{row['doubtful']:,}", tokens)
    never = rows[0]
    sentence = (
        f"Of {never['problems']} problems that the weak solver never gets, {never['doubtful']} may be ill-posed rather "
        "than hard."
    )
    parts: list[RenderableType] = [table, plain(sentence)]
    for problem, why in doubtful:
        parts.append(plain("; ".join(why), "bold"))
        parts.append(plain(f"  {problem[:EXCERPT]}", "dim", overflow="fold"))
    return Group(*parts)
