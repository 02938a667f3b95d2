"""The run directory: everything a run makes, and only there. A kill at any instant loses at most the work in flight."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

import selfplay
from selfplay.config import load as recipe_file
from selfplay.config.recipe import Recipe
from selfplay.run.files import RunError, read_json, remove_folder, write_json
from selfplay.run.tables import Record, read_batches, read_columns, read_table, write_table

LOCK_TRIES = 5


class Stage:
    """One stage's folder and its manifest."""

    def __init__(self, run: RunDirectory, name: str) -> None:
        self.run = run
        self.name = name
        self.folder = run.path / "stages" / name
        self.manifest_file = self.folder / "manifest.json"

    @property
    def done(self) -> bool:
        """Whether the stage ended, as its manifest says."""
        return self.manifest_file.exists()

    @property
    def manifest(self) -> dict[str, Any]:
        """Counts, seconds and versions of a stage that is done."""
        return read_json(self.manifest_file)

    def write(self, table: str, record: type[Record], rows: Iterable[Record]) -> int:
        """Writes one of the stage's tables, and says how many rows it has."""
        return write_table(self.folder / f"{table}.parquet", record, rows)

    def read(self, table: str, record: type[Record]) -> list[Record]:
        """Reads one of the stage's tables."""
        return read_table(self.folder / f"{table}.parquet", record)

    def batches(
        self, table: str, record: type[Record], only_kept: bool = False, leave_out: Collection[str] = ()
    ) -> Iterator[list[Record]]:
        """Reads one of the stage's tables in pieces, less rows that were dropped, or less some fields."""
        return read_batches(self.folder / f"{table}.parquet", record, only_kept, leave_out)

    def columns(self, table: str, record: type[Any], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The values of some fields of one of the stage's tables, row by row."""
        for batch in read_columns(self.folder / f"{table}.parquet", record, names):
            yield from zip(*(batch[name].to_pylist() for name in names), strict=True)

    def finish(self, seconds: float, inputs: str, counts: dict[str, Any]) -> None:
        """Declares the stage done."""
        write_json(
            self.manifest_file,
            {
                "stage": self.name,
                "seconds": round(seconds, 3),
                "inputs": inputs,
                "recipe_hash": self.run.recipe_hash,
                "code_version": selfplay.__version__,
                "counts": counts,
            },
        )


class RunDirectory:
    """A run on disk. Open it with `RunDirectory.open`, which also takes the lock."""

    def __init__(self, path: Path, recipe: Recipe, reuse: Path | None = None) -> None:
        self.path = path
        self.recipe = recipe
        self.recipe_hash = recipe_file.recipe_hash(recipe)
        self._reuse = reuse
        self._last_inputs = ""

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path, recipe: Recipe, reuse: Path | None = None) -> Iterator[RunDirectory]:
        """Creates the directory, or continues it.

        Args:
            path: the directory.
            recipe: what the run does.
            reuse: another run, whose stages are taken over where their settings and inputs are the same.

        Raises:
            RunError: it belongs to another recipe, another process is running it, or it cannot be written.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = (path / "lock").open("a+")
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({error.strerror}); choose another with --run-dir") from error
        with lock:
            if not _locked(lock):
                raise RunError(f"{path}: another process is running it; wait for it, or choose another --run-dir")
            run = cls(path, recipe, reuse)
            run.refuse_other_settings()
            yield run

    def claim(self) -> None:
        """Makes the directory this recipe's."""
        write_json(self.path / "recipe.json", self.recipe.model_dump(mode="json"))

    def refuse_other_settings(self) -> None:
        """Compares the recipe with the one that the directory was started with, if it was.

        Raises:
            RunError: they differ in what changes results; lists the differences.
        """
        file = self.path / "recipe.json"
        if not file.exists():
            return
        old, new = read_json(file), self.recipe.model_dump(mode="json")
        changed = recipe_file.differences(recipe_file.deciding(old), recipe_file.deciding(new))
        if changed:
            raise RunError(
                f"{self.path}: was started with other settings; use another --run-dir, or undo these changes:\n  "
                + "\n  ".join(changed)
            )

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

    def do(
        self, name: str, sections: Sequence[str], work: Callable[[Stage], dict[str, Any]], contents: str = ""
    ) -> Stage:
        """Runs a stage unless it is done.

        Args:
            name: the stage's name.
            sections: the parts of the recipe (`em`, `em.sampling`) that the stage depends on, besides the stages
                before it.
            work: fills the stage's folder and returns its counts.
            contents: a hash of files outside the run that the stage reads.
        """
        stage = self.stage(name)
        inputs = self._inputs(name, sections, contents)
        if not stage.done and not self._take_over(stage, inputs):
            stage.folder.mkdir(parents=True, exist_ok=True)
            started = time.monotonic()
            counts = work(stage)
            stage.finish(time.monotonic() - started, inputs, counts)
        self._last_inputs = inputs
        return stage

    def _inputs(self, name: str, sections: Sequence[str], contents: str) -> str:
        whole = recipe_file.deciding(self.recipe.model_dump(mode="json"))
        settings = {
            section: functools.reduce(lambda part, key: part[key], section.split("."), whole) for section in sections
        }
        known = [self._last_inputs, name, whole["seed"], settings, contents, selfplay.__version__]
        text = json.dumps(known, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _take_over(self, stage: Stage, inputs: str) -> bool:
        if self._reuse is None:
            return False
        theirs = self._reuse / "stages" / stage.name
        manifest = theirs / "manifest.json"
        if not manifest.exists() or read_json(manifest).get("inputs") != inputs:
            return False
        partial = stage.folder.with_name(f".{stage.name}.partial")
        remove_folder(partial)
        remove_folder(stage.folder)
        shutil.copytree(theirs, partial)
        partial.replace(stage.folder)
        return True


def _locked(lock: IO[str]) -> bool:
    """Takes the lock; tries for a moment, since `selfplay status` holds it for an instant to look."""
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
            continue
        return True
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
