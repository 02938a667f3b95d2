"""TRL's DPOTrainer on pairs that are tokens already.

TRL 1.16 makes one text of a prompt and an answer and has the tokenizer add what it adds to texts. The policy was
sampled from other tokens: from the prompt alone, which a chat template may have opened with the same special token, and
the answer is what followed it. So pairs are made into tokens as engines and the other trainings do, and are left alone.
"""

from __future__ import annotations

from typing import Any

from trl import DPOTrainer

from selfplay.trl_trainers.sft import NothingToLearn


class TokenPairsTrainer(DPOTrainer):
    """A DPOTrainer whose dataset has `prompt_ids`, `chosen_ids` and `rejected_ids`."""

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        """As TRL does, leaves out pairs of which `max_length` would keep no token of an answer.

        Raises:
            NothingToLearn: that is all of them.
        """
        if args.max_length is None or args.truncation_mode != "keep_start":
            return dataset
        left = dataset.filter(lambda row: len(row["prompt_ids"]) < args.max_length)
        if not len(left):
            raise NothingToLearn(
                f"training.dpo.args.max_length is {args.max_length}, and every prompt is that long alone; raise it, or "
                "leave it out, so that no pair is cut"
            )
        return left
