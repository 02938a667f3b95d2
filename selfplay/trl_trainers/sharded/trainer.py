"""TRL's trainers with checkpoints of this project where the model is sharded: a mixin, and SFT's with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from trl import SFTTrainer

from selfplay.trl_trainers.sharded.checkpoint import Shards, read, write

SCHEDULER = "scheduler.pt"
"""As transformers names it; it is read as numbers alone."""


class KeepsShards:
    """A mixin of TRL's trainers, whose checkpoints it writes and reads where the model is sharded.

    The learning rate's schedule, the dice and the counts of a training are kept as transformers does.
    """

    is_fsdp_enabled: bool
    is_deepspeed_enabled: bool

    def _shards(self: Any) -> Shards | None:
        if self.is_deepspeed_enabled:
            from selfplay.trl_trainers.sharded.zero import ZeroShards

            return ZeroShards(self.model, self.model_wrapped)
        if self.is_fsdp_enabled:
            from selfplay.trl_trainers.sharded.fsdp import FSDPShards

            return FSDPShards(self.model, self.optimizer.optimizer)
        return None

    def create_optimizer(self: Any, model: Any = None) -> Any:
        """As transformers does, without empty groups of parameters, which DeepSpeed drops and FSDP2 keeps."""
        optimizer = super().create_optimizer(model)  # type: ignore[misc]
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            optimizer.param_groups[:] = [group for group in optimizer.param_groups if group["params"]]
        return optimizer

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As transformers does; of a sharded model nothing, since the optimiser's files have its weights."""
        if not (self.is_fsdp_enabled or self.is_deepspeed_enabled):
            super().save_model(output_dir, _internal_call)  # type: ignore[misc]

    def _save_optimizer_and_scheduler(self: Any, output_dir: str) -> None:
        shards = self._shards()
        if shards is None:
            super()._save_optimizer_and_scheduler(output_dir)  # type: ignore[misc]
            return
        write(shards, Path(output_dir), self.accelerator.is_main_process)
        if self.accelerator.is_main_process:
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER)

    def _prepare_for_training(self: Any, max_steps: int, train_dataloader: Any, resume_from_checkpoint: Any) -> Any:
        if not (self.is_fsdp_enabled or self.is_deepspeed_enabled):
            return super()._prepare_for_training(max_steps, train_dataloader, resume_from_checkpoint)  # type: ignore[misc]
        prepared = super()._prepare_for_training(max_steps, train_dataloader, None)  # type: ignore[misc]
        if resume_from_checkpoint is not None:
            self._load_from_checkpoint(resume_from_checkpoint)
            self._load_schedule(Path(resume_from_checkpoint) / SCHEDULER)
        return prepared

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        shards = self._shards()
        if shards is None:
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
        else:
            read(shards, Path(resume_from_checkpoint))

    def _load_schedule(self: Any, file: Path) -> None:
        self.lr_scheduler.load_state_dict(torch.load(file, weights_only=True))
        for group, rate in zip(self.optimizer.param_groups, self.lr_scheduler.get_last_lr(), strict=True):
            group["lr"] = rate


class ExamplesTrainer(KeepsShards, SFTTrainer):
    """An SFTTrainer, of which neighbouring ranks may share each sequence (`sharded.sequence`)."""

    sequence_ranks = 1

    def get_total_train_batch_size(self, args: Any) -> int:
        """As transformers counts it, where those that share a sequence count once."""
        return int(super().get_total_train_batch_size(args)) // self.sequence_ranks
