"""How many workers a cluster has room for, and what is said where it has too little."""

from __future__ import annotations

import pytest

from selfplay.compute.cluster.room import ClusterNode, Demand, NoRoom, demand_of
from selfplay.config.compute import ComputeSettings, RaySettings

RAY = RaySettings(address="auto")


def nodes(*sizes: tuple[int, int]) -> list[ClusterNode]:
    return [ClusterNode(f"n{place}", "10.0.0.1", cpus, gpus) for place, (cpus, gpus) in enumerate(sizes)]


@pytest.mark.parametrize(
    ("there", "given", "each", "wanted"),
    [
        ([(64, 8), (64, 8)], {}, 1, Demand(16, "cuda", 1, 1)),
        ([(64, 8), (64, 8)], {}, 2, Demand(8, "cuda", 1, 2)),
        # A model is spread over GPUs of one node.
        ([(64, 3), (64, 3)], {}, 2, Demand(2, "cuda", 1, 2)),
        ([(0, 0), (64, 8)], {"workers": 3}, 1, Demand(3, "cuda", 1, 1)),
        ([(4, 0), (4, 0)], {}, 1, Demand(2, "cpu", 1, 0)),
        # A head that is given no CPU has no worker.
        ([(0, 0), (4, 0), (4, 0)], {}, 1, Demand(2, "cpu", 1, 0)),
        ([(4, 0), (4, 0)], {"workers": 4, "threads": 2}, 1, Demand(4, "cpu", 2, 0)),
        ([(8, 8)], {"device": "cpu", "workers": 2}, 1, Demand(2, "cpu", 1, 0)),
    ],
)
def test_workers_are_as_many_as_asked_for_or_as_there_is_room_for(
    there: list[tuple[int, int]], given: dict[str, object], each: int, wanted: Demand
) -> None:
    compute = ComputeSettings.model_validate({"ray": RAY, **given})
    assert demand_of(compute, each, nodes(*there)) == wanted


@pytest.mark.parametrize(
    ("there", "given", "each", "says"),
    [
        (
            [(64, 8)],
            {"workers": 9},
            1,
            "compute.workers is 9, but the Ray cluster has room for 8: a worker takes 1 GPU",
        ),
        ([(64, 3), (64, 3)], {"workers": 3}, 2, "has room for 2: a worker takes 2 GPUs and a CPU of one node"),
        ([(2, 0), (2, 0)], {"workers": 3, "threads": 2}, 1, "has room for 2: a worker takes 2 CPUs"),
        ([(2, 0)], {"device": "cuda"}, 1, "compute.device is cuda, but no node of the Ray cluster has a GPU"),
        ([(0, 0)], {}, 1, "lower compute.workers, or add nodes"),
        ([], {}, 1, "its nodes have nothing"),
    ],
)
def test_too_little_is_told_with_the_field_and_what_is_there(
    there: list[tuple[int, int]], given: dict[str, object], each: int, says: str
) -> None:
    compute = ComputeSettings.model_validate({"ray": RAY, **given})
    with pytest.raises(NoRoom, match=says):
        demand_of(compute, each, nodes(*there))


def test_what_takes_no_cpu_takes_a_little_memory() -> None:
    assert Demand(2, "cuda", 1, 2).bundle == {"CPU": 1.0, "GPU": 2.0}
    assert set(Demand(2, "cpu", 0, 0).bundle) == {"memory"}
