"""How many workers there are, and which GPUs each of them has."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.compute import workers
from selfplay.compute.cluster.room import ClusterNode
from selfplay.config.compute import ComputeSettings, RaySettings
from selfplay.config.load import RecipeError, load_recipe
from selfplay.pipeline import crew

QUICKSTART = Path(__file__).parents[3] / "configs" / "quickstart.yaml"


@pytest.mark.parametrize(("asked", "each", "count"), [(0, 1, 8), (3, 1, 3), (0, 2, 4), (4, 2, 4), (0, 3, 2), (1, 8, 1)])
def test_workers_share_the_gpus(monkeypatch: pytest.MonkeyPatch, asked: int, each: int, count: int) -> None:
    monkeypatch.setattr(crew, "gpu_count", lambda: 8)
    assert crew.workers_and_device(ComputeSettings(workers=asked), each) == (count, "cuda")


@pytest.mark.parametrize(("asked", "each"), [(9, 1), (5, 2), (0, 9)])
def test_too_few_gpus_are_named(monkeypatch: pytest.MonkeyPatch, asked: int, each: int) -> None:
    monkeypatch.setattr(crew, "gpu_count", lambda: 8)
    with pytest.raises(crew.NoDevice, match=rf"compute.workers is {asked or 1}, but torch sees 8 GPUs; a worker"):
        crew.workers_and_device(ComputeSettings(workers=asked), each)


@pytest.mark.parametrize(
    ("visible", "ordinal", "each", "group"),
    [(None, 2, 1, "2"), (None, 1, 2, "2,3"), ("4,5,6,7", 1, 2, "6,7"), ("GPU-a,GPU-b", 1, 1, "GPU-b")],
)
def test_a_worker_sees_the_first_gpu_of_its_group(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, ordinal: int, each: int, group: str
) -> None:
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    seen = workers.gpus_of(ordinal, each)
    assert seen == {"CUDA_VISIBLE_DEVICES": group.split(",", maxsplit=1)[0], workers.GROUP_GPUS: group}


def test_workers_on_a_cpu_see_no_gpu_that_a_scheduler_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    on_cpu = workers.Workers(1, 1, "cpu", tmp_path / "log")
    try:
        assert on_cpu.map(os.getenv, ["CUDA_VISIBLE_DEVICES"]) == [""]
    finally:
        on_cpu.stop()


def test_ray_that_is_not_installed_is_told_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "is_installed", lambda: False)
    asked = ComputeSettings(executor="ray")
    with pytest.raises(
        crew.NoRoom, match=r"compute.executor: is ray, but Ray is not installed; `pip install 'promptcot"
    ):
        crew.check_cluster(asked)
    assert crew.check_cluster(ComputeSettings()) == []


def test_a_cluster_of_ones_own_is_only_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "is_installed", lambda: True)
    [found] = crew.check_cluster(ComputeSettings(executor="ray"))
    assert found.detail == "Ray is here, and the run starts a cluster of its own on this machine"


def test_nodes_that_come_late_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = iter([[], [], [ClusterNode("a", "10.0.0.1", 8, 0)]])
    session: Any = SimpleNamespace(nodes=lambda: next(there))
    monkeypatch.setattr(crew.time, "sleep", lambda _: None)
    asked = ComputeSettings(executor="ray", workers=2, ray=RaySettings(address="auto"))
    assert crew._demand_when_there(session, asked, 1).count == 2
    assert capsys.readouterr().err.count("waiting 60 s for nodes that may still join: compute.workers is 2") == 1
    monkeypatch.setattr(crew, "JOINING_S", -1.0)
    with pytest.raises(crew.NoRoom, match="has room for 0"):
        crew._demand_when_there(SimpleNamespace(nodes=list), asked, 1)


def test_grpo_waits_for_its_ranks() -> None:
    recipe = load_recipe(QUICKSTART, ["compute.executor=ray"])
    assert recipe.compute.ray.on_loss == "wait"
    with pytest.raises(
        RecipeError, match=r"compute.ray.on_loss is rest, but each rank of grpo draws rollouts of its own"
    ):
        load_recipe(QUICKSTART, ["compute.executor=ray", "compute.ray.on_loss=rest", "training.algorithm=grpo"])
