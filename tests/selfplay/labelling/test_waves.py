"""Completions of a new policy that are drawn in waves: what they weigh and decide is that of all of them together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from selfplay.engines.base import Sample, Sampling, ScoringRequest
from selfplay.engines.sharded import ShardedEngine
from selfplay.labelling.label import labelling_stage
from selfplay.labelling.relabel import relabelling_stage
from selfplay.labelling.votes import likelihood_weights
from selfplay.run.records import LabelledTask, Vote
from selfplay.stage.context import Context
from tests.selfplay.labelling.conftest import MakeContext, ScriptedPolicy, prompt

MEANS = [-0.30, -0.20, -0.25, -0.01]
"""Of the tokens of a prompt's n-th completion, in nats."""


class SurePolicy(ScriptedPolicy, ShardedEngine):
    """A scripted policy that also says how likely each of its completions is."""

    def stream(
        self, prompts: Sequence[str], sampling: Sampling, seed: int, on_progress: Any = None
    ) -> Iterator[list[Sample]]:
        for [one] in super().stream(prompts, sampling, seed, on_progress):
            yield [Sample(one.text, (len(self.asked) - 1,), complete=True)]

    def score_with_lengths(self, requests: Sequence[ScoringRequest]) -> list[list[tuple[float, int]]]:
        return [[(MEANS[int(token) % len(MEANS)], 1)] for request in requests for (token,) in request.segments]


def policy_of(context: Context, *answers: str) -> SurePolicy:
    policy = SurePolicy(lambda _, n: f"\\boxed{{{answers[n]}}}")
    context.engine = lambda model: policy  # type: ignore[method-assign]
    return policy


@pytest.mark.parametrize("wave", [1, 2, 4])
def test_votes_weigh_alike_however_many_are_drawn_at_once(make_context: MakeContext, wave: int) -> None:
    context = make_context(
        {
            "samples": 4,
            "votes": "likelihood",
            "relabelling": {"samples": 4},
            "difficulty": {"wave": wave, "rollouts": 4},
            "drop": ["never_solved"],
        }
    )
    first = context.run.stage("labelling")
    policy_of(context, "12", "12", "12", "12", *["12"] * 4)
    labelling_stage(first, context, SurePolicy.model, [prompt("p1", "What is 6 + 6?")], [])
    second = context.run.stage("relabelling_2")
    # Three of four agree with the label, but the fourth is so likely that it has more than half of the weight.
    policy_of(context, "12", "12", "12", "13")
    relabelling_stage(second, context, 2, SurePolicy.model, [first])
    assert [row.weight for row in second.read("votes", Vote)] == likelihood_weights(MEANS, 30.0)
    [task] = second.read("tasks", LabelledTask)
    assert task.flag.startswith("contradicted before round 2")
