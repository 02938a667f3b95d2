"""Direct preference optimisation on pairs of verified and refuted completions, by TRL's DPOTrainer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfplay.compute.workers import Job
from selfplay.engines.base import ModelRef
from selfplay.run.records import Pair
from selfplay.run.tables import read_table
from selfplay.trl_trainers.sft import tokens_of

if TYPE_CHECKING:
    from selfplay.trl_trainers.collapse import WatchChosen

OUTCOME = "outcome.json"
"""What ended a training before its last step, in its folder."""


def train_dpo(job: Job) -> dict[str, float]:
    """Trains on a table of pairs; where the chosen completions collapse, the last good weights are what it keeps.

    Job: model (ModelRef), pairs (path), args, seed, device, work (folder), output (folder), lora, drop (nats a token,
    or None) and window (log lines), which are the threshold of `selfplay.trl_trainers.collapse`.
    """
    import torch
    from datasets import Dataset

    from selfplay.engines import loading
    from selfplay.trl_trainers import arguments, session
    from selfplay.trl_trainers.collapse import WatchChosen
    from selfplay.trl_trainers.dpo_trainer import TokenPairsTrainer

    if job["device"] != "cpu":
        loading.forget_all()
    torch.manual_seed(job["seed"])
    network, tokenizer = loading.load_for_training(job["model"], job["lora"] is not None)
    pairs = [_row(pair, tokenizer, job["model"].chat) for pair in read_table(Path(job["pairs"]), Pair)]
    work = Path(job["work"])
    work.mkdir(parents=True, exist_ok=True)
    (work / OUTCOME).unlink(missing_ok=True)
    config = arguments.build("dpo", job["args"], str(work), job["seed"], job["device"])
    log = work / session.LOG
    watch = WatchChosen(config.beta, _mean_tokens(pairs), job.get("drop"), job.get("window", 1), log)
    trainer = TokenPairsTrainer(
        model=network,
        args=config,
        train_dataset=Dataset.from_list(pairs),
        processing_class=tokenizer,
        peft_config=session.peft_config(job["lora"]),
        callbacks=[watch],
    )
    metrics = session.run_training(trainer, work)
    if watch.stopped:
        _go_back(trainer, job, watch, work)
    else:
        session.save_model(trainer, Path(job["output"]), job["model"].dtype)
    return metrics


def _go_back(trainer: Any, job: Job, watch: WatchChosen, work: Path) -> None:
    """Keeps the newest checkpoint, which is older than the collapse, or the model as it was before the training."""
    from selfplay.engines import loading
    from selfplay.trl_trainers import session
    from selfplay.trl_trainers.collapse import write_outcome

    found = session.last_checkpoint(work)
    model: ModelRef = job["model"]
    if found is not None:
        trainer._load_from_checkpoint(found)
        session.save_model(trainer, Path(job["output"]), model.dtype)
    elif trainer.is_world_process_zero():
        network, tokenizer = loading.load_fresh(model)
        session.keep(network, tokenizer, Path(job["output"]), model.dtype)
    if trainer.is_world_process_zero():
        write_outcome(work / OUTCOME, watch, session.step_of(found) if found else 0)
    trainer.accelerator.wait_for_everyone()


def _mean_tokens(rows: list[dict[str, list[int]]]) -> float:
    """Mean length of the chosen completions, their end included."""
    return sum(len(row["chosen_ids"]) for row in rows) / len(rows)


def _row(pair: Pair, tokenizer: Any, chat: bool) -> dict[str, list[int]]:
    """A pair as tokens. Only the prompt is templated: a template would rewrite what the policy said."""
    prompt, chosen = tokens_of(tokenizer, pair.prompt, (pair.chosen,), chat)
    _, rejected = tokens_of(tokenizer, pair.prompt, (pair.rejected,), chat)
    return {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}
