"""A model is known by what is in its files, not by its name: replaced weights are other work."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

from selfplay.config.compute import EngineSettings
from selfplay.config.section import PretrainedModel
from selfplay.engines import named_models
from selfplay.engines.base import ModelRef, Sampling
from selfplay.engines.loading import forget_all, load_fresh
from selfplay.engines.named_models import NamedModels, libraries
from selfplay.engines.sharded import ShardedEngine
from selfplay.engines.vllm_engine import open_key
from selfplay.run.store import ShardStore


@pytest.fixture
def folder(tiny_model: ModelRef, tmp_path: Path) -> Path:
    shutil.copytree(tiny_model.path, tmp_path / "model")
    return tmp_path / "model"


def ref(name: Any, store: Path, **changed: Any) -> ModelRef:
    settings = {"kind": "pretrained", "name": str(name), "dtype": "float32", "prompt_style": "raw"} | changed
    return NamedModels(store).ref(PretrainedModel.model_validate(settings))


def replace_weights(folder: Path) -> None:
    """Other weights of the same size, with the times of those before, as `cp -p` would leave them."""
    file = folder / "model.safetensors"
    before = file.stat()
    network, _ = load_fresh(ModelRef(str(folder), "x"))
    with torch.no_grad():
        for weight in network.parameters():
            weight.neg_()
    network.save_pretrained(folder)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size


def test_replaced_weights_do_not_give_the_old_completions(folder: Path, in_process: Any, tmp_path: Path) -> None:
    store = tmp_path / "store"

    def completions() -> list[str]:
        forget_all()
        engine = ShardedEngine(ref(folder, store), EngineSettings(), in_process, ShardStore(store / "shards"))
        return [sample.text for sample in engine.generate(["Tom has 5", "plums"], Sampling(0.0, 8), seed=1)]

    first = completions()
    assert completions() == first
    replace_weights(folder)
    assert completions() != first


DECIDING = [
    *("config.json", "tokenizer.json", "chat_template.jinja", "tokenizer.model", "vocab.bpe", "merges.txt"),
    *("source.spm", "qwen.tiktoken", "bpe.codes", "prophetnet.tokenizer", "some-new-vocabulary"),
    "additional_chat_templates/tool_use.jinja",
]


@pytest.mark.parametrize("name", DECIDING)
def test_every_file_that_decides_belongs_to_the_fingerprint(folder: Path, tmp_path: Path, name: str) -> None:
    before = ref(folder, tmp_path).fingerprint
    for other in ("README.md", "LICENSE", ".gitattributes", "optimizer.pt", "trainer_state.json", "pytorch_model.bin"):
        (folder / other).write_text("changes nothing")
    assert ref(folder, tmp_path).fingerprint == before
    (folder / name).parent.mkdir(exist_ok=True)
    with (folder / name).open("a") as file:
        file.write(" ")
    assert ref(folder, tmp_path).fingerprint != before


def test_a_folder_that_was_moved_is_the_same_model(folder: Path, tmp_path: Path) -> None:
    before = ref(folder, tmp_path).fingerprint
    shutil.copytree(folder, tmp_path / "elsewhere" / "model")
    assert ref(tmp_path / "elsewhere" / "model", tmp_path).fingerprint == before
    assert str(tmp_path) not in before


def test_files_are_read_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = named_models.contents_hash

    def hashed(files: list[Path]) -> str:
        read.extend(files)
        return real(files)

    monkeypatch.setattr(named_models, "contents_hash", hashed)
    first = ref(folder, tmp_path)
    count = len(read)
    assert count >= 3
    assert ref(folder, tmp_path) == first
    assert len(read) == count
    replace_weights(folder)
    assert ref(folder, tmp_path) != first
    assert folder / "model.safetensors" in read[count:]
    assert folder / "tokenizer.json" not in read[count:]


def test_a_revision_is_a_commit_and_stays_that_for_a_run(
    tiny_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    cached = tmp_path / "hub" / "models--me--tiny"
    (cached / "refs").mkdir(parents=True)
    shutil.copytree(tiny_model.path, cached / "snapshots" / ("a" * 40))
    (cached / "refs" / "main").write_text("a" * 40)
    found = ref("me/tiny", tmp_path / "one")
    assert (found.fingerprint, found.revision) == (f"me/tiny@{'a' * 40}", "a" * 40)
    assert load_fresh(found)[0].config.hidden_size == 32
    (cached / "refs" / "main").write_text("b" * 40)
    assert ref("me/tiny", tmp_path / "one") == found, "a branch that moved changes no run that has begun"
    assert ref("me/tiny", tmp_path / "two").revision == "b" * 40
    assert ref("me/tiny", tmp_path / "two", revision="c" * 40).fingerprint == f"me/tiny@{'c' * 40}"
    assert ref("me/none", tmp_path / "two").fingerprint == "me/none@main"


def test_versions_of_libraries_are_part_of_the_key(
    tiny_model: ModelRef, in_process: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def generate() -> int:
        engine = ShardedEngine(tiny_model, EngineSettings(), in_process, ShardStore(tmp_path))
        engine.generate(["a"], Sampling(0.0, 3), seed=1)
        return int(in_process.jobs)

    assert {"torch", "transformers"} <= set(libraries("transformers"))
    first = generate()
    assert generate() == first
    monkeypatch.setattr("selfplay.engines.sharded.libraries", lambda engine: {"torch": "0.1"})
    assert generate() == first + 1


def test_vllm_opens_a_model_anew_for_another_format_or_other_arguments() -> None:
    model = ModelRef("m", "f", None, "bfloat16")
    known = open_key(model, {"max_model_len": 256})
    assert known == open_key(ModelRef("m", "f", None, "bfloat16"), {"max_model_len": 256})
    others = [
        open_key(model, {"max_model_len": 512}),
        open_key(model, {}),
        open_key(ModelRef("m", "f", None, "float32"), {"max_model_len": 256}),
        open_key(ModelRef("m", "g", None, "bfloat16"), {"max_model_len": 256}),
        open_key(ModelRef("m", "f", "v2", "bfloat16"), {"max_model_len": 256}),
    ]
    assert len({known, *others}) == 6
