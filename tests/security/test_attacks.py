"""Attacks on the sandbox: each ends in its status and its time, and harms neither the host nor the next test."""

from __future__ import annotations

from pathlib import Path

import attacks_cpp
import attacks_files
import attacks_kernel
import attacks_memory
import attacks_output
import attacks_processes
import attacks_time
import attacks_warm
import pytest
from attack_kit import Attack, call_attack, run_attack, state_of

from sandbox.model import Status
from sandbox.warm import cgroups
from sandbox.warm.sandbox import WarmSandbox

FAMILIES = (
    attacks_processes,
    attacks_memory,
    attacks_time,
    attacks_output,
    attacks_files,
    attacks_kernel,
    attacks_warm,
    attacks_cpp,
)
ATTACKS: list[Attack] = [attack for family in FAMILIES for attack in family.ATTACKS]
HOLDS_A_DESCRIPTOR = ("inherited_descriptors", "forged_reply", "forged_fault")
"""A function has one more descriptor than a program: the file for its value."""
FUNCTIONS = [a for a in ATTACKS if a.language == "python" and a.name not in HOLDS_A_DESCRIPTOR]


def marked(hostile: Attack, slow: bool) -> object:
    """An attack as a parameter of a test; slow ones are long tests."""
    return pytest.param(hostile, id=hostile.name, marks=[pytest.mark.long] if slow else [])


@pytest.fixture(scope="module")
def fresh_state(sandbox: WarmSandbox) -> dict[str, object]:
    return state_of(sandbox)


def test_names_are_distinct() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("hostile", [marked(hostile, hostile.slow) for hostile in ATTACKS])
def test_attack(sandbox: WarmSandbox, fresh_state: dict[str, object], unchanged_host: Path, hostile: Attack) -> None:
    execution = run_attack(sandbox, hostile)
    assert execution.status in hostile.ends, (execution.status, execution.reason, execution.stderr[-500:])
    assert b"ESCAPED" not in execution.stdout + execution.stderr, (execution.stdout, execution.stderr)
    assert len(execution.stdout) <= hostile.limits.output_bytes
    assert execution.status is Status.OK or execution.reason
    assert state_of(sandbox) == fresh_state


def test_processor_time_that_no_parent_is_told_of(sandbox: WarmSandbox) -> None:
    """Without control groups only the wall clock stops this, as docs/explanation/security.md says."""
    group = cgroups.open_cgroup()
    if group is not None:
        group.remove()
    execution = run_attack(sandbox, attacks_time.UNCOUNTED)
    assert execution.status is (Status.OK if group is None else Status.TIME_LIMIT)


@pytest.mark.long
@pytest.mark.parametrize("hostile", [marked(hostile, hostile.slow) for hostile in FUNCTIONS])
def test_attack_from_a_function(
    sandbox: WarmSandbox, fresh_state: dict[str, object], unchanged_host: Path, hostile: Attack
) -> None:
    execution = call_attack(sandbox, hostile)
    assert execution.status is not Status.SANDBOX_ERROR, execution.reason
    # The script may end well, and then the function returns; what it returns is what it could have printed.
    assert execution.status is Status.OK or execution.value is None
    assert b"ESCAPED" not in execution.stdout + execution.stderr
    assert state_of(sandbox) == fresh_state
