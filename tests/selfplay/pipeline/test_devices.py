"""How many workers there are, and which GPUs each of them has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selfplay.compute import workers
from selfplay.config.recipe import ComputeSettings
from selfplay.pipeline import launch


@pytest.mark.parametrize(("asked", "each", "count"), [(0, 1, 8), (3, 1, 3), (0, 2, 4), (4, 2, 4), (0, 3, 2), (1, 8, 1)])
def test_workers_share_the_gpus(monkeypatch: pytest.MonkeyPatch, asked: int, each: int, count: int) -> None:
    monkeypatch.setattr(launch, "gpu_count", lambda: 8)
    assert launch.workers_and_device(ComputeSettings(workers=asked), each) == (count, "cuda")


@pytest.mark.parametrize(("asked", "each"), [(9, 1), (5, 2), (0, 9)])
def test_too_few_gpus_are_named(monkeypatch: pytest.MonkeyPatch, asked: int, each: int) -> None:
    monkeypatch.setattr(launch, "gpu_count", lambda: 8)
    with pytest.raises(launch.NoDevice, match=rf"compute.workers is {asked or 1}, but torch sees 8 GPUs; a worker"):
        launch.workers_and_device(ComputeSettings(workers=asked), each)


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
