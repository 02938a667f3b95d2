"""Problems and answers alone, as CSV: every rule runs on them, and no stage of synthesis is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from selfplay.config.load import load_recipe
from selfplay.engines.base import ModelRef
from selfplay.pipeline.stages import stage_table
from selfplay.run.records import RoundPrompt
from selfplay.run.tables import read_table
from tests.selfplay.pipeline.test_rounds import run_whole

ARGS = {
    "grpo": {"args": {"max_steps": 1, "per_device_train_batch_size": 8, "num_generations": 4}},
    "dpo": {"rollouts": 16, "args": {"max_steps": 1, "per_device_train_batch_size": 2}},
    "rft": {"rollouts": 16, "args": {"max_steps": 1, "per_device_train_batch_size": 2}},
}


@pytest.mark.parametrize("rule", ARGS)
def test_a_rule_needs_nothing_else(rule: str, tmp_path: Path, tiny_model: ModelRef) -> None:
    (tmp_path / "problems.csv").write_text("question,gold\n" + "".join(f"Say {n}.,{n}\n" for n in range(10)))
    # About half of all texts have an even length, so that there is something to learn from.
    (tmp_path / "even_rules.py").write_text("def even(task, completion):\n    return len(completion) % 2 == 0\n")
    recipe = {
        "name": "alone",
        "model": {"kind": "pretrained", "name": tiny_model.path, "prompt_style": "raw", "dtype": "float32"},
        "domains": {
            "math": {
                "seeds": {"kind": "file", "train": "problems.csv", "fields": {"problem": "question", "answer": "gold"}},
                "verifier": "even_rules:even",
            }
        },
        "training": {
            "algorithm": rule,
            "rounds": 1,
            "pool": {"arm": "external"},
            "sampling": {"max_new_tokens": 250},  # as it seldom ends
            rule: ARGS[rule],
        },
        "evaluation": {"samples": 1, "temperatures": [1.0], "greedy": False, "max_new_tokens": 8, "bootstrap": 100},
    }
    (tmp_path / "alone.yaml").write_text(yaml.safe_dump(recipe))
    settings = load_recipe(tmp_path / "alone.yaml")
    assert list(stage_table(settings)) == ["seeds", "base", "evaluation_0", "selfplay_1", "evaluation_1"]
    summary, _ = run_whole(tmp_path / "run", settings)
    assert summary["gains"]
    prompts = read_table(tmp_path / "run" / "stages" / "selfplay_1" / "prompts.parquet", RoundPrompt)
    assert {one.task.problem for one in prompts} < {f"Say {n}." for n in range(10)}
    assert len({one.task.problem for one in prompts}) == 9
