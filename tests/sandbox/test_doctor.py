"""The doctor tries each limit, says what each backend enforces, and sees through a sandbox that enforces none."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from sandbox import doctor, probes
from sandbox.doctor import LIMITS, backends, examine
from sandbox.landlock import rules as landlock_rules
from sandbox.model import Execution, Limits, Program, RemoteServer, Status, Stop
from sandbox.probes import REACH, ProbeFinding
from selfplay.cli.app import app
from selfplay.config.sandbox import Limit, SandboxSettings

sys.path.insert(0, str(Path(__file__).parent))
from fusion_server import Contained, Uncontained, serving


class Unisolated:
    """What a sandbox must not be: the program as an ordinary process."""

    def run(
        self, program: Program, inputs: Sequence[bytes], limits: Limits, stop: Stop | None = None
    ) -> list[Execution]:
        command = [sys.executable, "-c", program.source]
        done = subprocess.run(command, input=inputs[0], capture_output=True, check=False)
        return [Execution(Status.OK, done.stdout, done.stderr)]

    def call(self, *_: Any) -> list[Execution]:
        raise NotImplementedError

    def call_together(self, *_: Any) -> list[Execution]:
        raise NotImplementedError

    def close(self) -> None:
        return


def test_every_limit_is_enforced_by_bubblewrap() -> None:
    examined = examine()
    assert examined.backend == "bubblewrap"
    assert tuple(finding.limit for finding in examined.findings) == LIMITS
    assert [finding for finding in examined.findings if not finding.enforced] == []
    assert "control groups" in examined.about
    assert "no C++ compiler" in examined.about or "cpp is C++" in examined.about
    assert ("a user of its own" in examined.about) == (os.geteuid() == 0)


@pytest.mark.skipif(landlock_rules.version() == 0, reason="this kernel has no Landlock")
def test_landlock_promises_all_but_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    # The others take seconds each, and are tried in the tests of that backend.
    monkeypatch.setattr(probes, "_ATTEMPTS", [probes._ATTEMPTS[0], probes._ATTEMPTS[-1]])
    examined = examine("landlock")
    assert [finding.limit for finding in examined.findings if not finding.enforced] == ["disk"]
    assert "nothing bounds what a program writes" in examined.findings[-1].detail
    assert "Landlock version" in examined.about


def test_a_server_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The amounts are watched by what is sent along, so they hold on any server; the rest is the server's."""
    # They take seconds each and are tried in the other tests of this file.
    monkeypatch.setattr(probes, "_ATTEMPTS", [probes._ATTEMPTS[1], probes._ATTEMPTS[-1]])
    with serving(Contained(1)) as contained, serving(Uncontained()) as uncontained:
        inside = examine("remote", RemoteServer(contained.url)).findings
        open_to_all = examine("remote", RemoteServer(uncontained.url)).findings
    # Programs see what watches them there.
    assert [finding.limit for finding in inside if not finding.enforced] == ["other_processes", "disk"]
    assert [finding.limit for finding in open_to_all if not finding.enforced] == [*REACH, "disk"]


def test_an_unisolated_runner_is_found_out() -> None:
    findings = {finding.limit: finding for finding in probes.try_reach(Unisolated())}
    for limit in REACH:
        assert not findings[limit].enforced
        assert findings[limit].detail


def test_the_recipe_knows_the_same_names() -> None:
    assert get_args(Limit) == LIMITS
    assert get_args(SandboxSettings.model_fields["backend"].annotation) == ("auto", *backends())


def test_the_command_prints_a_line_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = (ProbeFinding("network", True, "good"), ProbeFinding("disk", False, "bad"))
    asked: list[Any] = []

    def fake(*arguments: Any) -> doctor.Examination:
        asked.append(arguments)
        return doctor.Examination("remote", "a server", findings)

    monkeypatch.setattr("selfplay.cli.sandbox_trials.examine", fake)
    options = ["sandbox", "doctor", "--backend", "remote", "--url", "http://host:1", "--token-env", "TOKEN"]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "remote: a server",
        "enforced      network          good",
        "NOT ENFORCED  disk             bad",
    ]
    assert asked == [("remote", RemoteServer("http://host:1", "TOKEN"))]
    rows = json.loads(CliRunner().invoke(app, [*options, "--json"]).stdout)
    assert rows[1] == {"limit": "disk", "enforced": False, "detail": "bad", "backend": "remote"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--backend", "chroot"], "give auto, bubblewrap"),
        (["--backend", "remote"], "--url go together"),
        (["--url", "http://host"], "--url go together"),
        (["--token-env", "TOKEN"], "--token-env: is for --backend remote"),
        (["--backend", "remote", "--url", "host:8080"], "is no http:// or https:// address"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["sandbox", "doctor", *options])
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.skipif(landlock_rules.version() == 0, reason="this kernel has no Landlock")
def test_a_file_is_run_on_the_backend_asked_for(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import os; print(os.getcwd())")
    run = ["sandbox", "run", str(program), "--backend", "landlock"]
    refused = CliRunner().invoke(app, run)
    assert (refused.exit_code, "landlock cannot enforce disk" in refused.output) == (2, True)
    done = CliRunner().invoke(app, [*run, "--waive", "disk"])
    assert (done.exit_code, "selfplay-sandbox-" in done.stdout) == (0, True)
    for options, said in ((["--waive", "disks"], "is no limit"), (["--backend", "remote"], "is not of this host")):
        wrong = CliRunner().invoke(app, [*run, *options])
        assert (wrong.exit_code, said in wrong.output) == (2, True)
