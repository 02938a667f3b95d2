"""TRL's SFTTrainer, whose checkpoints are this project's where the model is sharded."""

from __future__ import annotations

from trl import SFTTrainer

from selfplay.trl_trainers.sharded.checkpoint import KeepsShards


class ExamplesTrainer(KeepsShards, SFTTrainer):
    """An SFTTrainer."""
