"""Maximum likelihood on examples by TRL's SFTTrainer: the base, the cold start, both EM steps, and rft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selfplay.compute.workers import Job
from selfplay.config.errors import RunStopped
from selfplay.engines.base import ModelRef
from selfplay.run.tables import write_arrow

IGNORED = -100


class NothingToLearn(RunStopped):
    """There is no prompt, pair or sample to train on; the message says why and what to change."""


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt, and the segments that follow it; each part is tokenised on its own, as in scoring."""

    prompt: str
    segments: tuple[str, ...]


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """Writes examples for a training."""
    rows = [{"prompt": example.prompt, "segments": list(example.segments)} for example in examples]
    schema = pa.schema([("prompt", pa.string()), ("segments", pa.list_(pa.string()))])
    write_arrow(path, pa.Table.from_pylist(rows, schema=schema))


def train_sft(job: Job) -> dict[str, float]:
    """Fits a model to examples.

    Job: model (ModelRef), examples (path), args, seed, device, work (folder), output (folder), loss
    (`completion`, or `all` for the prompt too), chat, lora; `adapter` if an adapter is to stay one.
    """
    import torch
    from datasets import Dataset
    from trl import SFTTrainer

    from selfplay.engines import loading
    from selfplay.trl_trainers import arguments, session

    if job["device"] != "cpu":
        loading.forget_all()
    torch.manual_seed(job["seed"])
    model: ModelRef = job["model"]
    network, tokenizer = loading.load_for_training(model, job["lora"] is not None)
    rows = pq.read_table(job["examples"]).to_pylist()
    encoded = [_encode(tokenizer, row, job) for row in rows]
    work = Path(job["work"])
    work.mkdir(parents=True, exist_ok=True)
    trainer = SFTTrainer(
        model=network,
        args=arguments.build("sft", job["args"], str(work), job["seed"], job["device"]),
        train_dataset=Dataset.from_list(encoded),
        processing_class=tokenizer,
        # A model that has an adapter goes on with that.
        peft_config=None if model.base else session.peft_config(job["lora"]),
    )
    metrics = session.run_training(trainer, work)
    keep = job["lora"] is not None and job.get("adapter", False)
    session.save_model(trainer, Path(job["output"]), model.dtype, (model.base or model) if keep else None)
    return metrics


def count_tokens(job: Job) -> list[int]:
    """Tokens of each example as a training sees it, prompt, template and end included.

    Job: model (ModelRef), rows (as `write_examples` writes them), chat.
    """
    from selfplay.engines import loading

    tokenizer = loading.load_tokenizer(job["model"])
    return [len(_encode(tokenizer, row, job | {"loss": "all"})["input_ids"]) for row in job["rows"]]


def _encode(tokenizer: Any, row: dict[str, Any], job: Job) -> dict[str, list[int]]:
    prefix, target = tokens_of(tokenizer, row["prompt"], row["segments"], job["chat"])
    hidden = prefix if job["loss"] == "all" else [IGNORED] * len(prefix)
    return {"input_ids": prefix + target, "labels": hidden + target}


def tokens_of(tokenizer: Any, prompt: str, segments: Sequence[str], chat: bool) -> tuple[list[int], list[int]]:
    """The tokens of a prompt, templated if `chat`, and those of what follows it, its end included.

    None are added that the tokenizer would add by itself: engines sample and score without them, too.
    """
    if chat:
        messages = [{"role": "user", "content": prompt}]
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    prefix = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    target: list[int] = []
    for segment in segments:
        target += tokenizer(segment, add_special_tokens=False)["input_ids"]
    return prefix, [*target, tokenizer.eos_token_id]
