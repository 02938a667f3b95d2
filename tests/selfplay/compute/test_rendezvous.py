"""Nothing that a training or an engine starts listens where another machine could reach it."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from selfplay.compute.workers import Workers

ROOT = Path(__file__).parents[3]


def listening(job: object) -> list[str]:
    """The addresses at which this rank listens amid a training."""
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=True)
    numbers = torch.tensor([float(state.process_index + 1)])
    torch.distributed.all_reduce(numbers)
    assert numbers.item() == 3.0
    mine = [c.laddr.ip for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN]
    found: list[list[str]] = [[], []]
    torch.distributed.all_gather_object(found, mine)
    return [address for part in found for address in part]


@pytest.mark.parametrize("wish", [pytest.param(None, marks=pytest.mark.long), "eth0"])
def test_the_ranks_of_a_training_listen_on_the_loopback_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: str | None
) -> None:
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
        if wish:
            monkeypatch.setenv(name, wish)
    workers = Workers(2, 1, "cpu", tmp_path / "workers.log")
    try:
        for _ in range(2):
            addresses = workers.together(listening, {})
            assert all(ipaddress.ip_address(address).is_loopback for address in addresses), addresses
    finally:
        workers.stop()


STORE = """
import datetime, psutil, socket, torch.distributed
from selfplay.compute.rendezvous import keep_stores_on_the_loopback
keep_stores_on_the_loopback()
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
torch.distributed.barrier()
found = {c.laddr for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN}
assert port in {at.port for at in found}
print(*{at.ip for at in found})
"""


def test_a_store_of_a_library_listens_on_the_loopback_alone() -> None:
    """As vLLM makes one for its ranks: torch binds it to every interface, whatever address it was given."""
    environment = {"GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", STORE], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["127.0.0.1"]
