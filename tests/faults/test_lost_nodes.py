"""Nodes of a cluster that are lost: a run over three of them ends with the tables and weights of one on one machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from selfplay.compute.cluster.session import OF_OUR_OWN
from selfplay.compute.workers import Workers
from selfplay.config.compute import ComputeSettings, RaySettings
from selfplay.engines.base import ModelRef
from selfplay.pipeline.crew import crew_of
from selfplay.quickstart import seeds
from selfplay.run.records import Example
from selfplay.run.tables import write_table
from selfplay.trl_trainers.jobs import Placement, SFTJob
from tests.e2e.conftest import SMALL, products, selfplay
from tests.faults.runs import Session, current_stage

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("needs_sandbox")]

SETTINGS = (
    "compute.workers=2",
    "labelling.samples=5",
    "training.algorithm=dpo",
    "training.rounds=1",
    "training.dpo.args.max_steps=40",
    "training.dpo.args.save_steps=2",
)
NOTICE = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 5000,
    "health_check_failure_threshold": 3,
}
"""A head that notices in seconds that a node is gone."""


class ThreeNodes:
    """A simulated cluster: a head without CPUs, and nodes with one each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": NOTICE}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes: dict[str, Any] = {}
        for _ in range(3):
            self.add()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self) -> None:
        node = self._cluster.add_node(num_cpus=1)
        self._nodes[node.node_id] = node

    def lose_one_of(self, run: Path) -> None:
        """Kills a node that holds a worker of a run."""
        # The workers begin before the judges.
        first = min((run / "store" / "nodes").iterdir(), key=lambda folder: folder.stat().st_ctime_ns)
        held = {file.name.removeprefix("node-") for file in first.glob("node-*")}
        node = self._nodes.pop(sorted(held & self._nodes.keys())[0])
        self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreeNodes]:
    # Before Ray is imported; all of it listens on the loopback.
    for name, value in OF_OUR_OWN.items():
        if name != "RAY_AUTH_MODE":
            monkeypatch.setenv(name, value)
    made = ThreeNodes()
    yield made
    made.close()


def shards_made(run: Path, stage: str) -> Callable[[], bool]:
    """Whether one more shard is kept since a stage began."""
    known: list[int] = []

    def one_more() -> bool:
        if current_stage(run) != stage:
            return False
        known.append(len(list((run / "store" / "shards").glob("*/*.parquet"))))
        return known[-1] > known[0]

    return one_more


def test_a_node_lost_in_labelling_and_one_in_training_change_nothing(
    finished: Path, cluster: ThreeNodes, tmp_path: Path
) -> None:
    alone, spread = tmp_path / "alone", tmp_path / "spread"
    done = selfplay("run", SMALL, *SETTINGS, "--run-dir", alone, "--reuse", finished, timeout=3000)
    assert done.returncode == 0, done.stderr
    on_cluster = ("compute.executor=ray", f"compute.ray.address={cluster.address}")
    session = Session(spread, *SETTINGS, *on_cluster, "--reuse", finished)
    session.wait_for(shards_made(spread, "labelling"))
    cluster.lose_one_of(spread)
    session.wait_for(lambda: any(spread.glob("stages/selfplay_1/policy-training/checkpoint-*/complete")))
    cluster.lose_one_of(spread)
    # One of its two ranks has no place until another node comes.
    cluster.add()
    assert session.process.wait(3000) == 0, session.said
    assert "others take over what it had under way" in session.said
    assert "a node was lost in the middle of a training" in session.said
    assert products(spread) == products(alone)


def train(work: tuple[SFTJob, Placement]) -> dict[str, float]:
    from selfplay.trl_trainers.sft import train_sft

    return train_sft(*work)


def losses(place: Placement) -> dict[int, float]:
    """By step; what was done again counts."""
    lines = map(json.loads, (place.work / "log.jsonl").read_text().splitlines())
    return {line["step"]: line["metrics"]["loss"] for line in lines if "loss" in line["metrics"]}


def test_a_training_goes_on_with_the_ranks_that_are_left(cluster: ThreeNodes, tmp_path: Path) -> None:
    from selfplay.quickstart import tiny_model

    problems = seeds.generate("math", 60, 0)
    tokenizer = tiny_model.build_tokenizer([f"{p.problem} {p.solution}" for p in problems], 400)
    network = tiny_model.build_model(tokenizer, 0, hidden=32, layers=1, heads=2)
    tiny_model.save(tokenizer, network, tmp_path / "model")
    table = tmp_path / "examples.parquet"
    write_table(table, Example, [Example(p.problem, (p.solution,)) for p in problems])
    args = {
        "max_steps": 30,
        "save_steps": 2,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 2,
    }
    job = SFTJob(model=ModelRef.local(tmp_path / "model", "tiny", "float32", chat=False), examples=table, args=args)
    undisturbed, disturbed = (
        Placement("cpu", 3, tmp_path / f"{name}-work", tmp_path / name, ranks=3)
        for name in ("undisturbed", "disturbed")
    )
    alone = Workers(3, 1, "cpu", tmp_path / "workers.log")
    alone.together(train, (job, undisturbed))
    alone.stop()
    lost: list[int] = []

    def lose_one() -> None:
        if not lost and any(disturbed.work.glob("checkpoint-*/complete")):
            lost.append(len(losses(disturbed)))
            cluster.lose_one_of(tmp_path)

    compute = ComputeSettings(
        executor="ray", workers=3, device="cpu", ray=RaySettings(address=cluster.address, on_loss="rest")
    )
    notes: list[str] = []
    with crew_of(compute) as crew, crew.workers(tmp_path) as workers:
        workers.note = notes.append
        workers.together(train, (job, disturbed), lose_one)
    assert lost
    assert notes[-1] == "a training goes on with 2 of 3 ranks"
    assert losses(disturbed) == pytest.approx(losses(undisturbed), abs=1e-4)
