"""The command line. Verbs only: each hands over to the module that does the work."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from selfplay.prompt_commands import export_app, prompts
from selfplay.rollout_commands import rollouts
from selfplay.track_commands import track_app
from selfplay.verifier_commands import verifiers_app

app = typer.Typer(
    help="A language model makes its own problems, solves them, checks the answers by machine, and learns.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
sandbox_app = typer.Typer(help="Run untrusted programs in isolation by the kernel.", no_args_is_help=True)
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(verifiers_app, name="verifiers")
app.add_typer(export_app, name="export")
app.add_typer(track_app, name="track")
app.command()(prompts)
app.command()(rollouts)

UNUSABLE, FAILED, SPENT = 2, 1, 3


class Dtype(StrEnum):
    """Number formats of weights."""

    bfloat16 = "bfloat16"
    float32 = "float32"
    float16 = "float16"


RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe, such as configs/quickstart.yaml.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[a.b.c=value]...", help="Settings that replace those of the recipe.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]


def main() -> None:
    """The `selfplay` command."""
    from selfplay.installation import clash

    fault = clash()
    if fault:
        _refuse(fault)
    # Verifiers named `module:Name` may lie where the user works; last, so that they hide nothing.
    sys.path.append(str(Path.cwd()))
    app()


RunDir = Annotated[Path | None, typer.Option("--run-dir", help="Where the run lives; default runs/<name>.")]
Reuse = Annotated[
    Path | None,
    typer.Option("--reuse", help="Another run, whose stages are taken over where settings and inputs agree."),
]


@app.command()
def run(
    recipe: RecipeFile,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    reuse: Reuse = None,
    until: Annotated[
        str | None, typer.Option(help="Stop after this stage; the same command without it goes on.")
    ] = None,
) -> None:
    """Run a recipe, or continue its run."""
    loaded = _load(recipe, overrides)
    from selfplay.plan import planned_stages

    folder = run_dir or Path("runs") / loaded.name
    summary = _launch(loaded, folder, reuse, until, planned_stages(loaded))
    if summary is None:
        typer.echo(f"{until} is done; the same command without --until continues {folder}.")
    else:
        _print(_closing(summary))


@app.command()
def synthesize(
    recipe: RecipeFile,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    reuse: Reuse = None,
    until: Annotated[
        str | None, typer.Option(help="Stop after this stage, such as annotation or cold_start; default the last.")
    ] = None,
) -> None:
    """Run a recipe as far as its prompts: the stages of `run` that come before self-play."""
    loaded = _load(recipe, overrides)
    from selfplay.plan import synthesis_stages

    stages = synthesis_stages(loaded)
    folder, last = run_dir or Path("runs") / loaded.name, until or stages[-1]
    _launch(loaded, folder, reuse, last, stages)
    annotated = folder / "stages" / "annotation"
    if (annotated / "manifest.json").exists():
        from selfplay.annotation_view import annotation_view
        from selfplay.run import read_json

        _print(annotation_view(read_json(annotated / "manifest.json")["counts"], str(annotated)))
    typer.echo(f"{last} is done; `selfplay run` with the same recipe and settings continues {folder}.")


def _launch(recipe: Any, folder: Path, reuse: Path | None, until: str | None, stages: list[str]) -> Any:
    if until is not None and until not in stages:
        _refuse(f"--until {until}: is not a stage; the stages are {', '.join(stages)}")
    if reuse is not None and not (reuse / "recipe.json").exists():
        _refuse(f"--reuse {reuse}: is not a run directory")
    from selfplay.audience import AlarmStop
    from selfplay.concepts.sampler import NoCombination
    from selfplay.devices import NoDevice
    from selfplay.engines.api_budget import BudgetSpent
    from selfplay.engines.api_client import EndpointError, EndpointRefused
    from selfplay.export.hub import HubError
    from selfplay.launch import launch
    from selfplay.preflight import PreflightError
    from selfplay.records import RecordError
    from selfplay.run import RunError
    from selfplay.seed_rows import SeedError
    from selfplay.stopping import INTERRUPTED, TERMINATED, Terminated, stop_on_sigterm
    from selfplay.synthesis.annotation import AnnotationStopped, BudgetReached
    from selfplay.system_errors import SYSTEM, sentence
    from selfplay.tracking.sinks import TrackerMissing
    from selfplay.trainers.arguments import ArgumentsError
    from selfplay.trainers.sft import NothingToLearn
    from selfplay.workers import WorkerError
    from verifiers.registry import UnknownVerifier

    stop_on_sigterm()
    try:
        return launch(recipe, folder, reuse, until)
    except KeyboardInterrupt as stop:
        typer.echo(f"\nStopped. Finished work is kept; the same command continues {folder}.", err=True)
        raise typer.Exit(TERMINATED if isinstance(stop, Terminated) else INTERRUPTED) from None
    except (
        RunError,
        SeedError,
        ArgumentsError,
        PreflightError,
        NoDevice,
        UnknownVerifier,
        EndpointRefused,
        TrackerMissing,
    ) as error:
        _refuse(str(error))
    except HubError as error:
        typer.echo(f"The run has ended, and its report is in {folder}; but {error}", err=True)
        raise typer.Exit(FAILED) from error
    except AlarmStop as error:
        typer.echo(f"Stopped by an alarm. {error} Finished work is kept in {folder}.", err=True)
        raise typer.Exit(FAILED) from error
    except AnnotationStopped as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(SPENT if isinstance(error, BudgetReached) else FAILED) from error
    except (WorkerError, NothingToLearn, NoCombination, RecordError, EndpointError, BudgetSpent, *SYSTEM) as error:
        typer.echo(
            f"{sentence(error, folder)}\nFinished work is kept in {folder}; what libraries said is in its workers.log.",
            err=True,
        )
        raise typer.Exit(FAILED) from error


@app.command("em-ablation")
def em_ablation(
    recipe: RecipeFile,
    overrides: Overrides = None,
    seeds: Annotated[str, typer.Option(help="Seeds, as in 0,1,2.")] = "0,1,2",
    out: Annotated[Path | None, typer.Option(help="Where the runs go; default runs/<name>-em-ablation.")] = None,
    rewards: Annotated[
        bool, typer.Option("--rewards", help="Compare the alternatives to the summed reward, down to labelled prompts.")
    ] = False,
    arm: Annotated[
        list[str] | None, typer.Option(metavar="NAME:a.b=value,...", help="One more arm; may be repeated.")
    ] = None,
) -> None:
    """Compare EM with a frozen E-step and with the cold start alone, with and without rationales, over seeds."""
    from selfplay.em_ablation import CONVERGENCE, REWARDS, ArmError, arm_of, run_arms, seeds_of
    from selfplay.em_ablation_figures import closing_view, figures
    from selfplay.em_ablation_plot import PlotsMissing, demand_plots, draw_curves, draw_ends
    from selfplay.plan import planned_stages
    from selfplay.recipe_file import RecipeError
    from selfplay.run import write_json

    loaded = _load(recipe, overrides)
    kind = "em-rewards" if rewards else "em-ablation"
    folder = out or Path("runs") / f"{loaded.name}-{kind}"
    try:
        demand_plots()
        arms, of_seeds = [*(REWARDS if rewards else CONVERGENCE), *map(arm_of, arm or [])], seeds_of(seeds)
        run_arms(
            recipe,
            overrides or [],
            arms,
            of_seeds,
            folder,
            rewards,
            lambda own, where, reuse, until: _launch(own, where, reuse, until, planned_stages(own)),
            lambda text: typer.echo(text, err=True),
        )
    except (ArmError, PlotsMissing, RecipeError) as error:
        _refuse(str(error))
    found = figures(folder, arms, of_seeds, rewards)
    write_json(folder / f"{kind}.json", found)
    (draw_ends if rewards else draw_curves)(found, folder / f"{kind}.svg", loaded.name)
    _print(closing_view(found))
    typer.echo(f"{folder / kind}.json has all figures, {folder / kind}.svg shows them.")


@app.command()
def check(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Validate a recipe, show its plan, and try its rewards on known answers; loads no weights."""
    loaded = _load(recipe, overrides)
    from selfplay.devices import NoDevice
    from selfplay.plan import synthesises
    from selfplay.plan_view import plan_view
    from selfplay.preflight import (
        PreflightError,
        check_endpoints,
        check_engine,
        check_models,
        check_pool,
        check_rewards,
        check_sandbox,
        check_teacher,
        check_trainer_arguments,
    )
    from selfplay.prompt_checks import check_prompt_endpoints, check_prompts
    from selfplay.run import RunError
    from selfplay.seed_rows import SeedError
    from selfplay.tracking.sinks import TrackerMissing, check_trackers
    from selfplay.trainers.arguments import ArgumentsError
    from verifiers.registry import UnknownVerifier

    _print(plan_view(loaded))
    try:
        check_trackers(loaded.tracking)
        check_trainer_arguments(loaded, loaded.compute.workers or 1)
        check_engine(loaded)
        findings = check_models(loaded) + check_rewards(loaded) + check_endpoints(loaded) + check_sandbox(loaded)
        findings += check_pool(loaded) + check_teacher(loaded)
        if synthesises(loaded):
            findings += check_prompts(loaded, offline=True) + check_prompt_endpoints(loaded)
    except (RunError, SeedError, ArgumentsError, PreflightError, NoDevice, UnknownVerifier, TrackerMissing) as error:
        _refuse(str(error))
    for finding in findings:
        typer.echo(f"ok  {finding.name}: {finding.detail}")


@app.command("import-gguf")
def import_gguf(
    file: Annotated[Path, typer.Argument(metavar="FILE.gguf", help="Weights in the format of llama.cpp.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, for `model.name` in a recipe.")],
    dtype: Annotated[Dtype, typer.Option(help="Number format of the weights.")] = Dtype.bfloat16,
) -> None:
    """Turn a GGUF file into a model folder with safetensors, which can be trained."""
    from selfplay.engines.gguf_import import GgufError
    from selfplay.engines.gguf_import import import_gguf as write_folder

    try:
        typer.echo(str(write_folder(file, folder, dtype.value)))
    except GgufError as error:
        _refuse(str(error))


@app.command()
def status(
    run: RunFolder,
    once: Annotated[bool, typer.Option("--once", help="Show it once, also on a terminal.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it once, as JSON.")] = False,
) -> None:
    """Show how far a run is, live while it goes on; safe from any other terminal."""
    from rich.console import Console

    from selfplay.config import Recipe
    from selfplay.plan import expected_stages
    from selfplay.run_status import run_status
    from selfplay.status_view import status_view, watch

    recipe = Recipe.model_validate(_read_run(run))

    def read() -> dict[str, Any]:
        return run_status(run, expected_stages(run, recipe))

    if as_json:
        typer.echo(json.dumps(read()))
    elif once or not sys.stdout.isatty():
        _print(status_view(read()))
    else:
        try:
            watch(Console(), read)
        except KeyboardInterrupt:
            raise typer.Exit from None


@app.command()
def report(run: RunFolder) -> None:
    """Write RUN/report.html from what the run has made so far."""
    _read_run(run)
    from selfplay.report.page import write_report

    typer.echo(str(write_report(run)))


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="Rows with a completion each.")],
    verifier: Annotated[str, typer.Option(help="A verifier's name, or module:Name.")],
    params: Annotated[str, typer.Option(help="The verifier's parameters, as a JSON object.")] = "{}",
) -> None:
    """Judge completions: one verdict a row as JSON lines, in input order."""
    from verifiers.jsonl import UnusableInput, verify_file
    from verifiers.registry import UnknownVerifier

    try:
        verify_file(verifier, file, sys.stdout, params=_json_object(params))
    except (UnusableInput, UnknownVerifier) as error:
        _refuse(str(error))


@app.command()
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
    import os

    from selfplay.serve_command import ServeError, missing_extra
    from selfplay.serve_command import serve as serve_until_stopped
    from verifiers.service_settings import UnusableService

    if fault := missing_extra():
        _refuse(fault)
    try:
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
    except (ServeError, UnusableService) as error:
        _refuse(str(error))


@sandbox_app.command("run")
def sandbox_run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A program.")],
    language: Annotated[str | None, typer.Option(help="python or cpp; default by the file's ending.")] = None,
    stdin: Annotated[Path | None, typer.Option(help="A file for standard input.")] = None,
    backend: Annotated[str, typer.Option(help="bubblewrap, landlock, or auto: this host's best.")] = "auto",
    waive: Annotated[list[str] | None, typer.Option(help="A limit that may go unenforced; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the execution as JSON.")] = False,
) -> None:
    """Run one program in the sandbox; exits 0 when the program ended well."""
    from sandbox.model import SandboxUnavailable
    from selfplay.sandbox_commands import SandboxInputError, run_file

    try:
        execution = run_file(file, language, stdin, backend, waive or [])
    except (SandboxInputError, SandboxUnavailable) as error:
        _refuse(str(error))
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
    from sandbox.model import SandboxUnavailable
    from selfplay.sandbox_commands import SandboxInputError, examine_backend

    try:
        about, rows = examine_backend(backend, url, token_env)
    except (SandboxInputError, SandboxUnavailable) as error:
        _refuse(str(error))
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        typer.echo(about)
        for row in rows:
            typer.echo(f"{'enforced' if row['enforced'] else 'NOT ENFORCED':13} {row['limit']:16} {row['detail']}")
    raise typer.Exit(0 if all(row["enforced"] for row in rows) else FAILED)


def _load(recipe: Path, overrides: list[str] | None) -> Any:
    from selfplay.recipe_file import RecipeError, load_recipe

    try:
        return load_recipe(recipe, overrides or [])
    except RecipeError as error:
        _refuse(str(error))


def _read_run(path: Path) -> dict[str, Any]:
    from selfplay.run import RunError, read_run

    try:
        return read_run(path)
    except RunError as error:
        _refuse(str(error))


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        _refuse(f"--params: is not JSON ({error})")
    if not isinstance(value, dict):
        _refuse('--params: must be a JSON object, such as {"require_box": true}')
    return value


def _closing(summary: dict[str, Any]) -> Any:
    from selfplay.terminal import closing_table

    return closing_table(summary)


def _print(renderable: Any) -> None:
    from rich.console import Console

    Console().print(renderable)


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise SystemExit(UNUSABLE)
