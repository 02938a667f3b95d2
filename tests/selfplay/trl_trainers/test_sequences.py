"""Sequences that are cut over ranks: the losses and gradients of one process, and what cannot be cut."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from selfplay.compute.workers import WorkerError, Workers
from selfplay.config.compute import Sharding
from selfplay.engines.base import ModelRef
from selfplay.trl_trainers.jobs import Placement, TrainerJob
from selfplay.trl_trainers.sharded.sequence import CutCollator, NotCut, Parts, demand_heads, fault_of
from tests.selfplay.trl_trainers.model_variants import mixture
from tests.selfplay.trl_trainers.ranked import (
    LORA,
    STEPS,
    at,
    losses,
    needs_deepspeed,
    of_ranks,
    sft_job,
    train,
    whole,
)

PLAIN = STEPS | {"optim": "sgd", "learning_rate": 0.5, "max_grad_norm": 0.7, "gradient_accumulation_steps": 2}
"""Steps whose size is the gradient's, which Adam's is not, with micro-batches that have unequal numbers of labels."""


def cut_at(folder: Path, name: str, sharding: Sharding, ranks: int = 2) -> Placement:
    return dataclasses.replace(at(folder, name, sharding), sequence_ranks=ranks)


def train_whole(call: tuple[TrainerJob, Placement]) -> None:
    """As a collator would that does not cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CutCollator, "_part", lambda self, value: value)
        train(call)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    made = Workers(2, 1, "cpu", tmp_path_factory.mktemp("log") / "workers.log")
    yield made
    made.stop()


def assert_same(folder: Path, name: str, one: str) -> None:
    for metric in ("loss", "grad_norm"):
        assert losses(folder, name, metric) == pytest.approx(losses(folder, one, metric), abs=1e-4), (name, metric)
    kept, expected = whole(folder / name), whole(folder / one)
    assert kept.keys() == expected.keys()
    assert all(torch.allclose(kept[key], value, atol=2e-4) for key, value in expected.items()), name


@pytest.mark.long
@pytest.mark.parametrize(
    "sharding", ["none", "fsdp2", *(pytest.param(kind, marks=needs_deepspeed) for kind in ("zero2", "zero3"))]
)
def test_two_ranks_that_share_sequences_learn_as_one_process_and_go_on(
    workers: Workers, tiny_model: ModelRef, tmp_path: Path, sharding: Sharding
) -> None:
    for kind, job in {
        "all": sft_job(tiny_model, tmp_path, args=PLAIN | {"save_steps": 2}),
        "lora": sft_job(tiny_model, tmp_path, args=PLAIN, lora=LORA),
        "checkpointing": sft_job(tiny_model, tmp_path, args=PLAIN | {"gradient_checkpointing": True}),
        "experts": sft_job(mixture(tiny_model, tmp_path / "experts-model"), tmp_path, args=PLAIN),
    }.items():
        train((of_ranks(job, 2), at(tmp_path, f"{kind}-one", "none")))
        # Both ranks have the same sequences: as many on each as the one process has.
        workers.together(train, (of_ranks(job, 2), cut_at(tmp_path, kind, sharding)))
        assert_same(tmp_path, kind, f"{kind}-one")
    job, place = sft_job(tiny_model, tmp_path, args=PLAIN | {"save_steps": 2}), cut_at(tmp_path, "all", sharding)
    shutil.rmtree(place.work / "checkpoint-4")
    unbroken = losses(tmp_path, "all")
    workers.together(train, (of_ranks(job, 2), place))
    assert losses(tmp_path, "all")[-2:] == pytest.approx(unbroken[-2:], abs=1e-4)
    # What is trained next has whole sequences again.
    workers.together(train, (of_ranks(job, 4), at(tmp_path, "next", sharding)))
    assert losses(tmp_path, "next") == pytest.approx(unbroken[:4], abs=1e-4)


@pytest.mark.long
def test_two_pairs_of_ranks_have_batches_of_their_own(workers: Workers, tiny_model: ModelRef, tmp_path: Path) -> None:
    """Also over an epoch whose last batch is not full, in bfloat16."""
    job = sft_job(tiny_model, tmp_path, args=PLAIN)
    train((of_ranks(job, 1), at(tmp_path, "one", "none")))
    four = Workers(4, 1, "cpu", tmp_path / "workers.log")
    try:
        four.together(train, (of_ranks(job, 2), cut_at(tmp_path, "pairs", "fsdp2")))
        assert_same(tmp_path, "pairs", "one")
        epoch = {"max_steps": -1, "num_train_epochs": 1, "per_device_train_batch_size": 5, "bf16": True}
        job = dataclasses.replace(job, args=PLAIN | epoch)
        four.together(train, (job, cut_at(tmp_path, "epoch", "fsdp2")))
    finally:
        four.stop()
    workers.together(train, (job, at(tmp_path, "plain-epoch")))
    # 24 examples in batches of two times five are three, and two of these a step.
    assert len(losses(tmp_path, "epoch")) == 2
    assert losses(tmp_path, "epoch") == pytest.approx(losses(tmp_path, "plain-epoch"), abs=0.02)


@pytest.mark.long
def test_padding_alone_and_a_last_batch_of_one_are_counted_as_by_one_process(
    workers: Workers, tiny_model: ModelRef, tmp_path: Path
) -> None:
    """Of 24 examples the second batch has one, and a part of so much padding has no token."""
    epoch = {"max_steps": -1, "num_train_epochs": 1, "per_device_train_batch_size": 23, "pad_to_multiple_of": 512}
    job = sft_job(tiny_model, tmp_path, args=PLAIN | epoch | {"gradient_accumulation_steps": 1})
    train((job, at(tmp_path, "one", "none")))
    workers.together(train, (job, cut_at(tmp_path, "two", "none")))
    assert_same(tmp_path, "two", "one")
    for metric in ("num_tokens", "entropy", "mean_token_accuracy"):
        assert losses(tmp_path, "two", metric) == pytest.approx(losses(tmp_path, "one", metric), abs=1e-4), metric


@pytest.mark.long
def test_sequences_that_are_whole_end_the_training(workers: Workers, tiny_model: ModelRef, tmp_path: Path) -> None:
    call = (of_ranks(sft_job(tiny_model, tmp_path), 2), cut_at(tmp_path, "two", "none"))
    with pytest.raises(
        WorkerError, match=r"compute\.sequence_parallel is 2, but a rank's part of \d+ tokens begins at"
    ):
        workers.together(train_whole, call)
    assert not (tmp_path / "two-work" / "log.jsonl").exists()


def test_parts_of_a_batch_have_the_label_of_the_next_token() -> None:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    rows = [{"input_ids": list(range(1, n)), "labels": [-100, *range(2, n)]} for n in (6, 4)]
    parts = [CutCollator(DataCollatorForLanguageModeling(pad_token_id=0), 2, place)(rows) for place in range(2)]
    joined = {name: torch.cat([part[name] for part in parts], dim=1).tolist() for name in parts[0]}
    assert joined["input_ids"] == [[1, 2, 3, 4, 5, 0], [1, 2, 3, 0, 0, 0]]
    assert joined["shift_labels"] == [[2, 3, 4, 5, -100, -100], [2, 3, -100, -100, -100, -100]]
    assert joined["position_ids"][0] == [0, 1, 2, 3, 4, 0]


def test_a_model_whose_attention_was_not_asked_is_refused() -> None:
    parts = Parts(2, 1, 1, None)
    batch = {"input_ids": torch.zeros(1, 4), "attention_mask": torch.ones(1, 4)}
    padding = {"position_ids": torch.zeros(1, 4), "attention_mask": torch.zeros(1, 4)}
    batch |= {"position_ids": torch.tensor([[4, 5, 6, 7]])}
    parts.before(None, (), batch | padding)
    parts.before(None, (), batch)
    with pytest.raises(NotCut, match="1 layers had 4 tokens on a rank, and attention saw none"):
        parts.after()
    with pytest.raises(NotCut, match="a rank's part of 4 tokens begins at token 0"):
        Parts(2, 1, 1, None).before(None, (), batch | {"position_ids": torch.tensor([[0, 1, 2, 3]])})
    with pytest.raises(NotCut, match="attention of this model has sliding_window"):
        parts.attention(lambda *given: None)(None, None, None, None, None, sliding_window=8)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"num_key_value_heads": 3},
            "is 2, but ranks cannot have equal parts of 3 key heads; set it to a divisor of 1",
        ),
        ({"_attn_implementation": "eager"}, "goes with sdpa, .* and not with eager"),
        ({"layer_types": ["full_attention", "linear_attention"]}, "has linear_attention, which needs the whole"),
        ({"rope_parameters": {"rope_type": "dynamic"}}, "has dynamic, which needs the whole"),
        ({"rope_parameters": {"rope_type": "yarn"}, "layer_types": ["full_attention"]}, ""),
    ],
)
def test_models_that_cannot_be_cut_are_named(changed: dict[str, Any], says: str) -> None:
    shape = {"num_attention_heads": 4, "num_key_value_heads": 2, "_attn_implementation": "sdpa"} | changed
    config = SimpleNamespace(**shape)
    config.get_text_config = lambda: config
    if not says:
        demand_heads(config, 2)
        return
    with pytest.raises(NotCut, match=rf"^compute\.sequence_parallel: .*{says}"):
        demand_heads(config, 2)


def test_arguments_that_cannot_be_cut_are_named() -> None:
    assert fault_of({"packing": False, "learning_rate": 1e-4, "model_init_kwargs": {"load_in_4bit": True}}) == ""
    for args, says in {
        "packing": {"packing": True},
        "padding_free": {"padding_free": True},
        "label_smoothing_factor": {"label_smoothing_factor": 0.1},
        "neftune_noise_alpha": {"neftune_noise_alpha": 5},
        "average_tokens_across_devices": {"average_tokens_across_devices": False},
        "train_sampling_strategy": {"train_sampling_strategy": "batch_rebalance"},
        "model_init_kwargs: has eager": {"model_init_kwargs": {"attn_implementation": "eager"}},
    }.items():
        assert fault_of(says).startswith(args)
        assert fault_of(says).endswith(", or set compute.sequence_parallel to 1")
