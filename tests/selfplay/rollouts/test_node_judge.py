"""Verdicts of the nodes: in order, in parts for each node, and kept by the driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.recipe import Recipe
from selfplay.rollouts.node_judge import PARTS, NodeJudge
from verifiers.model import Task

SEEDS = {"kind": "quickstart", "grammar": "math"}
DOMAINS = {"words": {"seeds": SEEDS, "verifier": "exact"}, "numbers": {"seeds": SEEDS, "verifier": "exact"}}
RECIPE = Recipe.model_validate({"name": "nodes", "model": {"kind": "scratch"}, "domains": DOMAINS})


class Nodes:
    """So many nodes, all in this process."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.sizes: list[int] = []

    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> list[Any]:
        self.sizes += [len(job.items) for job in jobs]
        return [function(job) for job in jobs]


def right(number: int) -> tuple[str, Task, str]:
    return "words", Task(answer=str(number)), rf"\boxed{{{number}}}"


def wrong(number: int) -> tuple[str, Task, str]:
    return "numbers", Task(answer=str(number)), r"\boxed{no}"


@pytest.mark.parametrize(("count", "sizes"), [(1, [5, 5, 5, 5]), (3, [2] * 10), (100, [1] * 20)])
def test_each_node_has_a_few_parts_and_verdicts_come_in_order(tmp_path: Path, count: int, sizes: list[int]) -> None:
    nodes: Any = Nodes(count)
    judge = NodeJudge(RECIPE, tmp_path, nodes)
    try:
        items = [made(number) for number in range(20) for made in (right, wrong)]
        assert [verdict.passed for verdict in judge.judge(items)] == [True, False] * 20
        assert nodes.sizes == sizes * 2
        assert len(sizes) <= count * PARTS
        assert judge.judge(items[:2])[0].status == judge.judge(items)[0].status
        assert nodes.sizes == sizes * 2, "what is known is asked nobody"
    finally:
        judge.close()
