"""p and q as adapters of one base: small on disk, on one copy of it in memory, trained on from where they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from selfplay.engines import hf_engine, loading
from selfplay.engines.base import ModelRef, ScoringRequest
from selfplay.run.records import Example
from selfplay.run.tables import write_table
from selfplay.trl_trainers.jobs import Placement, SFTJob
from selfplay.trl_trainers.model_folder import trained_model
from selfplay.trl_trainers.sft import train_sft
from tests.selfplay.engines.shard_jobs import score_job

LORA = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
REQUESTS = [ScoringRequest("Tom has 5", (" plums.", " How many?")), ScoringRequest("x", ("y",))]


def train(base: ModelRef, stage: Path, name: str, text: str, keep_adapter: bool = True) -> ModelRef:
    """Fits an adapter to one text."""
    stage.mkdir(parents=True, exist_ok=True)
    table = stage / f"{name}.parquet"
    write_table(table, Example, [Example("Tom has 5", (text,))] * 4)
    args = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 5e-2, "lr_scheduler_type": "constant"}
    job = SFTJob(model=base, examples=table, args=args, lora=LORA, keep_adapter=keep_adapter)
    train_sft(job, Placement("cpu", 0, stage / f"{name}-training", stage / name))
    return trained_model(stage / name)


@pytest.fixture(scope="module")
def run(tiny_model: ModelRef, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with a base and two adapters on it."""
    folder = tmp_path_factory.mktemp("adapters") / "run"
    shutil.copytree(tiny_model.path, folder / "stages" / "base" / "model")
    base = ModelRef.local(folder / "stages" / "base" / "model", "the-base", "float32", chat=False)
    for name, text in (("prompt-model", " plums."), ("rationale-model", " How many?")):
        train(base, folder / "stages" / "cold_start", name, text)
    return folder


def pair(run: Path) -> tuple[ModelRef, ModelRef]:
    p, q = (trained_model(run / "stages" / "cold_start" / name) for name in ("prompt-model", "rationale-model"))
    return p, q


def score(model: ModelRef) -> list[float]:
    rows = hf_engine.score_shard(score_job(model, REQUESTS, batch_tokens=512))
    return [value for row in rows for value in row["sums"]]


def test_a_trained_adapter_is_all_that_is_kept(run: Path) -> None:
    p, q = pair(run)
    for model in (p, q):
        assert (Path(model.path) / "adapter_model.safetensors").exists()
        assert not (Path(model.path) / "model.safetensors").exists()
        assert model.base is not None
        assert model.base.fingerprint == "the-base"
    assert p.fingerprint != q.fingerprint


def test_both_share_one_copy_of_the_base_and_neither_disturbs_the_other(run: Path) -> None:
    loading.forget_all()
    p, q = pair(run)
    assert p.base is not None
    first, of_q = score(p), score(q)
    assert loading.load(p, "cpu")[0] is loading.load(q, "cpu")[0]
    assert score(p) == first
    assert max(abs(a - b) for a, b in zip(first, of_q, strict=True)) > 1e-2
    plain = score(p.base)
    assert loading.load(p.base, "cpu")[0] is not loading.load(p, "cpu")[0]
    loading.forget_all()
    assert score(p.base) == plain


def test_an_adapter_scores_like_the_model_that_it_would_be_merged_into(run: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    p, _ = pair(run)
    assert p.base is not None
    network, tokenizer = loading.load_fresh(p.base)
    merged = PeftModel.from_pretrained(network, p.path).merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    tokenizer.save_pretrained(tmp_path / "merged")
    whole = ModelRef.local(tmp_path / "merged", "merged", "float32", chat=False)
    assert score(p) == pytest.approx(score(whole), abs=1e-4)


def test_training_goes_on_from_the_adapter_and_leaves_the_base_alone(run: Path) -> None:
    p, _ = pair(run)
    base = score(p.base)  # type: ignore[arg-type]
    later = train(p, run / "stages" / "em_1", "prompt-model", " plums.")
    assert later.base == p.base
    assert score(later)[0] > score(p)[0] + 1e-2
    assert score(p.base) == base  # type: ignore[arg-type]


def test_many_adapters_do_not_pile_up(run: Path) -> None:
    p, _ = pair(run)
    for number in range(5):
        copy = run / "stages" / "cold_start" / f"copy-{number}"
        shutil.copytree(p.path, copy)
        other = trained_model(copy)
        renamed = ModelRef(other.path, f"{number}" * 20, None, other.dtype, False, other.base)
        assert score(renamed) == pytest.approx(score(p), abs=1e-5)
    (wrapped,) = loading._wrapped.values()
    assert len(wrapped.peft_config) <= loading.KEPT


def test_a_run_may_be_moved_and_copied(run: Path, tmp_path: Path) -> None:
    p, _ = pair(run)
    shutil.copytree(run, tmp_path / "elsewhere")
    moved, _ = pair(tmp_path / "elsewhere")
    assert moved.base is not None
    assert Path(moved.base.path).is_relative_to(tmp_path)
    assert score(moved) == score(p)


def test_engines_of_whole_models_get_a_merged_one(run: Path, tmp_path: Path) -> None:
    p, _ = pair(run)
    assert p.base is not None
    merged = train(p.base, tmp_path / "stages" / "cold_start", "prompt-model", " plums.", keep_adapter=False)
    assert merged.base is None
    assert score(merged) == pytest.approx(score(p), abs=1e-4)


def test_small_steps_are_not_lost_in_a_base_of_bfloat16(run: Path) -> None:
    p, _ = pair(run)
    assert p.base is not None
    half = ModelRef(p.base.path, p.base.fingerprint, None, "bfloat16")
    later = train(half, run / "stages" / "em_9", "prompt-model", " plums.")
    network, _ = loading.load(later, "cpu")
    kinds = {("lora" in name, value.dtype) for name, value in network.named_parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
