"""The door for Python: read a recipe, check it, run it, and look at what came of it (docs/reference/python.md).

Importing it loads no heavy library; those come with the first call that needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfplay.config import load
from selfplay.config.recipe import Recipe

if TYPE_CHECKING:
    import pyarrow as pa

    from selfplay.preflight.recipe import Finding

RecipeLike = str | Path | Recipe | Mapping[str, Any]
"""A recipe's file, a recipe that was read already, or its settings as a dictionary."""
Overrides = Sequence[str] | Mapping[str, Any]
"""Settings that replace those of the recipe: `["seed=1"]`, or `{"seed": 1, "training.rounds": 3}`."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run directory, and what is in it so far."""

    path: Path
    """The run directory."""
    recipe: Recipe
    summary: dict[str, Any] | None
    """The closing figures, as in `summary.json`; None for a run that was to stop before its end."""

    @property
    def policy(self) -> Path | str | None:
        """The best policy: a folder, or, where no round was better than a named base, its name; None before the end."""
        if self.summary is None:
            return None
        place = str(self.summary["best"]["place"])
        return Path(place) if Path(place).is_dir() else place

    @property
    def report(self) -> Path:
        """The report, a page that needs no network."""
        return self.path / "report.html"

    @property
    def tables(self) -> dict[str, list[str]]:
        """The names of the tables of each stage that has any, in the order of the stages."""
        from selfplay.run.plan import read_plan

        folders = {name: self.path / "stages" / name for name in read_plan(self.path).names}
        found = {name: sorted(file.stem for file in folder.glob("*.parquet")) for name, folder in folders.items()}
        return {name: tables for name, tables in found.items() if tables}

    def table(self, stage: str, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One table, as Arrow; `.to_pandas()` makes a data frame of it.

        Args:
            stage: such as `selfplay_1`.
            table: such as `rollouts`.
            columns: only these; None for all.

        Raises:
            RunError: there is no such table; the message names those that there are.
            RecordError: it is damaged, or has no such column.
        """
        from selfplay.run.files import RunError
        from selfplay.run.tables import read_arrow

        file = self.path / "stages" / stage / f"{table}.parquet"
        if not file.exists():
            known = ", ".join(f"{name}/{one}" for name, tables in self.tables.items() for one in tables)
            raise RunError(f"{self.path}: has no table {stage}/{table}; it has {known or 'none yet'}")
        return read_arrow(file, columns)


def load_recipe(recipe: RecipeLike, overrides: Overrides = ()) -> Recipe:
    """Reads a recipe, with overrides.

    Args:
        recipe: see `RecipeLike`; paths in a file are relative to it, paths in a dictionary to the working directory.
        overrides: see `Overrides`.

    Raises:
        RecipeError: with file, line, field, what was expected and the nearest valid name.
    """
    wanted = _as_texts(overrides)
    if isinstance(recipe, Recipe) and not wanted:
        return recipe
    if isinstance(recipe, str | Path):
        return load.load_recipe(recipe, wanted)
    settings = recipe.model_dump() if isinstance(recipe, Recipe) else dict(recipe)
    return load.recipe_of(settings, wanted)


def check(recipe: RecipeLike, overrides: Overrides = (), tell: Callable[[str], None] | None = None) -> list[Finding]:
    """Checks everything about a recipe that can be found out before anything expensive; loads no weights.

    Args:
        recipe: see `RecipeLike`.
        overrides: see `Overrides`.
        tell: hears what is about to be checked, since that may take a minute.

    Returns:
        A finding for each thing that was tried, all of them good.

    Raises:
        UserError: what is wrong, in one sentence with its remedy.
    """
    say = tell or _quiet
    say("checking: verifiers judge known answers, files are read")
    from selfplay.pipeline.crew import check_cluster, gpu_count
    from selfplay.pipeline.own import check_hooks
    from selfplay.preflight import recipe as preflight
    from selfplay.preflight.fit import fits_here
    from selfplay.preflight.prompts import check_prompts
    from selfplay.preflight.rewards import check_rewards
    from selfplay.preflight.vllm import check_rollouts, check_served, ranks_of
    from selfplay.tracking.sinks import check_trackers

    own = load_recipe(recipe, overrides)
    check_trackers(own.tracking)
    preflight.check_argument_names(own)
    # What needs no library of models comes first, since these take seconds to load.
    there = check_cluster(own.compute, own.engine.ranks)
    findings = there + check_hooks(own) + check_rewards(own) + preflight.check_suites(own) + preflight.check_pool(own)
    say("checking models and trainer arguments, for which torch and TRL are loaded (up to a minute)")
    check_served(own)
    findings = preflight.check_models(own) + findings
    # The number of GPUs may be another one than the recipe asks for, which `run` tells of.
    gpus = gpu_count()
    count = own.compute.workers or max(gpus // own.engine.ranks, 1)
    device = "cpu" if not gpus or own.compute.device == "cpu" else "cuda"
    ranks = ranks_of(own, device, count) if own.compute.workers else 1
    if own.compute.workers or gpus:
        preflight.check_sharding(own, count)
    preflight.check_trainer_arguments(own, ranks)
    check_rollouts(own, ranks)
    # On a cluster, which may be unlike this machine, workers look for themselves when the run begins.
    if own.compute.executor == "local" or own.compute.ray.address is None:
        findings += fits_here(own, gpus, count, Path("runs") / own.name)
    findings += preflight.check_endpoints(preflight.annotators(own)) + preflight.check_sandbox(own)
    findings += preflight.check_endpoints(preflight.teachers(own))
    if own.synthesises:
        findings += check_prompts(own, offline=True) + preflight.check_endpoints(preflight.prompt_engines(own))
    return findings


def run(
    recipe: RecipeLike,
    overrides: Overrides = (),
    run_dir: str | Path | None = None,
    reuse: str | Path | None = None,
    until: str | None = None,
) -> RunResult:
    """Runs a recipe to its end, or goes on with its run; an interrupt leaves it so that the same call goes on.

    Args:
        recipe: see `RecipeLike`.
        overrides: see `Overrides`.
        run_dir: the run directory; None for `runs/<name>`.
        reuse: another run, whose stages are taken over where settings and inputs agree.
        until: the stage after which to stop; None for none.

    Raises:
        UserError: what is wrong, or what stopped the run, in one sentence with its remedy.
        KeyboardInterrupt: it was interrupted; finished work is kept.
    """
    from selfplay.pipeline.launch import launch

    own = load_recipe(recipe, overrides)
    folder = Path("runs") / own.name if run_dir is None else Path(run_dir)
    summary = launch(own, folder, None if reuse is None else Path(reuse), until)
    return RunResult(folder, own, summary)


def open_run(run_dir: str | Path) -> RunResult:
    """A run that is there already, finished or not, to look at; it is not touched.

    Raises:
        RunError: the folder is no run, or one of another version of this code.
    """
    from selfplay.run.directory import read_recipe
    from selfplay.run.shapes import Summary, read_as

    folder = Path(run_dir)
    file = folder / "summary.json"
    return RunResult(folder, read_recipe(folder), read_as(file, Summary) if file.exists() else None)


def _quiet(text: str) -> None:
    """Nobody wants to know."""


def _as_texts(overrides: Overrides) -> list[str]:
    import json

    if isinstance(overrides, Mapping):
        # JSON is YAML, in which the values of overrides are read.
        return [f"{name}={json.dumps(value)}" for name, value in overrides.items()]
    return list(overrides)
