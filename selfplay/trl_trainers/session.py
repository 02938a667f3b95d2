"""Shared by all trainings: where one resumes, what it logs, and how the trained model is kept."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from selfplay.engines.model_files import judge_checkpoint
from selfplay.run.files import read_json, repair_lines
from selfplay.trl_trainers import arguments
from selfplay.trl_trainers.callbacks import CHECKPOINT_COMPLETE, LogToFile, MarkCheckpoints, append_line, is_whole
from selfplay.trl_trainers.checks.further_means import set_attention
from selfplay.trl_trainers.jobs import Placement, TrainerJob
from selfplay.trl_trainers.keeping import Loss, keep
from selfplay.trl_trainers.sharded import fsdp, sequence, zero
from selfplay.trl_trainers.variants.experts import freeze_routers, with_balance
from selfplay.trl_trainers.variants.merges import keep_base
from selfplay.trl_trainers.variants.quantised import (
    exact_adapter,
    is_quantised,
    keep_differentiable,
    settings_for,
    wants_4bit,
)

LOG = "log.jsonl"


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint below a trainer's output folder, from which there is something left to train.

    A trainer that resumes from the checkpoint of its last step would take one step more.

    Raises:
        ModelError: it holds files that no trainer of this project writes, as of a run that came from elsewhere.
    """
    marks = folder.glob(f"checkpoint-*/{CHECKPOINT_COMPLETE}")
    found = [mark.parent for mark in marks if is_whole(mark.parent) and _goes_on(mark.parent)]
    if not found:
        return None
    newest = max(found, key=step_of)
    judge_checkpoint(newest)
    return str(newest)


def step_of(checkpoint: Path | str) -> int:
    """The step at which a checkpoint was written, by its folder's name."""
    return int(str(checkpoint).rsplit("-", 1)[1])


def _goes_on(checkpoint: Path) -> bool:
    state = read_json(checkpoint / "trainer_state.json")
    return bool(state["global_step"] < state["max_steps"])


def begin(job: TrainerJob, place: Placement) -> tuple[Any, Any]:
    """Makes room on a GPU, sets the seed, and loads the model to train and its tokenizer."""
    import torch

    from selfplay.engines import loading

    if place.device != "cpu":
        loading.forget_all()
    torch.manual_seed(place.seed)
    if place.is_sharded and place.sharding in zero.STAGES:
        zero.begin(place.sharding, place.device)
    network, tokenizer = _network(job, place)
    set_attention(network, job.args)
    return network, tokenizer


def settings_of(kind: str, job: TrainerJob, place: Placement, decided: Mapping[str, Any] | None = None) -> Any:
    """TRL's configuration object for a job at its place; `decided` are arguments that no recipe may set."""
    decided = dict(decided or {})
    if place.is_sharded and place.sharding in zero.STAGES:
        in_bfloat16 = job.args.get("bf16", place.device != "cpu")
        decided |= zero.arguments(place.sharding, in_bfloat16, place.offload, place.device)
    elif place.is_sharded:
        fsdp.shard_on_cpus()
        decided |= fsdp.ARGUMENTS
    args = with_balance(same_global_batch(job.args, place.ranks), job.router == "frozen")
    return arguments.build(kind, args, str(place.work), place.seed, place.device, decided)


def same_global_batch(args: Mapping[str, Any], ranks: int) -> dict[str, Any]:
    """Arguments by which the ranks that there are have the global batch of as many as were meant.

    Args:
        args: of a trainer of a fixed data set.
        ranks: the number that was meant; 0 for those that there are.

    Raises:
        ArgumentsError: the batch cannot be shared out evenly.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks in (0, world):
        return dict(args)
    each = args.get("gradient_accumulation_steps", 1)
    if each * ranks % world:
        raise arguments.ArgumentsError(
            f"compute.ray.on_loss: is rest, but {world} ranks cannot share a step of {ranks} ranks with "
            f"gradient_accumulation_steps {each}; make that a multiple of {world // math.gcd(ranks, world)}, or set "
            "on_loss to wait"
        )
    return dict(args) | {"gradient_accumulation_steps": each * ranks // world}


def _network(job: TrainerJob, place: Placement) -> tuple[Any, Any]:
    from selfplay.engines import loading

    quantised = settings_for if wants_4bit(job.args) else None
    # FSDP2 spreads the first rank's weights, so that no other need load them.
    empty = place.is_sharded and place.sharding == "fsdp2" and os.environ.get("RANK") != "0"
    network, tokenizer = loading.load_for_training(job.model, job.lora is not None, quantised, empty)
    if quantised is not None:
        keep_differentiable(network)
    # All that is sharded together has one number format, and adapters are in float32.
    return (network.float() if place.is_sharded else network), tokenizer


def reference_loading(of_trainer: Any, job: TrainerJob, place: Placement) -> AbstractContextManager[None]:
    """How a trainer that is made meanwhile loads its reference, where it has one.

    Args:
        of_trainer: the module of TRL's trainer.
        job: what it is made for.
        place: where.
    """
    # The log-probabilities that TRL computes before a training are known by the whole reference's numbers.
    if not place.is_sharded or place.sharding != "fsdp2" or job.args.get("precompute_ref_log_probs"):
        return nullcontext()
    from selfplay.engines import loading

    return fsdp.reference_from_first(of_trainer, lambda: loading.room_for(job.model.trainable))


def run_training(trainer: Any, work: Path, job: TrainerJob | None = None, sequence_ranks: int = 1) -> dict[str, float]:
    """Trains, resuming from the newest complete checkpoint; returns the last metrics.

    Args:
        trainer: one of TRL's.
        work: the trainer's output folder.
        job: what it was made for; None for a model that is trained whole and has no experts.
        sequence_ranks: over which each sequence is cut.

    Raises:
        NotSharded: it was to be sharded, and its parameters are whole.
        NotCut: its sequences were to be cut, and cannot be.
    """
    if job is not None and job.router == "frozen":
        freeze_routers(trainer.model)
    if job is not None and is_quantised(trainer.model):
        exact_adapter(trainer.model, job.model)
    keep_base(trainer.model)
    # What was asked for; the trainer itself would not know of a library that did not do it.
    if trainer.args.fsdp:
        fsdp.spread_from_first(trainer)
        trainer.add_callback(fsdp.DemandShards())
    if trainer.args.deepspeed:
        stage = trainer.args.deepspeed["zero_optimization"]["stage"]
        trainer.add_callback(zero.DemandCuts(f"zero{stage}", trainer.accelerator.num_processes))
    if trainer.is_world_process_zero():
        repair_lines(work / LOG)
    trainer.add_callback(LogToFile(work / LOG))
    trainer.add_callback(MarkCheckpoints())
    from transformers.trainer_callback import PrinterCallback

    # It prints every line of the log, which the driver shows already.
    trainer.remove_callback(PrinterCallback)
    take_numbered_cpus()
    with sequence.cut(trainer, sequence_ranks) if sequence_ranks > 1 else nullcontext():
        result = trainer.train(resume_from_checkpoint=last_checkpoint(work))
    if trainer.args.deepspeed:
        zero.end()
    return {name: float(value) for name, value in result.metrics.items()}


def save_model(trainer: Any, job: TrainerJob, place: Placement, loss: Loss | None = None) -> None:
    """Keeps the trained model (main process only; the others wait), and logs what its rounding did.

    Args:
        trainer: one of TRL's.
        job: what it was made for.
        place: where to.
        loss: the held-out loss of a network, nats a token.
    """
    network = trainer.accelerator.unwrap_model(trainer.model)
    is_first = trainer.accelerator.is_main_process
    if trainer.is_fsdp_enabled:
        network = _whole(network, fsdp.gathered(network), job, place, is_first)
    elif trainer.is_deepspeed_enabled:
        network = _whole(network, zero.gathered(network, is_first), job, place, is_first)
    if is_first:
        figures = keep(network, trainer.processing_class, job, place, loss)
        if figures:
            append_line(place.work / LOG, trainer.state, figures)
    trainer.accelerator.wait_for_everyone()


def _whole(sharded: Any, state: Mapping[str, Any], job: TrainerJob, place: Placement, is_first: bool) -> Any:
    """A trained network that was sharded, whole on the CPU of the first rank, which has its state."""
    if not is_first:
        return sharded
    network, _ = _network(job, place)
    if (config := peft_config(job)) is not None:
        from peft import get_peft_model

        network = get_peft_model(network, config)
    # The reference that TRL puts beside an adapter stays behind.
    known = network.state_dict().keys()
    network.load_state_dict({name: value for name, value in state.items() if name in known}, strict=True)
    return network


def peft_config(job: TrainerJob) -> Any:
    """peft's LoraConfig; None for training all weights, and where the model has an adapter already, which goes on."""
    if job.lora is None or job.model.trainable.base is not None:
        return None
    from peft import LoraConfig

    return LoraConfig(task_type="CAUSAL_LM", **job.lora)


@functools.cache
def take_numbered_cpus() -> None:
    """Has torch read a checkpoint's tensors that are marked `cpu:0`, as ranks on a CPU are in some transformers.

    It writes them, and of itself knows no such place when it reads.
    """
    import torch

    def restored(storage: Any, place: str) -> Any:
        return storage if place.startswith("cpu:") else None

    torch.serialization.register_package(0, lambda storage: None, restored)
