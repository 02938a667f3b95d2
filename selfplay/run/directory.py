"""The run directory: everything a run makes, and only there. A kill at any instant loses at most the work in flight."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

import selfplay
from selfplay.config import load as recipe_file
from selfplay.config.recipe import Recipe
from selfplay.run.files import RunError, locked, open_lock, read_json, remove_folder, write_json
from selfplay.run.import_path import note_import_path
from selfplay.run.place import inside, refuse_ways_out
from selfplay.run.plan import PlannedStage, write_plan
from selfplay.run.results import Result, StageResult, read_result
from selfplay.run.shapes import Manifest, RunSettings, fault_of, read_as
from selfplay.run.tables import Record, read_batches, read_rows, read_table, read_values, write_table

LOCK_TRIES = 5


class Stage:
    """One stage's folder and its manifest."""

    def __init__(self, run: RunDirectory, name: str) -> None:
        self.run = run
        self.name = name
        self.folder = inside(run.path, "stages", name)
        self.manifest_file = self.folder / "manifest.json"

    @property
    def done(self) -> bool:
        """Whether the stage ended, as its manifest says."""
        return self.manifest_file.exists()

    @property
    def manifest(self) -> dict[str, Any]:
        """Counts, seconds and versions of a stage that is done. Raises RunError where it is damaged."""
        return read_as(self.manifest_file, Manifest)

    def write(self, table: str, record: type[Record], rows: Iterable[Record]) -> int:
        """Writes one of the stage's tables, and says how many rows it has."""
        return write_table(inside(self.folder, f"{table}.parquet"), record, rows)

    def read(self, table: str, record: type[Record]) -> list[Record]:
        """Reads one of the stage's tables."""
        return read_table(self.folder / f"{table}.parquet", record)

    def batches(self, table: str, record: type[Record], only_kept: bool = False) -> Iterator[list[Record]]:
        """Reads one of the stage's tables in pieces, less rows that were dropped."""
        return read_batches(self.folder / f"{table}.parquet", record, only_kept)

    def stream(
        self, table: str, record: type[Record], only_kept: bool = False, leave_out: Collection[str] = ()
    ) -> Iterator[Record]:
        """Reads one of the stage's tables row by row, less rows that were dropped, or less some fields."""
        return read_rows(self.folder / f"{table}.parquet", record, only_kept, leave_out)

    def columns(self, table: str, record: type[Any], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The values of some fields of one of the stage's tables, row by row."""
        return read_values(self.folder / f"{table}.parquet", record, names)

    def result(self, kind: type[Result]) -> Result:
        """The figures that the stage left.

        Raises:
            RunError: they are damaged, or another version's.
        """
        return read_result(self.manifest_file, kind)

    def finish(
        self,
        seconds: float,
        key: str,
        contents: str,
        result: StageResult,
        models: Mapping[str, str] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """Declares the stage done.

        Args:
            seconds: that it took.
            key: see `selfplay.stage.spec.stage_key`.
            contents: a hash of what it read outside the run.
            models: fingerprints of the models that its settings name, by field.
            versions: of the libraries that decided what it computed.
        """
        write_json(
            self.manifest_file,
            {
                "stage": self.name,
                "seconds": round(seconds, 3),
                "inputs": key,
                "contents": contents,
                "code_version": selfplay.__version__,
                "models": dict(models or {}),
                "versions": dict(versions or {}),
                "counts": result.counts(),
            },
        )


class RunDirectory:
    """A run on disk. Open it with `RunDirectory.open`, which also takes the lock."""

    def __init__(self, path: Path, recipe: Recipe, reuse: Path | None = None) -> None:
        self.path = path
        self.recipe = recipe
        self._reuse = reuse

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path, recipe: Recipe, reuse: Path | None = None) -> Iterator[RunDirectory]:
        """Creates the directory, or continues it.

        Args:
            reuse: another run, whose stages are taken over where their settings and inputs are the same.

        Raises:
            RunError: another process is running it, it cannot be written, or a link in it leads elsewhere.
        """
        with _umask(0o077 if recipe.compute.private else None):
            try:
                path.mkdir(parents=True, exist_ok=True)
                if recipe.compute.private:
                    path.chmod(0o700)
            except OSError as error:
                raise RunError(
                    f"{path}: cannot be written ({error.strerror}); choose another with --run-dir"
                ) from error
            refuse_ways_out(path)
            with open_lock(path, os.O_RDWR | os.O_CREAT) as lock:
                if not _locked(lock):
                    raise RunError(f"{path}: another process is running it; wait for it, or choose another --run-dir")
                yield cls(path, recipe, reuse)

    def claim(self, plan: Sequence[PlannedStage]) -> None:
        """Makes the directory this recipe's, with this plan."""
        write_plan(self.path, plan)
        note_import_path(self.path)
        write_json(self.path / "recipe.json", self.recipe.model_dump(mode="json"))

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe's settings that change results, as plain JSON."""
        return recipe_file.deciding(self.recipe.model_dump(mode="json"))

    def changed_settings(self) -> list[str]:
        """The settings that differ from those that the directory was last run with, a line each; none for a new one.

        Raises:
            RunError: other code wrote its recipe.
        """
        if not (self.path / "recipe.json").exists():
            return []
        before = recipe_file.deciding(read_recipe(self.path).model_dump(mode="json"))
        return recipe_file.differences(before, self.settings)

    @property
    def metrics_file(self) -> Path:
        """The local truth of all metrics, as JSON lines."""
        return self.path / "metrics.jsonl"

    @property
    def store_folder(self) -> Path:
        """The content-keyed store of generations, scores and verdicts."""
        return self.path / "store"

    def stage(self, name: str) -> Stage:
        """The stage of that name, done or not."""
        return Stage(self, name)

    def take_over(self, stage: Stage, key: str) -> bool:
        """Takes a stage over from the run that was named for reuse, if that has one of the same key."""
        if self._reuse is None:
            return False
        theirs = self._reuse / "stages" / stage.name
        manifest = theirs / "manifest.json"
        if not manifest.exists() or read_as(manifest, Manifest).get("inputs") != key:
            return False
        partial = stage.folder.with_name(f".{stage.name}.partial")
        refuse_ways_out(theirs)
        remove_folder(partial)
        remove_folder(stage.folder)
        shutil.copytree(theirs, partial)
        partial.replace(stage.folder)
        return True


@contextlib.contextmanager
def _umask(mask: int | None) -> Iterator[None]:
    """Takes bits off the modes of all files made meanwhile, by this process and those that it starts."""
    before = None if mask is None else os.umask(mask)
    try:
        yield
    finally:
        if before is not None:
            os.umask(before)


def _locked(lock: BinaryIO) -> bool:
    """Takes the lock; tries for a moment, since `selfplay status` holds it for an instant to look."""
    for _ in range(LOCK_TRIES):
        if locked(lock):
            return True
        time.sleep(0.05)
    return False


def read_run(path: Path) -> dict[str, Any]:
    """The resolved recipe of an existing run, without taking its lock.

    Raises:
        RunError: the folder holds no run, or one that is still being checked.
    """
    file = path / "recipe.json"
    if not file.exists() and (path / "lock").exists():
        raise RunError(
            f"{path}: has not begun yet; it is still being checked, or was refused: see what `selfplay run` says"
        )
    if not file.exists():
        raise RunError(
            f"{path}: is not a run directory (it has no recipe.json); give the folder that `selfplay run` made"
        )
    return read_json(file)


def read_settings(path: Path) -> dict[str, Any]:
    """The resolved recipe of an existing run, whichever version of this code wrote it: its name, model, domains and
    trackers are there.

    Raises:
        RunError: as for `read_run`, or one of them is missing.
    """
    content = read_run(path)
    if fault := fault_of(content, RunSettings):
        raise RunError(f"{path / 'recipe.json'}: is damaged ({fault}); {RunSettings.remedy}")
    return content


def read_recipe(path: Path) -> Recipe:
    """The recipe of an existing run, as this code understands it; does not take the run's lock.

    Raises:
        RunError: as for `read_run`, or other code wrote it.
    """
    content = read_run(path)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RunError(
            f"{path / 'recipe.json'}: another version of this code wrote it ({field}: {first['msg']}); use that "
            "version, or start a new run directory"
        ) from error
