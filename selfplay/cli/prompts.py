"""`selfplay prompts` and `selfplay export prompts`: what became of a run's prompts, and a data set of them."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from selfplay.cli.shared import RunFolder, errors_told
from selfplay.config.errors import UserError

SHOWN = 100

export_app = typer.Typer(help="Write what a run or an evaluation made for others.", no_args_is_help=True)
Round = Annotated[int | None, typer.Option("--round", min=1, help="Only prompts made for this round; default all.")]


def prompts(
    run: RunFolder,
    dropped: Annotated[bool, typer.Option("--dropped", help="Only prompts that were lost.")] = False,
    reason: Annotated[
        str, typer.Option(help="Only those lost for it, such as `near duplicate`, as in the funnel.")
    ] = "",
    identifier: Annotated[str, typer.Option("--id", help="All that is known of one prompt.")] = "",
    domain: Annotated[str, typer.Option(help="Only those of one domain.")] = "",
    round_: Round = None,
    concepts: Annotated[bool, typer.Option("--concepts", help="What became of each concept instead.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="Most rows; 0 for all.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Show what became of a run's prompts: which were lost where, and why."""
    from selfplay.run.directory import read_settings
    from selfplay.run.files import RunError
    from selfplay.watching.prompts import find, whole_story

    recipe = read_settings(run)
    if domain and domain not in recipe["domains"]:
        raise RunError(f"--domain {domain}: the run's domains are {', '.join(recipe['domains'])}")
    if identifier:
        typer.echo(_json(whole_story(run, identifier), None if as_json else 1))
        return
    rows = _concepts(run, recipe, domain, round_) if concepts else find(run, dropped, reason, domain, round_)
    found = False
    for row in islice(rows, limit or None):
        found = True
        _show(row, as_json)
    if not found:
        typer.echo(f"{run}: has nothing of the kind; `selfplay report {run}` has the funnel", err=True)


@export_app.command("prompts")
def export(
    run: RunFolder,
    to: Annotated[str, typer.Option(metavar="DIR|hub:USER/NAME", help="A new folder, or a data set on the hub.")],
    layout: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="prompts, generator, sft, pairs (these by default), grpo, verl, openrlhf, openrlhf_pairs, dropped; "
            "may be repeated.",
        ),
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="parquet or jsonl.")] = "parquet",
    round_: Round = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="sft, pairs and grpo as lists of messages, for chat models.")
    ] = False,
    public: Annotated[bool, typer.Option("--public", help="A new data set on the hub is seen by everybody.")] = False,
    license_: Annotated[str, typer.Option("--license", help="For the card, as the hub names it.")] = "",
) -> None:
    """Write a run's prompts in the field's layouts, with a card; loads with `datasets`, trains with TRL."""
    from selfplay.export.export import export_prompts
    from selfplay.export.layouts import DEFAULT_LAYOUTS, LAYOUTS

    wanted = layout or list(DEFAULT_LAYOUTS)
    unknown = [name for name in wanted if name not in LAYOUTS]
    if unknown:
        raise UserError(f"--layout {unknown[0]}: is none; the layouts are {', '.join(LAYOUTS)}")
    if format_ not in ("parquet", "jsonl"):
        raise UserError(f"--format {format_}: is none; it is parquet or jsonl")
    layouts = [name for name in LAYOUTS if name in wanted]
    with errors_told(to):
        where, counts = export_prompts(
            run,
            to,
            layouts,
            "parquet" if format_ == "parquet" else "jsonl",
            chat,
            not public,
            license_,
            round_,
            demanded=layout is not None,
        )
    for name, count in counts.items():
        typer.echo(f"{name:14} {count:>9,}")
    typer.echo(where)


@export_app.command("evaluation")
def export_evaluation(
    evaluation: Annotated[Path, typer.Argument(metavar="EVALUATION", help="A folder of `selfplay evaluate`.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="A folder that is new or empty.")],
) -> None:
    """Write an evaluation as lm-evaluation-harness writes its results and samples."""
    from selfplay.export.lm_eval import export_lm_eval

    with errors_told(to):
        for file in export_lm_eval(evaluation, to):
            typer.echo(file)


@export_app.command("wandb")
def export_wandb(
    evaluation: Annotated[Path, typer.Argument(metavar="EVALUATION", help="A folder of `selfplay evaluate`.")],
    project: Annotated[str, typer.Option(help="Project of W&B.")] = "selfplay",
    entity: Annotated[str | None, typer.Option(help="User or team; default that of the key.")] = None,
    mode: Annotated[
        Literal["offline", "online"], typer.Option(help="offline writes EVALUATION/wandb, for `wandb sync`.")
    ] = "offline",
) -> None:
    """Write an evaluation as runs of W&B: figures, and a table of problems for each suite."""
    from selfplay.export.wandb_evaluation import export_to_wandb

    with errors_told(evaluation):
        for name in export_to_wandb(evaluation, project, entity, mode):
            typer.echo(f"{name}: {mode}, project {project}")


def _concepts(run: Path, recipe: dict[str, Any], domain: str, number: int | None) -> Any:
    from selfplay.concepts.coverage import concept_uses

    for name in [domain] if domain else recipe["domains"]:
        for use in sorted(concept_uses(run, name, number), key=lambda use: (-use.used, use.concept)):
            yield {"domain": name, "concept": use.concept} | {
                key: getattr(use, key) for key in ("used", "parsed", "kept", "labelled")
            }


def _show(row: Any, as_json: bool) -> None:
    from dataclasses import asdict

    values: dict[str, Any] = row if isinstance(row, dict) else asdict(row)
    if as_json:
        typer.echo(_json(values))
    elif "concept" in values:
        counts = "  ".join(
            f"{key} {values[key]}" for key in ("used", "parsed", "kept", "labelled") if values[key] is not None
        )
        typer.echo(f"{values['domain']:12} {counts:50} {_printable(values['concept'])}")
    else:
        text = _printable(values["problem"])
        state = f"lost in {values['stage']}: {_printable(values['dropped'])}" if values["dropped"] else "kept"
        typer.echo(f"{values['id']}  {values['domain']:8} round {values['round']:<2} {state}")
        typer.echo(f"    {text[:SHOWN]}{'…' if len(text) > SHOWN else ''}")


def _json(value: dict[str, Any], indent: int | None = None) -> str:
    """JSON in its own letters, but for characters that could drive a terminal: those stay escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def _printable(text: str) -> str:
    """One line without control characters, which could drive a terminal."""
    return "".join(character if character.isprintable() else " " for character in text).strip()
