"""Programs in a sandbox without namespaces, for its tests."""

import textwrap

from sandbox.model import Execution, Limits, Program, Status
from sandbox.warm.sandbox import WarmSandbox

LIMITS = Limits(cpu_s=5, wall_s=30, memory_mb=256, processes=16, disk_mb=8)


def run(sandbox: WarmSandbox, source: str, data: bytes = b"", limits: Limits = LIMITS) -> Execution:
    return sandbox.run(Program(textwrap.dedent(source)), [data], limits)[0]


def printed(sandbox: WarmSandbox, source: str, data: bytes = b"") -> str:
    execution = run(sandbox, source, data)
    assert execution.status is Status.OK, execution
    return execution.stdout.decode().strip()
