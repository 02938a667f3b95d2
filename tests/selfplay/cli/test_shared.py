"""Errors that a person can mend end a command by one sentence and an exit code; all others are bugs, and show."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from sandbox.model import SandboxUnavailable
from selfplay.cli.app import app
from selfplay.cli.shared import BELOW, errors_told, plainly
from selfplay.config.errors import BROKEN, FAILED, SPENT, UNUSABLE, RunStopped, UserError
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
    told = capsys.readouterr().err.splitlines()[0]
    assert told.startswith(f"{tmp_path} (")
    assert told.endswith(" left): the disk is full; make room and run the same command again")
    assert read_json(tmp_path / "progress.json")["ended"] == told
    assert ended(error, tmp_path, False) == FAILED
    assert capsys.readouterr().err == told + "\n"


@pytest.mark.parametrize("error", [OSError("broken"), ValueError("a bug")])
def test_a_bug_goes_on_to_whoever_is_last(error: Exception) -> None:
    with pytest.raises(type(error)), errors_told():
        raise error


@pytest.mark.parametrize("error", [ZeroDivisionError("\x1b[31m" * 9000), RecursionError(), UnicodeError("\ud800")])
def test_a_bug_of_a_run_is_one_sentence_and_its_traceback_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    assert ended(error, tmp_path, True) == BROKEN
    sentence, kept = capsys.readouterr().err.splitlines()
    assert sentence.startswith(f"an error of selfplay itself: {type(error).__name__}: ")
    assert sentence.endswith(f"the traceback is in {tmp_path}/error.log: please report it")
    assert sentence.isprintable()
    assert len(sentence) < 800
    assert "Finished work is kept" in kept
    assert "Traceback (most recent call last)" in (tmp_path / "error.log").read_text()
    assert read_json(tmp_path / "progress.json")["ended"] == sentence


def test_a_bug_tells_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = f"hf_{'a1B2' * 9}"
    assert ended(ValueError(f"Authorization: Bearer {token}"), tmp_path, True) == BROKEN
    for told in (capsys.readouterr().err, (tmp_path / "error.log").read_text()):
        assert "Authorization: Bearer [secret]" in told
        assert token not in told


def test_a_bug_of_a_command_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("selfplay.report.page.write_report", lambda path: {}["x"])
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == BROKEN
    [log] = tmp_path.glob("selfplay-*.log")
    assert done.stderr == (f"an error of selfplay itself: KeyError: 'x'; the traceback is in {log}: please report it\n")
    assert "KeyError" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_a_bug_where_nothing_can_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(ZeroDivisionError("x"), tmp_path / "none", True) == BROKEN
    assert "nowhere, since no file can be written (No such file or directory)" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Exit(7), BrokenPipeError(), typer.BadParameter("x")])
def test_what_is_no_bug_goes_through(error: BaseException) -> None:
    with pytest.raises(type(error)), errors_told(last=True):
        raise error


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


def test_what_typer_complains_of_is_said_plainly() -> None:
    done = CliRunner().invoke(app, ["init", "grppo"])
    said = " ".join(done.output.replace("\u2502", " ").split())
    assert "Invalid value for 'template': 'grppo' is not one of 'quickstart', 'grpo', " in said
    assert "; did you mean grpo?" in said
    assert "Value error" not in said
    assert plainly("Value error, 'x' is not one of 'grpo'.") == "'x' is not one of 'grpo'."
    assert plainly("'x' is not a valid int.") == "'x' is not a valid int."
