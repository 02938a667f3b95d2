"""`selfplay evaluate` and `selfplay compare`: models on suites, with intervals, and side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selfplay.cli.run import stopped_in_order
from selfplay.cli.shared import errors_told, show
from selfplay.config.errors import UserError

if TYPE_CHECKING:
    from selfplay.suites.load import Suite

RESAMPLES = 10_000


def evaluate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL|RUN", help="A folder, a hub name, an endpoint's address, or a run directory."),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[a.b.c=value]...", help="Settings, such as samples=16 sampling.top_k=20."),
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option("--suite", help="A named suite, a file, or a data set such as owner/name; may be given again."),
    ] = None,
    engine: Annotated[str | None, typer.Option(help="transformers or vllm; the same as engine.kind=...")] = None,
    out: Annotated[Path | None, typer.Option(help="The evaluation's folder; default evaluations/MODEL.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of downloaded files that named suites are read from.")
    ] = None,
    lock: Annotated[
        Path | None,
        typer.Option(help="File that pins suites by commit and content; what it lacks is added, a change is refused."),
    ] = None,
    fields: Annotated[
        str, typer.Option(help="Columns of your own suites, ours to theirs: problem=question,answer=gold.")
    ] = "",
    verifier: Annotated[str, typer.Option(help="What judges your own suites.")] = "math",
    template: Annotated[
        str | None,
        typer.Option(
            help="Prompt of your own suites: a text with {problem}, or a file with one; default that of MODEL's run, "
            "if it is of one."
        ),
    ] = None,
    subset: Annotated[str | None, typer.Option(help="Configuration of a data set.")] = None,
    split: Annotated[str, typer.Option(help="Split of a data set.")] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first problems of each suite.")] = None,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Take a named suite with another number of problems than published.")
    ] = False,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Your own suites may lack labels; what is said is then not judged.")
    ] = False,
    rounds: Annotated[
        str, typer.Option("--round", help="Of a run: all, or some of base, best and numbers, as in base,best.")
    ] = "all",
    served: Annotated[str | None, typer.Option(help="Name of the model at an endpoint.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="Environment variable with the endpoint's key.")] = None,
    prompt_style: Annotated[
        str, typer.Option(help="chat, raw, or auto: as its run has it, else chat where the model has a chat template.")
    ] = "auto",
    dtype: Annotated[
        str, typer.Option(help="Number format of the weights: auto, float32, bfloat16, float16.")
    ] = "auto",
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub name.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON lines.")] = False,
) -> None:
    """Measure a model, or every policy of a run, on suites of problems; the same command goes on after a stop."""
    from selfplay.config.evaluation import Measurement, ModelOptions
    from selfplay.config.load import section_of
    from selfplay.pipeline.policies import label_of

    _among("--prompt-style", prompt_style, ("auto", "chat", "raw"))
    _among("--dtype", dtype, ("auto", "float32", "bfloat16", "float16"))
    engines = [f"engine.kind={engine}"] if engine else []
    suites, of_paper = _expanded(suite or [], data)
    settings = section_of(Measurement, [*of_paper, *engines, *(overrides or [])], "the evaluation")
    if not suites:
        raise UserError("--suite: is missing; name a suite such as math500, or give a file (docs/how-to/evaluate.md)")
    folder = out or Path("evaluations") / label_of(model)
    # At once: what follows loads libraries for some seconds.
    typer.echo(f"{model}: getting ready; figures will be in {folder}", err=True)
    with errors_told(folder), stopped_in_order(folder):
        from selfplay.cli.evaluate_view import figures_view
        from selfplay.pipeline.asked import asked_of
        from selfplay.pipeline.evaluate import evaluate as measure
        from selfplay.pipeline.policies import run_of
        from selfplay.run.import_path import find_verifier

        find_verifier(verifier, run_of(model))
        own: dict[str, Any] = {"fields": _field_map(fields), "verifier": verifier, "subset": subset, "split": split}
        own |= {"unlabelled": unlabelled}
        asked = asked_of(_loaded(suites, own, data, lock, limit, incomplete), model, template)
        options = ModelOptions(dtype, prompt_style, rounds, served, api_key_env, revision)  # type: ignore[arg-type]
        rows = measure(model, options, asked, settings, folder)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
    else:
        show(figures_view(rows))
        typer.echo(f"Figures, tables and settings are in {folder}; `selfplay compare {folder} ...` compares.")


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


def rate(
    place: Annotated[Path, typer.Argument(metavar="EVALUATION", help="A folder of `selfplay evaluate`.")],
    standings: Annotated[
        Path, typer.Option(help="Folder of ID.standings.json and ID.ratings.json (docs/how-to/rate.md).")
    ],
    suite: Annotated[str, typer.Option(help="The suite with the problems of contests.")] = "codeforces",
    tries: Annotated[int, typer.Option(min=1, help="Most tries at a problem.")] = 8,
) -> None:
    """Rate models as in Codeforces contests, from frozen standings."""
    from selfplay.cli.evaluate_view import rating_view
    from selfplay.evaluation.contest_rating import rate as rated
    from selfplay.evaluation.contest_rating import tried_problems
    from selfplay.evaluation.evaluation_folder import EvaluationFolder
    from selfplay.suites.catalogue import CODEFORCES

    folder = EvaluationFolder(place)
    known = folder.about
    if suite not in known.get("suites", {}):
        raise UserError(f"{place}: has no suite {suite}; it has {', '.join(known.get('suites', {})) or 'none'}")
    for model in known["models"]:
        report = rated(
            standings, tried_problems(folder.table(model, suite), tries), RESAMPLES, known["settings"]["seed"]
        )
        show(rating_view(model, report, suite == CODEFORCES))


def _expanded(suites: list[str], data: Path | None) -> tuple[list[str], tuple[str, ...]]:
    """The suites, those of the paper for `paper`, and the settings that come with these; its contest problems, which
    are on no hub, where they have been downloaded."""
    from selfplay.suites.catalogue import CODEFORCES, PAPER, PAPER_SETTINGS, PAPER_SUITES

    if PAPER not in suites:
        return suites, ()
    from selfplay.suites.load import is_downloaded

    rated = is_downloaded(CODEFORCES, data)
    if not rated:
        typer.echo(f"{PAPER}: without {CODEFORCES}, whose file --data does not have (docs/how-to/rate.md)", err=True)
    known = [*PAPER_SUITES, *([CODEFORCES] if rated else [])]
    return list(dict.fromkeys([*known, *(one for one in suites if one != PAPER)])), PAPER_SETTINGS


def _loaded(
    suites: list[str], own: dict[str, Any], data: Path | None, lock: Path | None, limit: int | None, incomplete: bool
) -> list[Suite]:
    from selfplay.suites.load import load_suite
    from selfplay.suites.lock import SuiteLock

    pins = None if lock is None else SuiteLock(lock)
    loaded = [load_suite(_wanted(one, own), data, limit, incomplete, pins) for one in suites]
    _once([one.name for one in loaded], suites)
    return loaded


def _wanted(given: str, own: dict[str, Any]) -> Any:
    """A named suite, or a file or a data set as one of one's own."""
    from selfplay.config.evaluation import UserSuite
    from selfplay.config.load import section_of
    from selfplay.config.values.places import ROW_FILES
    from selfplay.suites.catalogue import SUITES

    if given.partition(":")[0] in SUITES:
        return given
    path = Path(given)
    is_file = path.suffix in ROW_FILES
    if not is_file and "/" not in given:
        return given
    where = {"file": given} if is_file else {"dataset": given}
    settings = {"name": path.stem if is_file else given.strip("./").replace("/", "-")} | where | own
    return section_of(UserSuite, [f"{name}={json.dumps(value)}" for name, value in settings.items()], "--suite")


def _once(names: list[str], given: list[str]) -> None:
    """Refuses suites of one name, whose results would lie in one file."""
    seen: dict[str, str] = {}
    for name, one in zip(names, given, strict=True):
        if name in seen:
            raise UserError(f"--suite: {seen[name]} and {one} are both called {name}; give one of them another name")
        seen[name] = one


def _field_map(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",") if part]
    if any(not equals or not theirs for _, equals, theirs in pairs):
        raise UserError(f"--fields {text}: is written ours=theirs, as in problem=question,answer=gold")
    from verifiers.programs.task_rows import TASK_FIELDS

    for ours, _, _ in pairs:
        if ours.strip() not in ("id", *TASK_FIELDS):
            raise UserError(f"--fields {ours}: is no column of ours; they are id, {', '.join(TASK_FIELDS)}")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def _among(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{option} {value}: must be one of {', '.join(choices)}")
