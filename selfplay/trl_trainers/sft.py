"""Maximum likelihood on examples by TRL's SFTTrainer: the base, the cold start, both EM steps, and rft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from selfplay.config.errors import RunStopped
from selfplay.engines.base import ModelRef
from selfplay.engines.hf_engine import prompt_ids, turn_end_id
from selfplay.run.records import Example
from selfplay.trl_trainers.jobs import Placement, SFTJob
from selfplay.trl_trainers.training_set import Columns, training_set

IGNORED = -100
COLUMNS = pa.schema([("input_ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32()))])


class NothingToLearn(RunStopped):
    """There is no prompt, pair or sample to train on; the message says why and what to change."""


def train_sft(job: SFTJob, place: Placement) -> dict[str, float]:
    """Fits a model to examples; returns the last metrics.

    Raises:
        RecordError: the table of examples is damaged.
    """
    from selfplay.trl_trainers import session
    from selfplay.trl_trainers.sharded.trainer import ExamplesTrainer

    network, tokenizer = session.begin(job, place)
    trainer = ExamplesTrainer(
        model=network,
        args=session.settings_of("sft", job, place),
        train_dataset=example_set(job, tokenizer, place.work),
        processing_class=tokenizer,
        peft_config=session.peft_config(job),
    )
    metrics = session.run_training(trainer, place.work, job, place.sequence_ranks)
    heldout = None if job.heldout is None else example_set(job, tokenizer, place.work, job.heldout)
    session.save_model(trainer, job, place, None if heldout is None else lambda network: mean_loss(network, heldout))
    return metrics


def mean_loss(network: Any, examples: Any) -> float:
    """Mean loss of a network on a set of examples, nats a token that counts."""
    import torch

    network.eval()
    total, count = 0.0, 0
    for row in examples:
        ids = torch.tensor([row["input_ids"]], device=network.device)
        # The first position predicts the second, and the last nothing.
        wanted = torch.tensor(row["labels"][1:], device=network.device)
        with torch.no_grad():
            logits = network(input_ids=ids).logits[0, :-1].float()
        total += float(torch.nn.functional.cross_entropy(logits, wanted, ignore_index=IGNORED, reduction="sum"))
        count += int((wanted != IGNORED).sum())
    return total / count


def example_set(job: SFTJob, tokenizer: Any, work: Path, table: Path | None = None) -> Any:
    """The examples of the job, or of another table, as tokens and labels, on disk."""

    def encode(rows: Sequence[Example]) -> Columns:
        encoded = [_encoded(tokenizer, row, job.model.chat, job.loss) for row in rows]
        return {"input_ids": [ids for ids, _ in encoded], "labels": [labels for _, labels in encoded]}

    known = (job.model.fingerprint, job.model.chat, job.loss)
    return training_set(table or job.examples, Example, encode, COLUMNS, work, *known)


@dataclass(frozen=True, slots=True)
class CountJob:
    """Examples of which the tokens are counted."""

    model: ModelRef
    examples: Sequence[Example]


def count_tokens(job: CountJob) -> list[int]:
    """Tokens of each example as a training sees it, prompt, template and end included."""
    from selfplay.engines import loading

    tokenizer = loading.load_tokenizer(job.model)
    return [len(_encoded(tokenizer, row, job.model.chat, "all")[0]) for row in job.examples]


def _encoded(
    tokenizer: Any, row: Example, chat: bool, loss: Literal["completion", "all"]
) -> tuple[list[int], list[int]]:
    """The ids of an example, and its labels."""
    prefix, target = tokens_of(tokenizer, row.prompt, row.segments, chat)
    hidden = prefix if loss == "all" else [IGNORED] * len(prefix)
    return prefix + target, hidden + target


def tokens_of(tokenizer: Any, prompt: str, segments: Sequence[str], chat: bool) -> tuple[list[int], list[int]]:
    """The tokens of a prompt, as engines read it, and those of what follows it, its end included."""
    prefix = prompt_ids(tokenizer, prompt, chat)
    target: list[int] = []
    for segment in segments:
        target += tokenizer(segment, add_special_tokens=False)["input_ids"]
    return prefix, [*target, turn_end_id(tokenizer, chat)]
