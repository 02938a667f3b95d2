"""One problem on its way through the tables of a small run: from its concepts to the weights that it changed."""

from __future__ import annotations

import dataclasses
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from selfplay import formats
from selfplay.engines.loading import load
from selfplay.pipeline.api import RunResult, open_run
from selfplay.rollouts.judge import Judge
from selfplay.run.records import LabelledTask, PolicyTask, Prompt, Rollout, RoundPrompt, Seed, Vote
from selfplay.run.tables import read_table
from selfplay.trl_trainers.model_folder import trained_model

pytestmark = pytest.mark.xdist_group("small_run")


@dataclasses.dataclass
class Way:
    """What the tables have of one problem, from the last to the first."""

    run: RunResult
    group: list[Rollout]
    """All its rollouts of the first round."""
    learnt: PolicyTask
    chosen: RoundPrompt
    labelled: LabelledTask
    curated: Prompt
    written: Prompt
    seeds: list[Seed]
    """The training seeds of its domain."""


@pytest.fixture(scope="module")
def way(finished: Path) -> Way:
    """The way of the math problem whose rollouts differ most in their rewards."""
    run = open_run(finished)

    def rows(stage: str, table: str, record: Any) -> list[Any]:
        return read_table(finished / "stages" / stage / f"{table}.parquet", record)

    groups: dict[str, list[Rollout]] = defaultdict(list)
    for row in rows("selfplay_1", "rollouts", Rollout):
        if row.domain == "math":
            groups[row.task_id].append(row)
    group = max(groups.values(), key=lambda some: statistics.pvariance(row.reward or 0.0 for row in some))
    [learnt] = [row for row in rows("selfplay_1", "tasks", PolicyTask) if row.task_id == group[0].task_id]
    [chosen] = [row for row in rows("selfplay_1", "prompts", RoundPrompt) if row.task.id == learnt.task_id]
    [labelled] = [row for row in rows("labelling", "tasks", LabelledTask) if row.id == chosen.task.id]
    [curated] = [row for row in rows("curation", "prompts", Prompt) if row.id == labelled.prompt_id]
    [written] = [row for row in rows("synthesis", "prompts", Prompt) if row.id == curated.id]
    return Way(run, group, learnt, chosen, labelled, curated, written, rows("seeds", "math-train", Seed))


def test_its_concepts_are_those_of_seeds_and_its_words_are_the_prompt_models(way: Way) -> None:
    known = {concept for seed in way.seeds for concept in seed.concepts}
    assert way.written.concepts
    assert set(way.written.concepts) <= known
    last = trained_model(way.run.path / "stages" / "em_2" / "prompt-model")
    assert way.written.model == last.fingerprint
    read = formats.parse_completion(way.written.completion)
    assert (read.rationale, read.problem) == (way.written.rationale, way.written.problem)
    assert way.curated == way.written
    assert way.curated.dropped == ""


def test_its_label_is_what_the_votes_say(way: Way) -> None:
    assert way.labelled.task.problem == way.written.problem
    votes = read_table(way.run.path / "stages" / "labelling" / "votes.parquet", Vote)
    weights: dict[str, float] = defaultdict(float)
    for vote in votes:
        if vote.prompt_id == way.written.id and vote.answer is not None:
            weights[vote.answer] += vote.weight
    assert weights[str(way.labelled.task.answer)] == max(weights.values())


def test_a_round_learns_from_it_as_it_was_labelled(way: Way) -> None:
    assert dataclasses.replace(way.chosen.task, flag="") == way.labelled
    assert (way.chosen.round, way.chosen.source, way.chosen.made_in) == (1, "synthesised", 1)
    assert way.learnt.task == way.labelled.task
    assert way.learnt.prompt == formats.solver_input(way.run.recipe.domains["math"], way.labelled.task)


def test_its_rollouts_have_the_verdicts_of_the_verifier_on_its_label(way: Way, tmp_path: Path) -> None:
    judge = Judge(way.run.recipe, tmp_path / "store", workers=1)
    try:
        verdicts = judge.judge([("math", way.labelled.task, row.completion) for row in way.group])
    finally:
        judge.close()
    assert [(row.passed, row.reward, row.status) for row in way.group] == [
        (verdict.passed, verdict.reward, verdict.status) for verdict in verdicts
    ]
    assert len(way.group) % way.run.recipe.training.rule_args["num_generations"] == 0
    assert len({row.reward for row in way.group}) == 2


def test_the_weights_moved_towards_its_right_rollouts_and_away_from_its_wrong_ones(way: Way) -> None:
    """The change of each rollout's log-probability, weighted by how much better it was than the others."""
    mean = statistics.fmean(row.reward or 0.0 for row in way.group)
    before, after = (log_probabilities(way, folder) for folder in ("base/model", "selfplay_1/policy"))
    moved = [
        (float(row.reward or 0.0) - mean) * (new - old) for row, old, new in zip(way.group, before, after, strict=True)
    ]
    assert sum(moved) > 0.1


def log_probabilities(way: Way, model: str) -> list[float]:
    """log p(completion and its end | prompt) of each rollout, nats."""
    import torch

    network, tokenizer = load(trained_model(way.run.path / "stages" / model), "cpu")
    prompt = tokenizer(way.learnt.prompt, add_special_tokens=False)["input_ids"]
    found = []
    for row in way.group:
        ids = [*prompt, *row.token_ids, tokenizer.eos_token_id]
        with torch.no_grad():
            logs = torch.log_softmax(network(torch.tensor([ids])).logits[0].double(), -1)
        found.append(sum(float(logs[place - 1, ids[place]]) for place in range(len(prompt), len(ids))))
    return found
