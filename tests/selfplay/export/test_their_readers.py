"""What verl's and OpenRLHF's own classes make of our files; skipped where these are not installed.

Last run with verl 0.9.1 and OpenRLHF 0.11.2, which were installed beside this project's own environment.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.export.export import export_prompts

CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
PROMPT = "Q: What is 1 + 1?\nA:"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from selfplay.quickstart.tiny_model import build_tokenizer

    made = build_tokenizer(["What is 1 + 1? It is 2."], 300)
    made.chat_template = CHAT
    return made


def strategy(**data: Any) -> Any:
    """What OpenRLHF's classes ask of its trainer."""
    args = SimpleNamespace(data=SimpleNamespace(**data), use_ms=False)
    return SimpleNamespace(args=args, is_rank_0=lambda: True, print=print)


def test_verl_reads_its_parquet(run: Path, tmp_path: Path, tokenizer: Any) -> None:
    reader = pytest.importorskip("verl.utils.dataset.rl_dataset")
    from omegaconf import OmegaConf

    export_prompts(run, str(tmp_path / "data"), ["verl"], demanded=True)
    files = [str(file) for file in (tmp_path / "data/verl").glob("*.parquet")]
    config = OmegaConf.create({"cache_dir": str(tmp_path / "cache"), "max_prompt_length": 200})
    rows = reader.RLHFDataset(files, tokenizer, config)
    assert len(rows) == 3, "none is filtered out as too long"
    first = rows[0]
    assert first["raw_prompt"] == [{"role": "user", "content": PROMPT}]
    assert first["reward_model"] == {"style": "rule", "ground_truth": "2"}
    assert (first["data_source"], first["index"], first["extra_info"]["id"]) == ("own/math", 0, "t1")
    batch = reader.collate_fn([rows[at] for at in range(3)])
    assert list(batch["data_source"]) == ["own/math", "own/math", "own/code"]
    assert json.loads(batch["reward_model"][2]["ground_truth"]) == {"inputs": ["1"], "outputs": ["14"]}


@pytest.mark.parametrize("chat", [True, False])
def test_openrlhf_reads_its_prompts(run: Path, tmp_path: Path, tokenizer: Any, chat: bool) -> None:
    readers = pytest.importorskip("openrlhf.datasets")
    utils = pytest.importorskip("openrlhf.datasets.utils")
    export_prompts(run, str(tmp_path / "data"), ["openrlhf"], demanded=True)
    told = strategy(input_key="prompt", label_key="label", apply_chat_template=chat)
    lines = utils.blending_datasets(str(tmp_path / "data/openrlhf/train-00000.jsonl"), None, told)
    rows = readers.PromptDataset(lines, tokenizer, told)
    sources, prompts, labels, _ = rows.collate_fn([rows[at] for at in range(len(rows))])
    assert prompts[0] == (f"<user>{PROMPT}<assistant>" if chat else PROMPT)
    assert labels[:2] == ["2", "8"]
    assert json.loads(labels[2]) == {"tests": [{"input": "1", "output": "14"}]}
    assert sources == ["own/math", "own/math", "own/code"]


def test_openrlhf_reads_its_pairs(run: Path, tmp_path: Path, tokenizer: Any) -> None:
    readers = pytest.importorskip("openrlhf.datasets")
    utils = pytest.importorskip("openrlhf.datasets.utils")
    export_prompts(run, str(tmp_path / "data"), ["openrlhf_pairs"], demanded=True)
    told = strategy(prompt_key="prompt", chosen_key="chosen", rejected_key="rejected", apply_chat_template=False)
    lines = utils.blending_datasets(str(tmp_path / "data/openrlhf_pairs/train-00000.jsonl"), None, told)
    rows = readers.RewardDataset(lines, tokenizer, 200, told, is_dpo=True, num_processors=1)
    assert (rows.prompts[0], rows.chosens[0], rows.rejects[0]) == ("Q: What is 4 + 4?\nA:", "eight", "nine")
    assert len(rows.collate_fn([rows[0]])) == 5
