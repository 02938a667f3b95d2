"""Exports load in `datasets` and TRL as they are, with a card that tells where they come from and no secrets."""

from __future__ import annotations

import dataclasses
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.config.rows import FileRows
from selfplay.engines.base import ModelRef
from selfplay.export import export as exporting
from selfplay.export.export import export_prompts
from selfplay.export.layouts import DEFAULT_LAYOUTS, Layout, RowSource
from selfplay.run.directory import read_recipe
from selfplay.run.files import RunError
from selfplay.run.records import LabelledTask, Rollout
from selfplay.run.tables import write_table
from selfplay.seeds.stage import external_problems
from tests.selfplay.export.conftest import SECRET, prompt, rollout
from verifiers.model import Task, Test

OWN_LAYOUTS: tuple[Layout, ...] = (*DEFAULT_LAYOUTS, "dropped")


def loaded(folder: Path, layout: str) -> list[dict[str, Any]]:
    import datasets

    rows = datasets.load_dataset(str(folder), layout, split="train", cache_dir=str(folder.parent / "cache"))
    return list(rows)


WHOLE = Task(
    "What is 7 + 7?",
    tests=(Test(args=([7], {"a": None}), expected=14.5), Test(args=(), expected=None)),
    entry_point="f",
    time_limit_s=2.5,
    float_tolerance=0.5,
    tolerance_kind="absolute",
    comparison="any_order",
)


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_exported_prompts_are_seeds_with_their_whole_labels(run: Path, tmp_path: Path, ending: Any) -> None:
    labelled = [
        LabelledTask("t1", "p1", "math", Task("What is 1 + 1? “ü”", "2", time_limit_s=3.0), 0.9, 0.75, "", None),
        LabelledTask("t4", "p7", "code", dataclasses.replace(WHOLE, problem=prompt(7).problem), 1.0, 0.5, "", None),
    ]
    write_table(run / "stages/labelling/tasks.parquet", LabelledTask, labelled)
    export_prompts(run, str(tmp_path / "data"), ["prompts"], ending)
    [file] = (tmp_path / "data/prompts").iterdir()
    domain = read_recipe(run).domains["code"]
    seeds = external_problems("code", domain, FileRows(kind="file", path=str(file)), "optional")
    tasks = {task.problem: task for task in (seed.task for seed in seeds)}
    assert {one.problem: one.task for one in labelled}.items() <= tasks.items()
    assert len(tasks) == 4


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_a_round_trip_through_datasets(run: Path, tmp_path: Path, ending: Any) -> None:
    folder = tmp_path / ending
    where, counts = export_prompts(run, str(folder), OWN_LAYOUTS, ending)
    assert where == str(folder)
    assert counts == {"prompts": 4, "generator": 4, "sft": 2, "pairs": 1, "dropped": 3}
    prompts = loaded(folder, "prompts")
    assert [row["id"] for row in prompts] == ["p1", "p3", "p4", "p7"]
    assert prompts[0]["problem"] == "What is 1 + 1? “ü”"
    assert prompts[0]["concepts"] == ["sums", "numbers"]
    assert [row["answer"] for row in prompts] == ["2", None, "8", None]
    assert [row["pass_rate"] for row in prompts] == [0.75, None, 0.5, 1.0]
    assert [row["unlabelled"] for row in prompts] == ["", "label: tie", "", ""]
    assert prompts[3]["tests"] == [{"input": "1", "output": "14", "args": None, "expected": None}]
    assert {row["round"] for row in prompts} == {1}
    assert prompts[0]["model"] == "m", "folders of this machine stay here"
    assert loaded(folder, "generator")[0] == {
        "prompt": "Write a problem.\nConcepts:\n1. sums\n2. numbers\nDifficulty Level: easy\n",
        "completion": "<!-- BEGIN RATIONALE -->think 1<!-- END RATIONALE -->"
        "<!-- BEGIN PROBLEM -->What is 1 + 1? “ü”<!-- END PROBLEM -->",
    }
    assert loaded(folder, "sft") == [
        {"prompt": "Q: What is 1 + 1?\nA:", "completion": "2!"},
        {"prompt": "Q: What is 4 + 4?\nA:", "completion": "eight"},
    ]
    assert loaded(folder, "pairs") == [
        {"prompt": "Q: What is 4 + 4?\nA:", "chosen": "eight", "rejected": "nine", "source": "selfplay_2"}
    ]
    assert [(row["id"], row["stage"], row["reason"]) for row in loaded(folder, "dropped")] == [
        ("p2", "synthesis", "parse: no problem block"),
        ("p5", "curation", "near duplicate (of p1)"),
        ("p6", "curation", "judged: format (j gives 1 of 5)"),
    ]


def test_all_rounds_are_exported(rounds: Path, tmp_path: Path) -> None:
    """The tenth, whose curation has not ended, is not there yet."""
    folder = tmp_path / "all"
    _, counts = export_prompts(rounds, str(folder), OWN_LAYOUTS)
    assert counts == {"prompts": 6, "generator": 6, "sft": 3, "pairs": 2, "dropped": 5}
    found = {row["id"]: (row["round"], row["answer"], row["unlabelled"]) for row in loaded(folder, "prompts")}
    assert {key: value for key, value in found.items() if value[0] == 2} == {
        "p11": (2, "22", ""),
        "p14": (2, None, "label: tie"),
    }
    assert [(row["id"], row["stage"], row["completion"]) for row in loaded(folder, "dropped") if row["round"] == 2] == [
        ("p12", "synthesis_2", "raw"),
        ("p13", "curation_2", ""),
    ]
    assert "| made | 11 |" in (folder / "README.md").read_text()


def test_one_round_is_exported(rounds: Path, tmp_path: Path) -> None:
    folder = tmp_path / "second"
    _, counts = export_prompts(rounds, str(folder), OWN_LAYOUTS, number=2)
    assert counts == {"prompts": 2, "generator": 2, "sft": 1, "pairs": 1, "dropped": 2}
    assert loaded(folder, "sft") == [{"prompt": "Q: What is 11?\nA:", "completion": "22!"}]
    assert loaded(folder, "pairs")[0]["source"] == "selfplay_3"
    assert "| made | 4 |" in (folder / "README.md").read_text()
    with pytest.raises(RunError, match="--until curation_10`"):
        export_prompts(rounds, str(tmp_path / "tenth"), OWN_LAYOUTS, number=10)
    with pytest.raises(RunError, match="has made no prompts for it"):
        export_prompts(rounds, str(tmp_path / "third"), OWN_LAYOUTS, number=3)


def test_the_newest_label_is_exported(relabelled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    export_prompts(relabelled, str(folder), OWN_LAYOUTS)
    found = {row["id"]: (row["round"], row["answer"], row["unlabelled"]) for row in loaded(folder, "prompts")}
    assert found == {"p1": (1, None, "label: tie"), "p3": (1, "6", ""), "p4": (1, "8", ""), "p7": (1, "14", "")}
    assert loaded(folder, "sft") == [{"prompt": "Q: What is 3?\nA:", "completion": "six"}]


def test_many_long_completions_are_not_held_all_at_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selfplay.run.tables.ROWS_AT_ONCE", 50)
    rows = [rollout(4, number, f"{number:06d}" + "x" * 20_000, True) for number in reversed(range(1000))]
    rows += [rollout(1, number, "often", True) for number in range(3)]
    write_table(run / "stages/selfplay_2/rollouts.parquet", Rollout, rows)
    source = RowSource(run, read_recipe(run), chat=False)
    tracemalloc.start()
    found = {row["prompt"]: row["completion"] for row in source.rows("sft")}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["Q: What is 1 + 1?\nA:"] == "often"
    assert found["Q: What is 4 + 4?\nA:"].startswith("000000x"), "of equally frequent ones the first by its text"
    assert peak < 10_000_000


def test_messages_for_chat_models(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "chat"
    export_prompts(run, str(folder), ("sft", "pairs"), chat=True)
    assert loaded(folder, "sft")[0] == {
        "prompt": [{"role": "user", "content": "Q: What is 1 + 1?\nA:"}],
        "completion": [{"role": "assistant", "content": "2!"}],
    }
    assert loaded(folder, "pairs")[0]["rejected"] == [{"role": "assistant", "content": "nine"}]


def test_many_rows_go_into_several_files(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "ROWS_A_FILE", 3)
    monkeypatch.setattr(exporting, "ROWS_AT_ONCE", 2)
    folder = tmp_path / "parts"
    assert export_prompts(run, str(folder), ("prompts",))[1] == {"prompts": 4}
    assert len(list((folder / "prompts").iterdir())) == 2
    assert [row["id"] for row in loaded(folder, "prompts")] == ["p1", "p3", "p4", "p7"]


def test_the_card_tells_what_it_is_and_keeps_secrets(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "card"
    export_prompts(run, str(folder), DEFAULT_LAYOUTS, license_="apache-2.0")
    text = (folder / "README.md").read_text()
    _, header, body = text.split("---\n", 2)
    known = yaml.safe_load(header)
    assert known["license"] == "apache-2.0"
    assert known["size_categories"] == ["n<1K"]
    assert [config["config_name"] for config in known["configs"]] == list(DEFAULT_LAYOUTS)
    for said in (
        "| `prompts` | 4 |",
        "| parsed | 6 | parse: no problem block: 1 |",
        "near duplicate: 1",
        "judged: format: 1",
    ):
        assert said in body
    assert "label: tie: 1" in body
    assert "concept_temperature: 1.0" in body
    for secret in (SECRET, "10.0.0.7", "OWN_KEY", "somebody", "/secret"):
        assert secret not in text


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_trl_takes_it_as_it_is(run: Path, tmp_path: Path, tiny_model: ModelRef, kind: str) -> None:
    import datasets
    from transformers import AutoTokenizer
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    export_prompts(run, str(tmp_path / "data"), DEFAULT_LAYOUTS)
    name = {"sft": "sft", "dpo": "pairs"}[kind]
    rows = datasets.load_dataset(str(tmp_path / "data"), name, split="train", cache_dir=str(tmp_path / "cache"))
    common: dict[str, Any] = {
        "output_dir": str(tmp_path / "out"),
        "max_steps": 1,
        "per_device_train_batch_size": 1,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "save_strategy": "no",
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
    }
    config, trainer = {"sft": (SFTConfig, SFTTrainer), "dpo": (DPOConfig, DPOTrainer)}[kind]
    tokenizer = AutoTokenizer.from_pretrained(tiny_model.path)
    made = trainer(tiny_model.path, args=config(**common), train_dataset=rows, processing_class=tokenizer)
    assert made.train().global_step == 1


def test_what_cannot_be_exported_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").write_text("x")
    with pytest.raises(RunError, match="give a folder that is new or empty"):
        export_prompts(run, str(tmp_path / "used"), DEFAULT_LAYOUTS)
    (run / "stages/curation/manifest.json").unlink()
    with pytest.raises(RunError, match="has no curated prompts yet"):
        export_prompts(run, str(tmp_path / "new"), DEFAULT_LAYOUTS)
    with pytest.raises(RunError, match="is not a run directory"):
        export_prompts(tmp_path, str(tmp_path / "new"), DEFAULT_LAYOUTS)


def test_a_place_that_cannot_be_written_is_refused_in_one_sentence(run: Path) -> None:
    done = CliRunner().invoke(app, ["export", "prompts", str(run), "--to", "/proc/none"])
    assert done.exit_code == 1
    assert "/proc/none" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_control_has_no_pairs_to_export(run: Path) -> None:
    recipe = read_recipe(run)
    assert len(list(RowSource(run, recipe, chat=False).rows("pairs"))) == 1
    training = recipe.training.model_copy(update={"rewards": "shuffled"})
    control = recipe.model_copy(update={"training": training})
    assert list(RowSource(run, control, chat=False).rows("pairs")) == []
