"""The attacks again where there are no namespaces: the Landlock backend, without what it does not promise."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import fakes_function
import fakes_output
import honest_programs
import honest_streams
import pytest
from attack_kit import LIMITS, STDIN, Attack, run_attack, state_of
from test_attacks import ATTACKS, marked

from sandbox.landlock.backend import WHY_UNENFORCED, open_landlock
from sandbox.model import Limits, Program, Status
from sandbox.warm.sandbox import WarmSandbox
from sandbox.warm.visible_files import interpreter, reachable_by_others
from verifiers.programs import CodeVerifier

OTHERWISE = {
    "names_of_the_host": "the host's name and process numbers can be seen",
    "descriptors_of_the_fork_server": "names below /proc can be seen, not what they hold",
    "inherited_descriptors": "folders with the interpreter's modules stay open, for looking names up only",
    "ask_for_a_secret": "a file may be named without being read",
    "file_in_flight": "the folder is no file system of its own",
    "processor_time_in_children_nobody_counts": "as with bubblewrap",
}
"""Attacks whose success means nothing here, and why."""
SAMPLE = (
    *(
        "fork_bomb",
        "orphan_holding_stdout",
        "kill_parent",
        "limit_the_fork_server",
        "ptrace",
        "memory_bomb_in_children",
    ),
    *("busy_loop", "sleep", "output_flood", "stdin_rewritten", "read_host_files", "read_by_other_names", "tall_folder"),
    *("memory_behind_an_ended_first_thread", "unlinked_files_behind_an_ended_first_thread"),
    *("write_system_files", "change_system_files", "new_namespaces", "sockets_of_every_family", "channel_object"),
    *(
        "abstract_sockets_of_the_host",
        "process_attributes",
        "fork_until_the_very_end",
        "secrets_in_the_process",
        "ways_up_from_open_folders",
    ),
)
"""What the normal tests run; the long ones run all."""


@pytest.fixture(scope="module")
def landlock() -> Iterator[WarmSandbox]:
    opened = open_landlock()
    assert opened.unenforced <= set(WHY_UNENFORCED)
    with opened:
        yield opened


def lasting_state(landlock: WarmSandbox) -> dict[str, object]:
    """Without the limit on processes, which follows how many this user has elsewhere, where it is not alone."""
    state = state_of(landlock)
    limits = state["limits"]
    assert isinstance(limits, list)
    del limits[resource.RLIMIT_NPROC]
    return state


@pytest.fixture(scope="module")
def fresh_state(landlock: WarmSandbox) -> dict[str, object]:
    return lasting_state(landlock)


def _chosen() -> Iterator[object]:
    for hostile in ATTACKS:
        if hostile.name not in OTHERWISE:
            yield marked(hostile, slow=hostile.slow or hostile.name not in SAMPLE)


@pytest.mark.parametrize("hostile", _chosen())
def test_attack(landlock: WarmSandbox, fresh_state: dict[str, object], unchanged_host: Path, hostile: Attack) -> None:
    execution = run_attack(landlock, hostile)
    # The folder has another name and watchers of its own, so that what touches it may also fail.
    assert execution.status in hostile.ends | {Status.RUNTIME_ERROR}, (execution.status, execution.reason)
    assert b"ESCAPED" not in execution.stdout + execution.stderr, (execution.stdout, execution.stderr)
    assert lasting_state(landlock) == fresh_state


NEEDS_SHARED_MEMORY = ("process_pool", "multiprocessing_pool", "multiprocessing_queue", "shared_memory")
NEEDS_PYTHON_BY_NAME = ("subprocess_of_python", "exec_of_itself")
"""Fails where Python lies in a folder that is closed to others."""


@pytest.mark.long
def test_honest_programs_are_accepted(landlock: WarmSandbox) -> None:
    limits = Limits(cpu_s=5, wall_s=20, memory_mb=256)
    others = (*NEEDS_SHARED_MEMORY, *([] if reachable_by_others(interpreter()) else NEEDS_PYTHON_BY_NAME))
    refused = []
    for program in (*honest_programs.HONEST, *honest_streams.HONEST):
        execution = landlock.run(Program(program.source, program.language), [program.given], limits)[0]
        if (execution.status, execution.stdout) != (Status.OK, program.wanted) and program.name not in others:
            refused.append((program.name, execution.status, execution.reason, execution.stderr[-200:]))
    assert refused == []


@pytest.mark.long
def test_fakes_get_nothing(landlock: WarmSandbox) -> None:
    verifier = CodeVerifier(open_sandbox=open_landlock)
    fakes = [*fakes_function.FAKES, *fakes_output.FAKES]
    passed = [(f.name, v) for f in fakes if (v := verifier.verify_source(f.task, f.source)).passed is not False]
    verifier.close()
    assert passed == []


_LOOSEN = """
import ctypes, os, struct
libc = ctypes.CDLL(None)
root = os.open('/', os.O_PATH)
for fd in range(3, 1024):
    for rights in ((1 << bits) - 1 for bits in range(16, 1, -1)):
        libc.syscall(445, fd, 1, ctypes.create_string_buffer(struct.pack('=Qi', rights, root), 12), 0)
"""
_READ = "print(open('/etc/passwd').read())"


def test_no_program_can_loosen_the_rules_of_the_next(landlock: WarmSandbox) -> None:
    landlock.run(Program(_LOOSEN), [STDIN], LIMITS)
    execution = landlock.run(Program(_READ), [STDIN], LIMITS)[0]
    assert execution.status is Status.RUNTIME_ERROR
    assert b"Permission denied" in execution.stderr


def test_folder_stays_closed_to_other_users(landlock: WarmSandbox) -> None:
    source = "import os\nprint(oct(os.stat(os.environ['TMPDIR']).st_mode & 0o777), os.stat('.').st_uid == os.getuid())"
    runs = landlock.run(Program(source), [STDIN] * 3, LIMITS)
    assert [run.stdout for run in runs] == [b"0o700 True\n"] * 3
