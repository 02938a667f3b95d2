"""Direct preference optimisation on pairs of verified and refuted completions, by TRL's DPOTrainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfplay.records import Pair, read_table
from selfplay.workers import Job


def train_dpo(job: Job) -> dict[str, float]:
    """Trains on a table of pairs.

    Job: model (ModelRef), pairs (path), args, seed, device, work (folder), output (folder), lora.
    """
    import torch
    from datasets import Dataset
    from trl import DPOTrainer

    from selfplay.engines import loading
    from selfplay.trainers import arguments, session

    if job["device"] != "cpu":
        loading.forget_all()
    torch.manual_seed(job["seed"])
    network, tokenizer = loading.load_for_training(job["model"], job["lora"] is not None)
    pairs = [_row(pair, tokenizer if job["model"].chat else None) for pair in read_table(Path(job["pairs"]), Pair)]
    work = Path(job["work"])
    work.mkdir(parents=True, exist_ok=True)
    trainer = DPOTrainer(
        model=network,
        args=arguments.build("dpo", job["args"], str(work), job["seed"], job["device"]),
        train_dataset=Dataset.from_list(pairs),
        processing_class=tokenizer,
        peft_config=session.peft_config(job["lora"]),
    )
    metrics = session.run_training(trainer, work)
    session.save_model(trainer, Path(job["output"]), job["model"].dtype)
    return metrics


def _row(pair: Pair, chat_tokenizer: Any) -> dict[str, Any]:
    """A pair as plain text: a template applied to the answers would rewrite what the policy said."""
    prompt = pair.prompt
    if chat_tokenizer is not None:
        messages = [{"role": "user", "content": prompt}]
        prompt = chat_tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return {"prompt": prompt, "chosen": pair.chosen, "rejected": pair.rejected}
