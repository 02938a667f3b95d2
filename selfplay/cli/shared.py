"""Shared by the commands: arguments, how they tell errors, and how a run is stopped from outside."""

from __future__ import annotations

import difflib
import errno
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from selfplay.config.errors import BROKEN, RunStopped, UserError

if TYPE_CHECKING:
    from selfplay.config.recipe import Recipe

BELOW: dict[tuple[str, str], type[UserError]] = {
    ("sandbox.model", "SandboxUnavailable"): UserError,
    ("verifiers.jsonl", "UnusableInput"): UserError,
    ("verifiers.untrusted.files", "UnusableFile"): UserError,
    ("verifiers.registry", "UnknownVerifier"): UserError,
    ("verifiers.service.settings", "UnusableService"): UserError,
    ("verifiers.endpoint.client", "EndpointRefused"): UserError,
    ("verifiers.endpoint.client", "EndpointError"): RunStopped,
}
"""Errors for a person that come from below this package, by module and name."""

NO_ERRORS = (typer.BadParameter.__mro__[2], typer.Exit, typer.Abort, BrokenPipeError)
"""Ways of typer to end a command, all of whose complaints have one base, and a reader that has gone."""
ERROR_LOG = "error.log"

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes, as shells have them for SIGINT and SIGTERM."""

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe's file, or a shipped one's name.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[a.b.c=value]...", help="Settings that replace those of the recipe.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]


class Commands(TyperGroup):
    """The commands, each of which ends by one sentence, whatever goes wrong."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that was given."""
        with errors_told(last=True):
            try:
                return super().invoke(ctx)
            except typer.BadParameter as error:
                error.message = plainly(error.message)
                raise


def plainly(complaint: str) -> str:
    """A complaint of typer on an argument, without its prefix, and with the nearest of the values that there are."""
    sentence = complaint.removeprefix("Value error, ")
    given, _, known = sentence.partition(" is not one of ")
    near = difflib.get_close_matches(given.strip("'\""), known.split("'")[1::2], n=1)
    return f"{sentence.removesuffix('.')}; did you mean {near[0]}?" if near else sentence


@contextmanager
def errors_told(place: Path | str | None = None, of_run: bool = False, last: bool = False) -> Iterator[None]:
    """Has an error end a command, with its sentence and its exit code.

    Args:
        place: what is written, to be named where a disk or a database fails; None lets such errors through.
        of_run: whether `place` is the directory of a run that goes on, whose log gets what nobody foresaw.
        last: whether nothing else tells of errors that nobody foresaw.
    """
    try:
        yield
    except Exception as error:
        told = _told(error, place)
        if told is None and (of_run or last) and not isinstance(error, NO_ERRORS):
            told = Unforeseen(_unforeseen(error, Path(str(place)) if of_run else None))
        if told is None:
            raise
        if (loaded := sys.modules.get("selfplay.config.load")) is not None and not told.keeps_work:
            told.args = (loaded.with_line(str(told)),)
        if of_run and told.keeps_work:
            from selfplay.run.progress import note_ending

            note_ending(Path(str(place)), str(told))
        typer.echo(told.of_run.format(error=told, folder=place) if of_run else str(told), err=True)
        raise typer.Exit(told.exit_code) from error


class Unforeseen(UserError):
    """An error of this code; the message says which, and where its traceback is."""

    exit_code = BROKEN
    keeps_work = True
    of_run = RunStopped.of_run


def _unforeseen(error: Exception, run: Path | None) -> str:
    """Keeps the traceback, in a run's directory or in a temporary file, and says where."""
    from selfplay.config.values.secrets import struck

    text = struck("".join(traceback.format_exception(error)))
    try:
        with (run / ERROR_LOG).open("ab") if run else _temporary() as file:
            file.write(text.encode("utf-8", "backslashreplace"))
        place = file.name
    except OSError as fault:
        place = f"nowhere, since no file can be written ({fault.strerror})"
    from verifiers.untrusted.shown import shown

    what = shown(struck(f"{type(error).__name__}: {error}"))
    return f"an error of selfplay itself: {what}; the traceback is in {place}: please report it"


def _temporary() -> Any:
    return tempfile.NamedTemporaryFile("wb", prefix="selfplay-", suffix=".log", delete=False)


def _told(error: Exception, place: Path | str | None) -> UserError | None:
    """The error as one for a person, whoever raised it; None where it is none."""
    from selfplay.compute.system_errors import PATH_FAULTS, is_for_a_person, sentence
    from verifiers.untrusted.shown import shown

    if isinstance(error, UserError):
        return error
    for kind in type(error).__mro__:
        if found := BELOW.get((kind.__module__, kind.__name__)):
            return found(str(error))
    # Of what was written, a permission is told with the rest of the system's errors.
    of_path = isinstance(error, OSError) and error.errno in PATH_FAULTS - ({errno.EACCES} if place else set())
    if isinstance(error, OSError) and of_path and error.filename is not None:
        return UserError(f"{shown(error.filename)}: cannot be used ({error.strerror}); give another path")
    return RunStopped(sentence(error, place)) if place is not None and is_for_a_person(error) else None


def load_recipe_file(recipe: Path, overrides: list[str] | None) -> Recipe:
    """The recipe with its overrides."""
    from selfplay.config.load import load_recipe

    return load_recipe(recipe, overrides or [])


def show(renderable: Any) -> None:
    """Prints what rich can render."""
    from rich.console import Console

    Console().print(renderable)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which schedulers send before they kill."""


def stop_on_sigterm() -> None:
    """Has SIGTERM end a run in order, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(signum: int, frame: FrameType | None) -> None:
    # A second one, while the first is being obeyed, changes nothing.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
