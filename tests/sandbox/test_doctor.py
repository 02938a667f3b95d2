"""The doctor tries each limit, finds all enforced by bubblewrap, and sees through a sandbox that enforces none."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from sandbox import probes
from sandbox.doctor import LIMITS, examine
from sandbox.model import Execution, Limits, Program, Status, Stop


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

    def close(self) -> None:
        return


def test_every_limit_is_enforced() -> None:
    findings = examine()
    assert tuple(finding.limit for finding in findings) == LIMITS
    assert [finding for finding in findings if not finding.enforced] == []


def test_an_unisolated_runner_is_found_out() -> None:
    findings = {finding.limit: finding for finding in probes.try_reach(Unisolated())}
    for limit in ("network", "host_read", "host_write", "other_processes"):
        assert not findings[limit].enforced
        assert findings[limit].detail
