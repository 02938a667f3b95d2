"""Rollouts for pass rates stop where a decision is sure, and all that were drawn are in the table, in tasks' order."""

from __future__ import annotations

import dataclasses

from selfplay.labelling.pass_rates import measure_pass_rates
from selfplay.run.records import LabelledTask, Rollout
from tests.selfplay.labelling.conftest import MakeContext, ScriptedPolicy, prompt, script
from verifiers.model import Task


def task(name: str, problem: str, answer: str) -> LabelledTask:
    bare = LabelledTask.unlabelled(prompt(name, problem), Task(problem))
    return dataclasses.replace(bare, task=dataclasses.replace(bare.task, answer=answer))


def test_a_wave_asks_only_what_is_not_yet_decided(make_context: MakeContext) -> None:
    difficulty = {"rollouts": 4, "wave": 2, "stop": "certain"}
    context = make_context({"min_agreement": 0.25, "drop": ["at_least_half_solved"], "difficulty": difficulty})
    settings = context.recipe.labelling.difficulty
    assert settings is not None
    said = {"What is 6 + 6?": ["12", "12"], "What is 1 + 1?": ["3", "2", "3", "3"]}
    policy = script(context, lambda text, n: f"\\boxed{{{said[text][n]}}}")
    tasks = [task("b", "What is 6 + 6?", "12"), task("a", "What is 1 + 1?", "2")]
    stage = context.run.stage("labelling")
    easy, hard = measure_pass_rates(stage, context, ScriptedPolicy.model, tasks, settings, 3)
    assert (easy.drawn, easy.passed, easy.reason) == (2, 2, "difficulty: solved in at least half of the tries")
    assert (hard.drawn, hard.passed, hard.reason) == (4, 1, "")
    assert policy.asked.count("What is 6 + 6?") == 2
    rows = stage.read("rollouts", Rollout)
    assert [(row.task_id, row.index, row.passed, row.round) for row in rows] == [
        *(("b", number, True, 3) for number in range(2)),
        *(("a", number, number == 1, 3) for number in range(4)),
    ]
