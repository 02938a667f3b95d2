"""Layouts for other trainers: TRL's GRPO runs on one, verl's and OpenRLHF's files have the columns that these read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from selfplay.engines.base import ModelRef
from selfplay.export.export import export_prompts
from selfplay.export.layouts import DEFAULT_LAYOUTS, RowSource
from selfplay.export.rollout_pairs import round_pairs
from selfplay.export.trainers import ground_truth, service_label
from selfplay.run.directory import read_recipe
from selfplay.run.files import RunError, write_json
from selfplay.run.plan import FILE, Kind, Plan, PlannedStage, write_plan
from selfplay.run.records import LabelledTask, Rollout, RoundPrompt
from selfplay.run.tables import write_table
from tests.docs.pages import pages
from tests.selfplay.export.conftest import label, rollout
from verifiers.mathematics import MathVerifier
from verifiers.model import Task, Test
from verifiers.service.answers import read_rewards
from verifiers.service.models import RewardsRequest, ScoreItem
from verifiers.service.settings import ServiceLimits

BLOCKS = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_trl_runs_grpo_on_it_as_it_is(run: Path, tmp_path: Path, tiny_model: ModelRef) -> None:
    import datasets
    from transformers import AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    export_prompts(run, str(tmp_path / "data"), ["grpo"], demanded=True)
    rows = datasets.load_dataset(str(tmp_path / "data"), "grpo", split="train", cache_dir=str(tmp_path / "cache"))
    assert [(row["prompt"], row["answer"]) for row in rows][:2] == [
        ("Q: What is 1 + 1?\nA:", "2"),
        ("Q: What is 4 + 4?\nA:", "8"),
    ]
    assert rows[2]["tests"] == [{"input": "1", "output": "14", "args": None, "expected": None}]
    verifier, golds = MathVerifier(), list[str]()

    def verified(completions: list[str], answer: list[str], **_: Any) -> list[float | None]:
        golds.extend(answer)
        tasks = [Task(answer=gold) for gold in answer]
        return [verdict.reward for verdict in verifier.verify_many(list(zip(tasks, completions, strict=True)))]

    config = GRPOConfig(
        str(tmp_path / "out"),
        max_steps=1,
        per_device_train_batch_size=4,
        num_generations=2,
        max_completion_length=4,
        use_cpu=True,
        bf16=False,
        report_to="none",
        save_strategy="no",
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )
    tokenizer = AutoTokenizer.from_pretrained(tiny_model.path)
    math = rows.filter(lambda row: row["domain"] == "math")
    trainer = GRPOTrainer(tiny_model.path, verified, args=config, train_dataset=math, processing_class=tokenizer)
    assert trainer.train().global_step == 1
    verifier.close()
    assert sorted(golds) == ["2", "2", "8", "8"]


def test_chat_prompts_for_grpo(run: Path, tmp_path: Path) -> None:
    export_prompts(run, str(tmp_path / "data"), ["grpo"], "jsonl", chat=True)
    [first, *_] = (tmp_path / "data/grpo/train-00000.jsonl").read_text().splitlines()
    assert json.loads(first)["prompt"] == [{"role": "user", "content": "Q: What is 1 + 1?\nA:"}]


def test_verl_reads_its_columns(run: Path, tmp_path: Path) -> None:
    called = Task("Add.", tests=(Test(args=([1, 2], "x"), expected={"a": 3}),), entry_point="add")
    tasks = [
        LabelledTask("t1", "p1", "math", Task("What is 1 + 1?", "2"), 0.9, 0.75, "", None),
        LabelledTask("t4", "p4", "code", called, 1.0, 0.5, "", None),
        LabelledTask("t7", "p7", "code", Task("Print 14.", tests=(Test("1\n", "14"),)), 1.0, 1.0, "", None),
    ]
    write_table(run / "stages/labelling/tasks.parquet", LabelledTask, tasks)
    # JSON lines are not what verl reads: the layout knows better than --format.
    export_prompts(run, str(tmp_path / "data"), ["verl"], "jsonl")
    rows = pq.read_table(tmp_path / "data/verl/train-00000.parquet").to_pylist()
    assert rows[0] == {
        "data_source": "own/math",
        "prompt": [{"role": "user", "content": "Q: What is 1 + 1?\nA:"}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": "2"},
        "extra_info": {
            "split": "train",
            "index": 0,
            "id": "t1",
            "domain": "math",
            "problem": "What is 1 + 1?",
            "agreement": 0.9,
            "pass_rate": 0.75,
        },
    }
    assert [row["ability"] for row in rows] == ["math", "code", "code"]
    truths = [json.loads(row["reward_model"]["ground_truth"]) for row in rows[1:]]
    assert truths[1] == {"inputs": ["1\n"], "outputs": ["14"]}
    assert truths[0]["fn_name"] == "add"
    assert [[json.loads(line) for line in call.split("\n")] for call in truths[0]["inputs"]] == [[[1, 2], "x"]]
    assert [json.loads(output) for output in truths[0]["outputs"]] == [{"a": 3}]


def test_openrlhf_reads_its_lines(run: Path, tmp_path: Path) -> None:
    _, counts = export_prompts(run, str(tmp_path / "data"), ["openrlhf", "openrlhf_pairs"], "parquet", demanded=True)
    assert counts == {"openrlhf": 3, "openrlhf_pairs": 1}
    [first, *_] = (tmp_path / "data/openrlhf/train-00000.jsonl").read_text().splitlines()
    assert json.loads(first) == {
        "prompt": "Q: What is 1 + 1?\nA:",
        "label": "2",
        "datasource": "own/math",
    }
    pair = json.loads((tmp_path / "data/openrlhf_pairs/train-00000.jsonl").read_text())
    assert pair == {"prompt": "Q: What is 4 + 4?\nA:", "chosen": "eight", "rejected": "nine"}
    assert "openrlhf/*.jsonl" in (tmp_path / "data/README.md").read_text()


PROGRAMS = [
    Task("Add.", tests=(Test(args=([1, 2], "x\ny"), expected={"a": 3}),), entry_point="add", time_limit_s=2.0),
    Task("Print 14.", tests=(Test("1\n", "14"), Test("2\n", "28")), comparison="tokens"),
    Task("Nothing.", tests=(Test(args=(), expected=None),), entry_point="nothing"),
]


@pytest.mark.parametrize("task", [Task("1 + 1?", "2"), *PROGRAMS])
def test_the_reward_service_reads_the_labels_of_both(task: Task) -> None:
    """The task comes back whole: OpenRLHF posts labels, and verl's go through the function on the page."""
    limits = ServiceLimits()
    request = RewardsRequest(query=["Add.\nx"], prompts=["Add.\n"], labels=[service_label(task)])
    [sample], _ = read_rewards(request, "code", ScoreItem, limits)
    assert replace(sample.task, problem="") == replace(task, problem="")
    [source] = [block for block in BLOCKS.findall(pages("how-to/serve-rewards.md")) if "verl_reward.py" in block]
    page: dict[str, Any] = {}
    exec(compile(source, "verl_reward.py", "exec"), page)
    truth = ground_truth(task)
    fields = page["with_tests"](json.loads(truth)) if task.tests else {"answer": truth}
    assert replace(ScoreItem(completion="x", **fields).task(), problem="") == replace(task, problem="")


@pytest.fixture
def rolled_out(run: Path) -> Path:
    """The same run with a first round of GRPO: its rollouts come as they were made, those of a task far apart."""
    tasks = [replace(label(number, str(number)), id=f"t{number}") for number in (21, 22, 23)]
    prompts = [RoundPrompt(f"x{at}", 1, task, "external", "mine", 0, False) for at, task in enumerate(tasks)]
    write_table(run / "stages/selfplay_1/prompts.parquet", RoundPrompt, prompts)
    rows = [
        rollout(21, 0, "right", True),
        rollout(22, 0, "right", True),
        rollout(23, 0, "wrong", False),
        rollout(21, 1, "wrong", False),
        rollout(22, 1, "unknown", None),
        rollout(21, 2, "right", True),
        rollout(22, 2, "<think>never ends", False),
        rollout(21, 3, "wrong too", False),
        rollout(99, 0, "of no prompt", True),
    ]
    write_table(run / "stages/selfplay_1/rollouts.parquet", Rollout, rows)
    return run


def test_pairs_are_made_of_any_rules_rollouts(rolled_out: Path, tmp_path: Path) -> None:
    export_prompts(rolled_out, str(tmp_path / "data"), ["pairs"], "jsonl", demanded=True)
    lines = (tmp_path / "data/pairs/train-00000.jsonl").read_text().splitlines()
    made, of_dpo = map(json.loads, lines)
    # One unique right text makes one pair, with either of the wrong ones.
    assert made.pop("rejected") in ("wrong", "wrong too")
    assert made == {"prompt": "Q: What is 21?\nA:", "chosen": "right", "source": "selfplay_1"}
    assert of_dpo["source"] == "selfplay_2"
    again = list(round_pairs(rolled_out, read_recipe(rolled_out)))
    assert [pair.prompt for pair, _ in again] == [made["prompt"], of_dpo["prompt"]]
    assert list(round_pairs(rolled_out, read_recipe(rolled_out), number=1)) == again[1:], "external prompts: no round's"


def test_a_run_on_given_problems_has_pairs(rolled_out: Path, tmp_path: Path) -> None:
    (rolled_out / FILE).unlink()
    write_plan(rolled_out, Plan([PlannedStage(Kind.SEEDS), PlannedStage(Kind.SELFPLAY, 1)]))
    _, counts = export_prompts(rolled_out, str(tmp_path / "data"), ["pairs"], demanded=True)
    assert counts == {"pairs": 1}
    with pytest.raises(RunError, match="has no curated prompts"):
        export_prompts(rolled_out, str(tmp_path / "more"), ["sft", "pairs"])


def test_an_export_that_would_be_empty_says_why(run: Path, tmp_path: Path) -> None:
    def refusal(*layouts: Any) -> str:
        with pytest.raises(RunError) as caught:
            export_prompts(run, str(tmp_path / "none"), layouts, demanded=True)
        assert not (tmp_path / "none").exists()
        return str(caught.value)

    stages = run / "stages"
    (stages / "selfplay_2/pairs.parquet").unlink()
    assert "no prompt has both a right and a wrong rollout" in refusal("prompts", "pairs")
    (stages / "selfplay_2/rollouts.parquet").unlink()
    assert "pairs would be empty: no round has rollouts (grpo makes them in its rounds)" in refusal("pairs")
    lost = [label(1, None, "label: tie", 0.3), label(4, None, "label: tie"), label(7, None, "agreement too low (0.1)")]
    write_table(stages / "labelling/tasks.parquet", LabelledTask, lost)
    assert "no prompt has a label that may be trained on (label: tie: 2, agreement too low: 1)" in refusal("verl")
    (stages / "labelling/tasks.parquet").unlink()
    assert "nothing is labelled yet" in refusal("openrlhf")
    # Without names, what has no rows is left out, as long as there is something.
    assert export_prompts(run, str(tmp_path / "some"), DEFAULT_LAYOUTS)[1] == {"prompts": 4, "generator": 4}


def test_a_control_says_that_it_has_no_pairs(run: Path, tmp_path: Path) -> None:
    recipe = json.loads((run / "recipe.json").read_text())
    recipe["training"]["rewards"] = "shuffled"
    write_json(run / "recipe.json", recipe)
    assert list(RowSource(run, read_recipe(run), chat=False).rows("openrlhf_pairs")) == []
    with pytest.raises(RunError, match=r"training\.rewards is shuffled"):
        export_prompts(run, str(tmp_path / "none"), ["pairs"], demanded=True)


def test_a_label_says_how_outputs_are_judged() -> None:
    """It held inputs and outputs alone, so that nobody could tell that other outputs are right, too."""
    tests = (Test("1", "2"),)
    assert json.loads(ground_truth(Task("p", tests=tests))) == {"inputs": ["1"], "outputs": ["2"]}
    told = json.loads(ground_truth(Task("p", tests=tests, checker="print(1)", language="cpp", float_tolerance=0.1)))
    assert (told["checker"], told["language"], told["float_tolerance"]) == ("print(1)", "cpp", 0.1)
    assert told["outputs"] == ["2"]
