"""DPO's losses against their formulas, on logits that are held fixed, and a reference that stays what it was."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from selfplay.engines import loading
from selfplay.engines.base import ModelRef
from selfplay.run.records import Pair
from selfplay.trl_trainers import arguments
from selfplay.trl_trainers.dpo import _row
from selfplay.trl_trainers.dpo_trainer import TokenPairsTrainer

BETA = 0.3
PAIRS = [("What is 2 + 2?", "It is 4.", "five"), ("Tom has 5 plums.", "So 5", "He has none of them at all.")]


@pytest.fixture
def make(tiny_model: ModelRef, tmp_path: Path) -> Any:
    def build(**args: Any) -> TokenPairsTrainer:
        network, tokenizer = loading.load_for_training(tiny_model, False)
        rows = [_row(Pair("i", "t", *pair, "test"), tokenizer, False) for pair in PAIRS]
        settings = {"beta": BETA, "max_steps": 3, "per_device_train_batch_size": 2, "learning_rate": 1e-2} | args
        return TokenPairsTrainer(
            model=network,
            args=arguments.build("dpo", settings, str(tmp_path), 0, "cpu"),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )

    return build


def moved(trainer: TokenPairsTrainer) -> None:
    """Takes the policy away from its reference, the same way each time."""
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in trainer.model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=noise))


def log_p(network: Any, row: dict[str, list[int]], answer: str) -> tuple[float, int]:
    """log p(answer | prompt), nats, token by token in double precision, and the number of its tokens."""
    prompt, tokens = row["prompt_ids"], row[answer]
    with torch.no_grad():
        logits = network(torch.tensor([[*prompt, *tokens]])).logits[0].double()
    steps = logits.log_softmax(dim=-1)[len(prompt) - 1 : -1]
    return sum(float(steps[place, token]) for place, token in enumerate(tokens)), len(tokens)


def margins(trainer: TokenPairsTrainer) -> list[tuple[float, int, int]]:
    """(log-ratio of the chosen less that of the rejected, tokens of each) of every pair."""
    found = []
    for row in trainer.train_dataset:
        (chosen, n), (rejected, m) = (log_p(trainer.model, row, f"{name}_ids") for name in ("chosen", "rejected"))
        (old, _), (other, _) = (log_p(trainer.ref_model, row, f"{name}_ids") for name in ("chosen", "rejected"))
        found.append(((chosen - old) - (rejected - other), n, m))
    return found


def loss_of(trainer: TokenPairsTrainer) -> float:
    [batch] = trainer.get_train_dataloader()
    return float(trainer.compute_loss(trainer.model, batch))


FORMULAS = {
    "sigmoid": lambda margin: math.log1p(math.exp(-BETA * margin)),  # Rafailov et al. 2023, Eq. 7
    "hinge": lambda margin: max(0.0, 1 - BETA * margin),  # Zhao et al. 2023, as TRL has it
}


@pytest.mark.parametrize("loss", sorted(FORMULAS))
def test_the_loss_is_that_of_its_formula(make: Any, loss: str) -> None:
    trainer = make(loss_type=[loss])
    assert loss_of(trainer) == pytest.approx(FORMULAS[loss](0.0), abs=1e-5), "the policy is its own reference"
    moved(trainer)
    found = margins(trainer)
    assert all(abs(margin) > 0.1 for margin, _, _ in found)
    expected = sum(FORMULAS[loss](margin) for margin, _, _ in found) / len(found)
    assert loss_of(trainer) == pytest.approx(expected, abs=1e-4)


def test_the_reference_is_frozen(make: Any) -> None:
    trainer = make()
    before = {name: weight.clone() for name, weight in trainer.ref_model.state_dict().items()}
    began = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    assert any(not torch.equal(weight, began[name]) for name, weight in trainer.model.named_parameters())
    for name, weight in trainer.ref_model.state_dict().items():
        assert torch.equal(weight, before[name])
    assert all(weight.grad is None for weight in trainer.ref_model.parameters())
    found = margins(trainer)
    expected = sum(FORMULAS["sigmoid"](margin) for margin, _, _ in found) / len(found)
    assert loss_of(trainer) == pytest.approx(expected, abs=1e-4), "after a training it is still measured from there"
