"""Code of people's own that a run calls: callbacks for stages and rounds, and stages of their own (`hooks`).

It is code that whoever runs a recipe names there, as with verifiers; nothing in data can name any. An exception in it
stops the run with one sentence, and costs no finished work.
"""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from selfplay.config.errors import RunStopped, UserError
from selfplay.config.tracking import Hooks
from verifiers.plugins.places import without_ending

CALLBACKS, STAGES = "selfplay.callbacks", "selfplay.stages"
"""Groups of entry points."""
Figures = Mapping[str, Any]


class HookMissing(UserError):
    """A hook that a recipe names cannot be had; the message says why."""


class HookFailed(RunStopped):
    """A hook raised, or gave what cannot be kept; the message names its file and line."""


@dataclass(frozen=True, slots=True)
class StageInfo:
    """A stage, as callbacks hear of it."""

    name: str
    kind: str
    number: int
    """The round of EM or of self-play; 0 where there is none."""
    folder: Path
    """Its tables and models; to be read, once it has ended."""


class Callbacks:
    """Hears of a run. Derive from it, and write the methods that you need."""

    def run_begins(self, folder: Path) -> None:
        """The run directory is open; nothing expensive has begun in this session."""

    def stage_begins(self, stage: StageInfo) -> None:
        """A stage that is not done begins, or goes on."""

    def stage_ends(self, stage: StageInfo, figures: Figures) -> None:
        """It is done, and kept; `figures` are those of its manifest."""

    def round_ends(self, number: int, figures: Figures) -> None:
        """Round `number` of self-play is measured (0: the base); `figures` are those of its evaluation."""

    def run_ends(self, summary: Figures) -> None:
        """All stages are done; `summary` is the closing table."""


@dataclass(frozen=True, slots=True)
class OwnWork:
    """The means of a stage of one's own."""

    folder: Path
    """Where it may write."""
    number: int
    """The round of the stage that it follows."""
    after: str
    """The name of that stage."""
    settings: Mapping[str, Any]
    """Those of the recipe."""
    seed: int
    """Of this stage, derived from the recipe's."""
    inputs: Mapping[str, Path]
    """The folders of the stages that it may read, by name: the one before it, and what that one read."""
    log: Callable[[Mapping[str, float]], None]
    """Logs metrics, as other stages do."""
    note: Callable[[str], None]
    """Tells a person something at once."""

    def table(self, stage: str, name: str, columns: list[str] | None = None) -> Any:
        """A table of an input as an Arrow table: all columns, or some."""
        from selfplay.run.tables import read_arrow

        return read_arrow(self.inputs[stage] / f"{name}.parquet", columns)

    def write(self, name: str, table: Any) -> None:
        """Keeps an Arrow table as `NAME.parquet`: whole, or not at all."""
        from selfplay.run.tables import write_arrow

        write_arrow(self.folder / f"{name}.parquet", table)


def load_callbacks(settings: Hooks) -> list[tuple[str, Callbacks]]:
    """The recipe's callbacks, made, each with the field that names it.

    Raises:
        HookMissing: one cannot be had, or has a method that nobody would call.
    """
    made = []
    for place, name in enumerate(settings.callbacks):
        field = f"hooks.callbacks.{place}"
        thing = _found(name, CALLBACKS, field)
        if not (isinstance(thing, type) and issubclass(thing, Callbacks)):
            raise HookMissing(f"{field}: {name} is no class derived from selfplay.pipeline.Callbacks")
        known = {method for method in vars(Callbacks) if not method.startswith("_")}
        unknown = sorted(
            method for method, value in vars(thing).items() if _is_hook(method, value) and method not in known
        )
        if unknown:
            raise HookMissing(
                f"{field}: nobody calls the method {unknown[0]} of {name}; there are {', '.join(sorted(known))}; give "
                "methods of your own names with an underscore"
            )
        try:
            with told(field, name, thing):
                made.append((field, thing()))
        except HookFailed as error:
            # No run has begun whose work could be kept.
            raise HookMissing(str(error)) from error
    return made


def load_stage(settings: Hooks, name: str) -> Callable[[OwnWork], Any]:
    """The function of a stage of one's own.

    Raises:
        HookMissing: it cannot be had.
    """
    field = f"hooks.stages.{name}.run"
    thing = _found(settings.stages[name].run, STAGES, field)
    if not callable(thing):
        raise HookMissing(f"{field}: {settings.stages[name].run} is no function")
    found: Callable[[OwnWork], Any] = thing
    return found


@contextmanager
def told(field: str, name: str, thing: Any) -> Iterator[None]:
    """Makes one sentence of whatever a hook raises.

    Raises:
        HookFailed: it raised.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename == _file_of(thing)] or list(frames)[1:] or list(frames)
        place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
        raise HookFailed(
            f"{field}: {name} raised {type(error).__name__}: {error}{place}; mend it, and the same command goes on"
        ) from error


def _is_hook(name: str, value: Any) -> bool:
    return not name.startswith("_") and inspect.isfunction(value)


def _file_of(thing: Any) -> str | None:
    try:
        return inspect.getsourcefile(thing)
    except TypeError:
        return None


def _found(name: str, group: str, field: str) -> Any:
    offered = {entry.name: entry.value for entry in sorted(entry_points(group=group), key=lambda entry: entry.value)}
    path = name if ":" in name else offered.get(name)
    if path is None:
        known = ", ".join(sorted(offered)) or "none"
        raise HookMissing(
            f"{field}: no entry point of {group} is called {name} (there are: {known}); or give module:Name"
        )
    module, _, attribute = path.partition(":")
    try:
        thing = importlib.import_module(module)
        for part in attribute.split("."):
            thing = getattr(thing, part)
    except (Exception, SystemExit) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise HookMissing(
            f"{field}: {name} could not be loaded ({said}); modules beside the recipe are found{without_ending(path)}"
        ) from error
    return thing
