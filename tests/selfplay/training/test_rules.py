"""What each update rule hands to its trainer, and what it keeps, with a trainer that only writes down its job."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef, Sample, Sampling
from selfplay.rollouts.judge import Judge
from selfplay.run.directory import RunDirectory
from selfplay.run.records import Example, LabelledTask, Pair, PolicyTask, Rollout, Seed
from selfplay.run.tables import read_table
from selfplay.stage.context import Context
from selfplay.training import rules
from selfplay.training.rules import Round
from selfplay.training.verified_rollouts import write_rollouts
from selfplay.trl_trainers.dpo import OUTCOME, train_dpo
from selfplay.trl_trainers.grpo import GROUPS_FILE, train_grpo
from selfplay.trl_trainers.jobs import DPOJob, GRPOJob, SFTJob
from selfplay.trl_trainers.sft import NothingToLearn, train_sft
from tests.selfplay.in_process import InProcess
from tests.selfplay.synthesis.toy import Quiet
from verifiers.model import Task

MODEL = ModelRef("policy", "of before")


@dataclass(frozen=True, slots=True)
class Watched(Round):
    """A round of given rollouts, whose trainer writes down what it is asked for."""

    given: list[Rollout] = field(default_factory=list)
    asked: list[tuple[Any, Any]] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    """What the training leaves in its folder, by name."""

    def train(self, function: Any, job: Any) -> None:
        self.asked.append((function, job))
        folder = self.stage.folder / "policy-training"
        folder.mkdir()
        for name, text in self.logs.items():
            (folder / name).write_text(text)

    def roll_out(self, k: int) -> int:
        assert k == 4
        return self.stage.write("rollouts", Rollout, self.given)


def task(name: str) -> LabelledTask:
    return LabelledTask(name, name, "math", Task(f"What is {name}?", "7"), 1.0, 0.5, "", None)


def seed(name: str, asked: Task, solution: str) -> Seed:
    return Seed(name, "math", "train", "file", (), "", "", asked, solution, None)


TASKS = [task("a"), task("b"), task("c")]


def rollout(name: str, index: int, passed: bool | None, status: str = "") -> Rollout:
    reward = None if passed is None else float(passed)
    given = status or {True: "correct", False: "wrong", None: "timed_out"}[passed]
    return Rollout(f"{name}{index}", name, "math", 1, "T=1", index, f"{name} {index}", passed, reward, given, "")


ROLLOUTS = [
    *(rollout("a", index, passed) for index, passed in enumerate([True, False, False, None])),
    *(rollout("b", index, True) for index in range(4)),
    *(rollout("c", index, passed) for index, passed in enumerate([False, True, False])),
    rollout("c", 3, False, "cut"),
]


def context_of(run: RunDirectory) -> Context:
    nothing: Any = None
    workers: Any = InProcess()
    return Context(run, workers, nothing, Quiet(), nothing)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    with_run: list[Any] = []

    def made(
        algorithm: str,
        given: list[Rollout] | None = None,
        logs: dict[str, str] | None = None,
        router: str = "frozen",
        **own: Any,
    ) -> Any:
        settings = {
            "name": "r",
            "router": router,
            "model": {"kind": "scratch"},
            "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
            "training": {
                "algorithm": algorithm,
                "sampling": {"temperature": 0.8, "top_p": 0.9, "max_new_tokens": 33},
                "dpo": {"rollouts": 4, "args": {"beta": 0.3}},
                "rft": {"rollouts": 4, "samples_per_prompt": 4, "args": {"max_steps": 5}},
                "grpo": {"args": {"max_steps": 6}},
                "continued_sft": {"args": {"max_steps": 7}},
            }
            | own,
        }
        opened = RunDirectory.open(tmp_path / "run", Recipe.model_validate(settings))
        run = opened.__enter__()
        with_run.append(opened)
        stage = run.stage("selfplay_1")
        stage.folder.mkdir(parents=True)
        seeds = [
            seed("s1", Task("Two and two?", "4"), "It is 4."),
            seed("s2", Task("One?", "1"), ""),
        ]
        return Watched(stage, context_of(run), 1, MODEL, TASKS, seeds, given=given or ROLLOUTS, logs=logs or {})

    yield made
    for opened in with_run:
        opened.__exit__(None, None, None)


def prompt_of(this: Watched, one: LabelledTask) -> str:
    return formats.solver_input(this.context.recipe.domains["math"], one.task)


def test_grpo_hands_over_tasks_and_reads_its_rollouts_back(make: Any) -> None:
    row = {"rank": 0, "call": 1, "domain": "math", "completion": "x", "reason": "", "token_ids": [1]}
    lines = [
        row | {"step": 1, "place": 0, "task_id": "a", "passed": True, "reward": 1.0, "status": "correct"},
        row | {"step": 1, "place": 1, "task_id": "b", "passed": None, "reward": None, "status": "timed_out"},
    ]
    logs = {"rollouts-0.jsonl": "".join(json.dumps(line) + "\n" for line in lines), GROUPS_FILE: '{"groups": 2}'}
    this = make("grpo", logs=logs)
    assert rules.grpo(this) == {"rollouts": 2, "not_checked": 1, "groups": 2}
    [(function, job)] = this.asked
    assert function is train_grpo
    assert isinstance(job, GRPOJob)
    assert (job.model, job.lora, job.shuffled, job.store) == (MODEL, None, False, this.context.run.store_folder)
    expected = {"temperature": 0.8, "top_p": 0.9, "max_completion_length": 33, "max_steps": 6}
    assert {name: job.args[name] for name in expected} == expected
    assert read_table(job.tasks, PolicyTask) == [
        PolicyTask(one.id, "math", prompt_of(this, one), one.task) for one in TASKS
    ]
    written = this.rollouts()
    assert [(one.task_id, one.mode, one.round, one.passed) for one in written] == [
        ("a", "T=0.8", 1, True),
        ("b", "T=0.8", 1, None),
    ]


def test_the_trainers_own_arguments_win_over_the_sampling(make: Any) -> None:
    logs = {"rollouts-0.jsonl": "", GROUPS_FILE: "{}"}
    this = make("grpo", logs=logs, grpo={"args": {"temperature": 0.5}}, rewards="shuffled")
    rules.grpo(this)
    assert this.asked[0][1].args["temperature"] == 0.5
    assert this.asked[0][1].shuffled


@pytest.mark.parametrize("rule", ["grpo", "dpo", "rft"])
def test_adapter_and_router_are_handed_over(make: Any, rule: str) -> None:
    logs = {"rollouts-0.jsonl": "", GROUPS_FILE: "{}"} if rule == "grpo" else {}
    this = make(rule, logs=logs, router="trained", lora={"r": 4})
    getattr(rules, rule)(this)
    [(_, job)] = this.asked
    assert (job.lora, job.router) == ({"r": 4}, "trained")


def test_rft_learns_from_right_rollouts(make: Any) -> None:
    this = make("rft")
    counts = rules.rft(this)
    [(function, job)] = this.asked
    assert function is train_sft
    assert isinstance(job, SFTJob)
    assert (job.model, job.args["max_steps"]) == (MODEL, 5)
    right = [row for row in ROLLOUTS if row.passed]
    assert [(one.prompt, one.segments) for one in read_table(job.examples, Example)] == [
        (prompt_of(this, task(row.task_id)), (row.completion,)) for row in right
    ]
    assert (counts["samples"], counts["set_aside"]) == (len(right), 0)
    assert counts["rollouts"] == len(ROLLOUTS)
    assert sum(counts["invalid"].values()) == 2


def test_rft_keeps_as_many_samples_as_its_recipe_says(make: Any) -> None:
    this = make("rft", rft={"rollouts": 4, "samples_per_prompt": 1})
    assert rules.rft(this)["samples"] == 3
    prompts = [one.prompt for one in read_table(this.asked[0][1].examples, Example)]
    assert Counter(prompts) == Counter(prompt_of(this, one) for one in TASKS)


def test_dpo_learns_from_pairs_within_a_prompt(make: Any) -> None:
    this = make("dpo", logs={OUTCOME: '{"stopped": "the chosen ones became unlikely"}'})
    counts = rules.dpo(this)
    [(function, job)] = this.asked
    assert function is train_dpo
    assert isinstance(job, DPOJob)
    assert (job.model, job.args["beta"]) == (MODEL, 0.3)
    pairs = read_table(job.pairs, Pair)
    assert counts["pairs"] == len(pairs) == 2
    right = {row.completion for row in ROLLOUTS if row.passed}
    for pair in pairs:
        assert pair.prompt == prompt_of(this, task(pair.task_id))
        assert pair.chosen in right
        assert pair.rejected not in right
        assert pair.rejected != "c 3", "what was cut is no wrong answer"
    assert counts["stopped"] == "the chosen ones became unlikely"
    assert this.context.listener.notes == ["round 1: the chosen ones became unlikely"]


def test_continued_sft_learns_from_the_seeds_that_have_a_solution(make: Any) -> None:
    this = make("continued_sft")
    assert rules.continued_sft(this) == {"samples": 1}
    [(_, job)] = this.asked
    assert job.args["max_steps"] == 7
    [example] = read_table(job.examples, Example)
    assert example.segments == ("It is 4.",)
    assert "Two and two?" in example.prompt
    without = replace(this, seeds=this.seeds[1:])
    with pytest.raises(NothingToLearn, match="no worked solutions"):
        rules.continued_sft(without)


@pytest.mark.parametrize(
    ("rule", "says"), [("rft", "no rollout passed"), ("dpo", r"rollout \(1 cut at the token limit, 1 not checked of 3")]
)
def test_where_nothing_can_be_learnt_the_rule_says_so(make: Any, rule: str, says: str) -> None:
    this = make(rule, given=[rollout("a", 0, False), rollout("b", 0, False, "cut"), rollout("b", 1, None)])
    with pytest.raises(NothingToLearn, match=says):
        getattr(rules, rule)(this)
    assert not this.asked


def test_rft_leaves_out_what_its_bands_do(make: Any) -> None:
    """The band of b, which always passed, may have three of the six samples."""
    this = make("rft", rft={"rollouts": 4, "samples_per_prompt": 4, "bands": 2})
    counts = rules.rft(this)
    assert (counts["samples"], counts["set_aside"]) == (5, 1)


def test_rollouts_of_a_round_have_a_seed_and_metrics_of_their_own(make: Any) -> None:
    this = make("rft")
    heard: list[Any] = []
    asked: list[Any] = []

    class Policy:
        model = MODEL

        def stream(self, prompts: Any, sampling: Sampling, seed: int, on_progress: Any = None) -> Any:
            asked.append((sampling, seed))
            yield [Sample(r"\boxed{7}", (1,), True)] * len(prompts)

    context: Any = this.context
    context.judge = Judge(context.recipe, context.run.store_folder, workers=1)
    context.engine = lambda model: Policy()
    context.listener = SimpleNamespace(
        begin=lambda *_: None, advance=lambda _: None, log=lambda *said: heard.append(said)
    )
    assert write_rollouts(this.stage, context, 1, MODEL, TASKS, 2) == 6
    context.judge.close()
    assert asked == [(Sampling(0.8, 33, 0.9), context.seed("selfplay", 1, "rollouts"))]
    [(stage, metrics)] = heard
    assert stage == "selfplay_1"
    assert metrics["rollouts/reward"] == 1.0
    assert {(row.mode, row.passed) for row in this.rollouts()} == {("T=0.8", True)}


@pytest.mark.parametrize("algorithm", ["dpo", "rft"])
def test_the_control_learns_from_permuted_verdicts_and_its_table_keeps_the_right_ones(
    make: Any, algorithm: str
) -> None:
    given = [rollout(name, index, index == 0) for name in "abc" for index in range(4)]
    this = make(algorithm, given=given, rewards="shuffled")
    getattr(rules, algorithm)(this)
    assert this.stage.read("rollouts", Rollout) == given
    right = {row.completion for row in given if row.passed}
    [(_, job)] = this.asked
    learnt = (
        {pair.chosen for pair in read_table(job.pairs, Pair)}
        if algorithm == "dpo"
        else {text for example in read_table(job.examples, Example) for text in example.segments}
    )
    assert learnt - right
    rows = list(this.rollouts())
    assert sum(bool(row.passed) for row in rows) == 3
    assert rows == list(this.rollouts()), "the same each time it is asked"
