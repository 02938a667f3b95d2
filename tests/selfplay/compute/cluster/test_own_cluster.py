"""A cluster that a run starts for itself, with the real Ray: who can reach it, what its workers do, and how it ends."""

from __future__ import annotations

import ipaddress
import os
import signal
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from selfplay.compute.workers import WorkerError
from selfplay.config.compute import ComputeSettings
from selfplay.pipeline.crew import crew_of
from tests.faults.runs import Session

pytestmark = pytest.mark.long


def double(job: int) -> int:
    return 2 * job


def fail(job: int) -> int:
    raise ValueError("no such thing")


def kill_me(job: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def secrets_here(job: int) -> list[str]:
    return [name for name in os.environ if name.startswith("RAY_AUTH")]


def summed(job: float) -> tuple[float, list[str]]:
    """The sum over ranks, and the addresses at which this process listens meanwhile."""
    import torch

    numbers = torch.tensor([job + torch.distributed.get_rank()])
    torch.distributed.all_reduce(numbers)
    own = psutil.Process().net_connections("inet")
    return float(numbers), [one.laddr.ip for one in own if one.status == psutil.CONN_LISTEN]


def listening(process: psutil.Process) -> set[str]:
    """The addresses at which a process and all below it listen."""
    found = set()
    for one in (process, *process.children(recursive=True)):
        found |= {at.laddr.ip for at in one.net_connections("inet") if at.status == psutil.CONN_LISTEN}
    return found


def ray_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("ray-*"))


def is_loopback(address: str) -> bool:
    found = ipaddress.ip_address(address)
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def test_workers_of_a_cluster_do_what_local_ones_do_and_are_reached_by_nobody_else(tmp_path: Path) -> None:
    before = ray_folders()
    with crew_of(ComputeSettings(executor="ray", workers=2, device="cpu")) as crew, crew.workers(tmp_path) as workers:
        assert workers.map(double, range(20)) == [2 * job for job in range(20)]
        assert workers.map(secrets_here, [0]) == [[]]
        # Ray itself opens its folder to everybody.
        assert all(folder.stat().st_mode & 0o077 == 0 for folder in ray_folders() - before)
        total, addresses = workers.together(summed, 1.0)
        assert total == 3.0
        found = listening(psutil.Process()) | set(addresses)
        assert found
        assert all(map(is_loopback, found)), found
        with pytest.raises(WorkerError, match=r"^a worker failed: ValueError: no such thing$"):
            workers.map(fail, [0])
        with pytest.raises(WorkerError, match="was killed by the system, most likely since memory ran out"):
            workers.map(kill_me, [0])
        assert workers.together(summed, 1.0)[0] == 3.0
        assert len(ray_folders() - before) == 1
    assert ray_folders() <= before


def test_one_cluster_may_follow_another_in_a_process(tmp_path: Path) -> None:
    """Ray keeps the first token of a process, and refused the second cluster, which had another: that of the second run
    of a notebook, or of a size."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        settings = ComputeSettings(executor="ray", workers=1, device="cpu")
        with crew_of(settings) as crew, crew.workers(tmp_path / name) as workers:
            assert workers.map(double, [1]) == [2]


def test_a_run_on_its_own_cluster_stops_in_order_and_leaves_no_process(tmp_path: Path) -> None:
    session = Session(tmp_path / "run", "compute.executor=ray")
    session.wait_for((tmp_path / "run" / "stages" / "base").exists)
    below = psutil.Process(session.process.pid).children(recursive=True)
    assert any("raylet" in process.name() for process in below)
    assert session.interrupt(signal.SIGTERM) == 143
    assert "Finished work is kept; the same command continues" in session.said
    assert "Traceback" not in session.said
    deadline = time.monotonic() + 60
    while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in below):
        assert time.monotonic() < deadline
        time.sleep(0.1)
