"""Errors that a person can mend end a command by one sentence and an exit code; all others are bugs, and show."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from sandbox.model import SandboxUnavailable
from selfplay.cli.app import app
from selfplay.cli.shared import BELOW, errors_told
from selfplay.config.errors import FAILED, SPENT, UNUSABLE, RunStopped, UserError
from selfplay.export.hub import HubError
from selfplay.pipeline.listener import AlarmStop
from selfplay.run.files import read_json
from selfplay.run.tables import RecordError
from selfplay.synthesis.annotation import BudgetReached
from verifiers.endpoint.client import EndpointError, EndpointRefused
from verifiers.jsonl import UnusableInput
from verifiers.registry import UnknownVerifier
from verifiers.service.settings import UnusableService

OF_A_STOP = "{error}\nFinished work is kept in {run}; what libraries said is in its workers.log.\n"


def ended(error: Exception, place: Path | None, of_run: bool) -> int:
    with pytest.raises(typer.Exit) as exit_, errors_told(place, of_run):
        raise error
    assert exit_.value.__cause__ is error
    return exit_.value.exit_code


@pytest.mark.parametrize(
    ("error", "code", "says", "noted"),
    [
        (UserError("x: is {wrong}"), UNUSABLE, "{error}\n", False),
        (RunStopped("nothing is left"), FAILED, OF_A_STOP, True),
        (RecordError("t.parquet: is damaged"), FAILED, OF_A_STOP, True),
        (BudgetReached("the budget is spent"), SPENT, "{error}\n", True),
        (AlarmStop("Stopped by an alarm."), FAILED, "{error} Finished work is kept in {run}.\n", True),
        (HubError("hub:a/b: refused"), FAILED, "The run has ended, and its report is in {run}; but {error}\n", False),
        (UnknownVerifier("no verifier is called 'm'"), UNUSABLE, "{error}\n", False),
        (EndpointError("teacher: gave no answer"), FAILED, OF_A_STOP, True),
        (EndpointRefused("teacher: the key is not set"), UNUSABLE, "{error}\n", False),
    ],
)
def test_a_run_says_what_stopped_it_and_whether_its_work_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception, code: int, says: str, noted: bool
) -> None:
    assert ended(error, tmp_path, True) == code
    assert capsys.readouterr().err == says.format(error=error, run=tmp_path)
    assert (tmp_path / "progress.json").exists() is noted
    if noted:
        assert read_json(tmp_path / "progress.json")["ended"] == str(error)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), sqlite3.OperationalError("disk is full")])
def test_what_the_system_refuses_is_said_of_the_place_that_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    assert ended(error, tmp_path, True) == FAILED
    told = f"{tmp_path}: the disk is full; make room and run the same command again"
    assert capsys.readouterr().err.splitlines()[0] == told
    assert read_json(tmp_path / "progress.json")["ended"] == told
    assert ended(error, tmp_path, False) == FAILED
    assert capsys.readouterr().err == told + "\n"


@pytest.mark.parametrize("error", [OSError("broken"), ValueError("a bug")])
def test_a_bug_is_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)), errors_told():
        raise error
    with pytest.raises(ZeroDivisionError), errors_told("there", True):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "error",
    [
        SandboxUnavailable("no sandbox works on this host"),
        UnusableInput("rows.jsonl", 3, "completion", "is missing"),
        UnknownVerifier("no verifier is called 'm'"),
        UnusableService("verifier m is not fit to serve"),
    ],
)
def test_errors_from_below_are_told_too(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert (type(error).__module__, type(error).__name__) in BELOW
    assert ended(error, None, False) == UNUSABLE
    assert capsys.readouterr().err == f"{error}\n"


@pytest.mark.parametrize("command", [["status"], ["report"], ["prompts"], ["rollouts"], ["track", "sync"]])
def test_every_command_tells_errors(command: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [*command, str(tmp_path)])
    assert done.exit_code == UNUSABLE
    assert done.stderr.startswith(f"{tmp_path}: is not a run directory")
    assert done.stderr.count("\n") == 1
