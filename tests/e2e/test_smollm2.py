"""A small real model, where its weights are: SMOLLM2_FOLDER names the folder that docs/how-to/import-gguf.md makes."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from examples import one_step
from selfplay import formats
from selfplay.config.load import load_recipe
from selfplay.quickstart import seeds
from tests.e2e.conftest import ROOT, selfplay
from verifiers.model import Task
from verifiers.registry import load

FOLDER = os.environ.get("SMOLLM2_FOLDER", "")
RECIPE = ROOT / "configs" / "smollm2-cpu.yaml"
GRPO = ROOT / "configs" / "smollm2-grpo.yaml"
needs_weights = pytest.mark.skipif(not FOLDER, reason="needs SMOLLM2_FOLDER, see docs/how-to/import-gguf.md")


def written(folder: Path, split: seeds.Split, count: int) -> Path:
    """A file of problems without concepts."""
    file = folder / f"{split}.jsonl"
    rows = [
        {"problem": p.problem, "answer": p.answer, "rationale": p.rationale}
        for p in seeds.generate("math", count, 0, split)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.long
@needs_weights
def test_problems_without_concepts_become_new_ones_on_a_real_model(tmp_path: Path) -> None:
    settings = (
        f"model.name={FOLDER}",
        f"cold_start.annotators.itself.engine.name={FOLDER}",
        f"domains.math.seeds.train={written(tmp_path, 'train', 16)}",
        f"domains.math.seeds.heldout={written(tmp_path, 'heldout', 6)}",
        "em.heldout_pairs=6",
        "synthesis.prompts=8",
    )
    run = tmp_path / "run"
    done = selfplay("synthesize", RECIPE, *settings, "--run-dir", run, timeout=1800)
    assert done.returncode == 0, done.stderr
    triples = pq.read_table(run / "stages" / "annotation" / "math-train.parquet").to_pylist()
    assert triples
    assert all(2 <= len(row["concepts"]) <= 3 and row["rationale"] for row in triples)
    for stage in ("cold_start", "em_1"):
        row = json.loads((run / "stages" / stage / "manifest.json").read_text())["counts"]["row"]
        assert math.isfinite(row["nll_without_rationale"])
        # An untuned model would leave the form of a completion; these were tuned on it.
        assert row["parse_rate"] > 0.3
        # None where no rationale of some held-out pair ended in time.
        assert row["bound"] is None or row["bound"] > 0
    prompts = pq.read_table(run / "stages" / "synthesis" / "prompts.parquet").to_pylist()
    assert len(prompts) == 8
    assert any(row["problem"] for row in prompts)


@pytest.mark.long
@needs_weights
def test_a_real_model_is_trained_by_grpo_and_evaluated_before_and_after(tmp_path: Path) -> None:
    settings = (
        f"model.name={FOLDER}",
        "training.grpo.args.max_steps=2",
        "training.grpo.args.save_steps=2",
        "evaluation.problems=16",
    )
    run = tmp_path / "run"
    done = selfplay("run", GRPO, *settings, "--run-dir", run, timeout=1800)
    assert done.returncode == 0, done.stderr
    rollouts = pq.read_table(run / "stages" / "selfplay_1" / "rollouts.parquet").to_pylist()
    assert len(rollouts) == 2 * 32
    # The few turns before the problem make the untuned model right now and then: there is something to learn from.
    rewards = [row["reward"] for row in rollouts]
    assert 0 < sum(rewards) < len(rewards)
    for number in (0, 1):
        judged = pq.read_table(run / "stages" / f"evaluation_{number}" / "rollouts.parquet").to_pylist()
        assert len(judged) == 16 * 3
        assert sum(row["status"] == "cut" for row in judged) < len(judged) / 2
    assert changed(Path(FOLDER), run / "best")


def changed(before: Path, after: Path) -> list[str]:
    """The names of the tensors that differ between two folders with the same model."""
    import torch
    from safetensors.torch import load_file

    first, second = (load_file(folder / "model.safetensors") for folder in (before, after))
    assert first.keys() == second.keys()
    return [name for name in first if not torch.equal(first[name], second[name])]


@pytest.mark.parametrize(
    ("completion", "passed"),
    [
        (" 8 + 4 = 12.", True),
        (" 8 + 4 = 12 apples.", True),
        (" 12.", True),
        (" 8 + 4.", False),  # equal to the answer, but it leaves the sum to the reader
        (" 8 + 4 = 8 + 4.", False),
        (" 9 + 9 = 12.", False),
        (" 8 - 4 = 4.", False),
    ],
)
def test_only_an_answer_that_is_worked_out_is_rewarded(completion: str, passed: bool) -> None:
    domain = load_recipe(GRPO).domains["arithmetic"]
    verifier = load(domain.verifier, domain.verifier_params)
    try:
        assert verifier.verify(Task(answer="12"), completion).passed is passed
    finally:
        verifier.close()


def test_the_examples_in_the_prompt_are_right_and_in_no_file_of_problems() -> None:
    recipe = load_recipe(GRPO)
    prompt = formats.solver_input(recipe.domains["arithmetic"], Task("THE PROBLEM"))
    problems = re.findall(r"user\n(.*)<", prompt)
    sums = re.findall(r"Equation: (\d+) ([-+*/]) (\d+) = (\d+)[.]<", prompt)
    assert len(problems) == len(sums) + 1 == 4
    told = {row["problem"] for split, count in one_step.COUNTS.items() for row in one_step.problems(split, count)}
    assert not told & set(problems)
    right = {(o.sign, *pair) for o in one_step.OPERATIONS for pair in o.pairs}
    assert all((sign, int(a), int(b), int(c)) in right for a, sign, b, c in sums)
