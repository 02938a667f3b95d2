"""A worker's place on a node: its process is the one of a single machine, and what is told passes through as bytes."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from selfplay.compute.cluster.hand import ENDED, Beginning, Hand, environment_of, interface_of
from selfplay.compute.cluster.nodes import lay_out
from selfplay.compute.workers import GROUP_GPUS


def own_variable(name: str) -> str | None:
    return os.environ.get(name)


def exit_at_once() -> None:
    os._exit(3)


def beginning(run: Path, **changed: object) -> Beginning:
    given = {
        "environment": {"HF_HUB_OFFLINE": "1"},
        "import_path": [str(Path(__file__).parents[4])],
        "threads": 2,
        "device": "cpu",
        "log": str(run / "workers-0.log"),
        "run": str(run),
        "token": "t",
    }
    return Beginning(**(given | changed))  # type: ignore[arg-type]


def test_a_process_answers_ends_with_its_code_and_can_begin_anew(tmp_path: Path) -> None:
    hand = Hand(lambda: ("n1", "127.0.0.1"))
    lay_out(tmp_path, "t")
    facts = hand.look(beginning(tmp_path))
    assert (facts.node, facts.address, facts.fault) == ("n1", "127.0.0.1", "")
    assert hand.tell(b"") == ENDED
    hand.begin(beginning(tmp_path))
    try:
        told = hand.tell(pickle.dumps((own_variable, ["OMP_NUM_THREADS"])))
        assert isinstance(told, bytes)
        assert pickle.loads(told) == "2"
        assert hand.tell(pickle.dumps((exit_at_once, []))) == 3
    finally:
        hand.end()
    hand.end()


def test_the_environment_is_that_of_a_worker_on_one_machine(tmp_path: Path) -> None:
    here = {"RAY_AUTH_TOKEN": "hidden", "PATH": "/bin", "CUDA_VISIBLE_DEVICES": "2,3", "HF_HUB_OFFLINE": "0"}
    found = environment_of(beginning(tmp_path, device="cuda"), here, "/tmp/x", "eth1")
    assert not any(name.startswith("RAY_") for name in found)
    assert (found["CUDA_VISIBLE_DEVICES"], found[GROUP_GPUS]) == ("2", "2,3")
    assert (found["GLOO_SOCKET_IFNAME"], found["NCCL_SOCKET_IFNAME"], found["TMPDIR"]) == ("eth1", "eth1", "/tmp/x")
    # A node knows best what it sets itself.
    assert found["HF_HUB_OFFLINE"] == "0"
    assert found["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    on_cpu = environment_of(beginning(tmp_path), here, "/tmp/x", None)
    assert on_cpu["CUDA_VISIBLE_DEVICES"] == ""
    assert not {"GLOO_SOCKET_IFNAME", GROUP_GPUS} & on_cpu.keys()


@pytest.mark.parametrize(("address", "name"), [("127.0.0.1", "lo"), ("203.0.113.77", None)])
def test_the_interface_of_an_address(address: str, name: str | None) -> None:
    assert interface_of(address) == name
