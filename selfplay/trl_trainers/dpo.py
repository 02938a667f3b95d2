"""Direct preference optimisation on pairs of verified and refuted completions, by TRL's DPOTrainer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from selfplay.run.records import Pair
from selfplay.trl_trainers.jobs import DPOJob, Placement
from selfplay.trl_trainers.sft import tokens_of
from selfplay.trl_trainers.training_set import Columns, training_set

if TYPE_CHECKING:
    from selfplay.trl_trainers.dpo_trainer import WatchChosen

OUTCOME = "outcome.json"
"""The file in a training's folder that says what ended it before its last step."""
PARTS = ("prompt_ids", "chosen_ids", "rejected_ids")


def train_dpo(job: DPOJob, place: Placement) -> dict[str, float]:
    """Trains on a table of pairs; where the chosen completions collapse, the last good weights are what it keeps.

    Raises:
        RecordError: the table of pairs is damaged.
        NothingToLearn: `max_length` leaves no pair.
    """
    from trl.trainer import dpo_trainer

    from selfplay.trl_trainers import session
    from selfplay.trl_trainers.dpo_trainer import TokenPairsTrainer, WatchChosen

    network, tokenizer = session.begin(job, place)
    pairs = pair_set(job, tokenizer, place.work)
    # An attempt before this one may have left it.
    (place.work / OUTCOME).unlink(missing_ok=True)
    config = session.settings_of("dpo", job, place)
    guard = job.collapse
    watch = WatchChosen(config.beta, mean_tokens(pairs), guard.drop, guard.window, place.work / session.LOG)
    with session.reference_loading(dpo_trainer, job, place):
        trainer = TokenPairsTrainer(
            model=network,
            args=config,
            train_dataset=pairs,
            processing_class=tokenizer,
            peft_config=session.peft_config(job),
            callbacks=[watch],
        )
    metrics = session.run_training(trainer, place.work, job)
    if watch.stopped:
        _go_back(trainer, job, watch, place)
    else:
        session.save_model(trainer, job, place)
    return metrics


def _go_back(trainer: Any, job: DPOJob, watch: WatchChosen, place: Placement) -> None:
    """Keeps the newest checkpoint, which is older than the collapse, or the model as it was before the training."""
    from selfplay.engines import loading
    from selfplay.trl_trainers import session
    from selfplay.trl_trainers.dpo_trainer import write_outcome
    from selfplay.trl_trainers.keeping import keep

    found = session.last_checkpoint(place.work)
    if found is not None:
        trainer._load_from_checkpoint(found)
        session.save_model(trainer, job, place)
    elif trainer.is_world_process_zero():
        network, tokenizer = loading.load_for_training(job.model, job.lora is not None)
        keep(network, tokenizer, job, place)
    if trainer.is_world_process_zero():
        write_outcome(place.work / OUTCOME, watch, session.step_of(found) if found else 0)
    trainer.accelerator.wait_for_everyone()


def pair_set(job: DPOJob, tokenizer: Any, work: Path) -> Any:
    """The pairs as tokens, on disk. Only the prompt is templated: a template would rewrite what the policy said."""

    def encode(pairs: Sequence[Pair]) -> Columns:
        rows = [_row(pair, tokenizer, job.model.chat) for pair in pairs]
        return {name: [row[name] for row in rows] for name in PARTS}

    schema = pa.schema([(name, pa.list_(pa.int32())) for name in PARTS])
    return training_set(job.pairs, Pair, encode, schema, work, job.model.fingerprint, job.model.chat)


def mean_tokens(pairs: Any) -> float:
    """Mean length of the chosen completions, their end included."""
    return float(pc.sum(pc.list_value_length(pairs.data["chosen_ids"])).as_py() / len(pairs))


def _row(pair: Pair, tokenizer: Any, chat: bool) -> dict[str, list[int]]:
    prompt, chosen = tokens_of(tokenizer, pair.prompt, (pair.chosen,), chat)
    _, rejected = tokens_of(tokenizer, pair.prompt, (pair.rejected,), chat)
    return dict(zip(PARTS, (prompt, chosen, rejected), strict=True))
