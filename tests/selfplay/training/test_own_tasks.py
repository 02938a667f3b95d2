"""A user's own tasks on the run's own path: file, tables, prompts of a round, trainer's table, reward function."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.recipe import Recipe
from selfplay.config.rules import GRPORule
from selfplay.config.training import PromptPool
from selfplay.engines.base import ModelRef
from selfplay.rollouts.judge import Judge
from selfplay.rollouts.overlapped import OverlappedJudge
from selfplay.rollouts.reward_function import VerifiedReward
from selfplay.rollouts.rollout_log import RolloutLog
from selfplay.run.records import PolicyTask, RoundPrompt, Seed
from selfplay.run.tables import read_table, write_table
from selfplay.seeds.stage import load_seeds, may_lack
from selfplay.training.external_prompts import external_tasks
from selfplay.training.prompt_pool import Draw, Pools, choose
from selfplay.trl_trainers.grpo import task_set
from selfplay.trl_trainers.jobs import GRPOJob


def python(source: str) -> str:
    return f"```python\n{source}\n```"


def cpp(source: str) -> str:
    return f"```cpp\n#include <cstdio>\nint main() {{ {source} }}\n```"


ROWS: dict[str, dict[str, Any]] = {
    "function": {
        "entry_point": "add",
        "tests": [{"args": [1, 2], "expected": 3}, {"args": ["a", "b"], "expected": "ab"}],
    },
    "tolerance": {
        "entry_point": "third",
        "tests": [{"args": [1], "expected": 0.3333}],
        "float_tolerance": 0.001,
        "tolerance_kind": "absolute",
    },
    "any order": {"entry_point": "f", "tests": [{"args": [], "expected": [1, 2]}], "comparison": "any_order"},
    "time limit": {"entry_point": "f", "tests": [{"args": [], "expected": 1}], "time_limit_s": 0.5},
    "C++": {"language": "cpp", "tests": [{"input": "20 22", "output": "42"}]},
    "checker": {
        "tests": [{"input": "12", "output": "2"}],
        "checker": "import sys\n"
        "number, divisor = (int(open(sys.argv[at]).read()) for at in (1, 2))\n"
        "sys.exit(not 1 < divisor < number or number % divisor)",
    },
}
COMPLETIONS = [
    ("function", python("def add(a, b):\n    return a + b"), "accepted"),
    ("function", python("class Solution:\n    def add(self, a, b):\n        return a + b"), "accepted"),
    ("function", python("def add(a, b):\n    return 3"), "wrong_answer"),
    ("function", python("a, b = map(int, input().split())\nprint(a + b)"), "runtime_error"),
    ("function", "It is 3.", "no_answer"),
    ("tolerance", python("def third(x):\n    return x / 3"), "accepted"),
    ("tolerance", python("def third(x):\n    return 0.33"), "wrong_answer"),
    ("any order", python("def f():\n    return [2, 1]"), "accepted"),
    ("any order", python("def f():\n    return [2, 2]"), "wrong_answer"),
    ("time limit", python("def f():\n    while True: pass"), "time_limit"),
    ("C++", cpp('int a, b; scanf("%d %d", &a, &b); printf("%d", a + b);'), "accepted"),
    ("C++", cpp('int a, b; scanf("%d %d", &a, &b); printf("%d", a - b);'), "wrong_answer"),
    ("C++", cpp("int a = ;"), "compile_error"),
    ("C++", python("print(sum(map(int, input().split())))"), "no_answer"),
    ("checker", python("print(3)"), "accepted"),
    ("checker", python("print(5)"), "wrong_answer"),
]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    file = tmp_path_factory.mktemp("own") / "own.jsonl"
    file.write_text("".join(json.dumps({"problem": name} | row) + "\n" for name, row in ROWS.items()))
    seeds = {"kind": "file", "train": str(file), "heldout": str(file), "level": "easy"}
    return Recipe.model_validate(
        {
            "name": "own",
            "model": {"kind": "scratch"},
            "domains": {"code": {"seeds": seeds, "verifier": "code"}},
            "training": {"pool": {"arm": "external"}},
        }
    )


@pytest.fixture(scope="module")
def prompts(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RoundPrompt]:
    """The prompts of a round, by problem, read back from the table that the stage of the round writes."""
    folder = tmp_path_factory.mktemp("tables")
    write_table(
        folder / "seeds.parquet",
        Seed,
        load_seeds(0, "code", recipe.domains["code"], "train", may_lack(recipe)),
    )
    external, _ = external_tasks(recipe, read_table(folder / "seeds.parquet", Seed), None)
    chosen = choose(Pools({1: []}, external), PromptPool(arm="external"), Draw(0, 0.0, 1), 1)
    write_table(folder / "prompts.parquet", RoundPrompt, chosen)
    return {one.task.problem: one for one in read_table(folder / "prompts.parquet", RoundPrompt)}


@pytest.fixture
def judge(recipe: Recipe, tmp_path: Path) -> Iterator[Judge]:
    made = Judge(recipe, tmp_path / "store", workers=2)
    yield made
    made.close()


def test_rewards_of_a_training_are_those_of_the_whole_label(
    recipe: Recipe, prompts: dict[str, RoundPrompt], judge: Judge, tmp_path: Path
) -> None:
    file = tmp_path / "tasks.parquet"
    write_table(file, PolicyTask, (PolicyTask(name, "code", name, one.task.task) for name, one in prompts.items()))
    job = GRPOJob(
        model=ModelRef("none", "none"),
        args={},
        lora=None,
        tasks=file,
        rule=GRPORule(),
        domains=recipe.domains,
        sandbox=recipe.sandbox,
        store=tmp_path,
    )
    rows = {row["task_id"]: row for row in task_set(job, tmp_path)}
    overlapped = OverlappedJudge(judge, threads=2, timeout_s=120)
    log = tmp_path / "rollouts.jsonl"
    reward = VerifiedReward(overlapped, RolloutLog(log, 0), rank=0, seed=1, shuffled=False)
    names, completions, statuses = zip(*COMPLETIONS, strict=True)
    ids = [(1,)] * len(names)
    rewards = asyncio.run(reward.judge(completions, ids, [rows[name] for name in names], step=1))
    assert [json.loads(line)["status"] for line in log.read_text().splitlines()] == list(statuses)
    assert rewards == [float(status == "accepted") for status in statuses]


def test_so_are_the_verdicts_on_finished_rollouts(prompts: dict[str, RoundPrompt], judge: Judge) -> None:
    verdicts = judge.judge([("code", prompts[name].task.task, text) for name, text, _ in COMPLETIONS])
    assert [verdict.status for verdict in verdicts] == [status for _, _, status in COMPLETIONS]
