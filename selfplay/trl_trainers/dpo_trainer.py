"""TRL's DPOTrainer on pairs that are tokens already.

TRL 1.16 makes one text of a prompt and an answer and has the tokenizer add what it adds to texts. The policy was
sampled from other tokens: from the prompt alone, which a chat template may have opened with the same special token, and
the answer is what followed it. So pairs are made into tokens as engines and the other trainings do, and are left alone.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from trl import DPOTrainer

from selfplay.run.files import write_json
from selfplay.trl_trainers.sft import NothingToLearn
from selfplay.trl_trainers.sharded.trainer import KeepsShards
from verifiers.untrusted.files import json_rows


class TokenPairsTrainer(KeepsShards, DPOTrainer):
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


CHANGE = "chosen/change_per_token"


class WatchChosen(TrainerCallback):
    """Logs how the chosen completions' log-probability changed, and stops the training when it fell too far.

    TRL logs `rewards/chosen`, which is beta times log p(chosen) less the same under the reference model, the policy
    that the round began with. Every rank hears of the mean over all of them, so that all stop at the same step.
    """

    def __init__(self, beta: float, tokens: float, drop: float | None, window: int, log: Path) -> None:
        """Says when to stop.

        Args:
            beta: TRL's.
            tokens: mean length of the chosen completions.
            drop: largest mean fall, nats a token; None never stops.
            window: log lines over which the fall is averaged.
            log: the training's log file, from which a resumed training learns what it logged before.
        """
        self._scale = beta * tokens
        self._drop = drop
        self._recent: deque[float] = deque(maxlen=window)
        self._log = log
        self.step: int | None = None
        self.fall = 0.0

    @property
    def stopped(self) -> bool:
        """Whether the training was ended."""
        return self.step is not None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Fills the window with what was logged up to the checkpoint, so that a resumed training stops where the
        unbroken one does."""
        if not state.global_step or not self._log.exists():
            return
        rows = [row for _, row in json_rows(self._log)]
        known = {row["step"]: row["metrics"][CHANGE] for row in rows if CHANGE in row["metrics"]}
        self._recent.extend(known[step] for step in sorted(known) if step <= state.global_step)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keeps the trainer from saving what collapsed at the end of the epoch."""
        if self.stopped:
            control.should_save = False

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Looks at one log line; a checkpoint of the same step would hold the collapsed weights, so none is written."""
        if not logs or "rewards/chosen" not in logs or self._scale <= 0:
            return
        change = float(logs["rewards/chosen"]) / self._scale
        logs[CHANGE] = change
        self._recent.append(change)
        fall = -sum(self._recent) / len(self._recent)
        whole = len(self._recent) == self._recent.maxlen
        # Not `fall > drop`: a log-probability that is no number has collapsed, too.
        if self._drop is not None and whole and not fall <= self._drop and not self.stopped:
            self.step, self.fall = int(state.global_step), fall
            control.should_training_stop, control.should_save = True, False


def write_outcome(file: Path, watch: WatchChosen, kept_step: int) -> None:
    """Leaves in the training's folder what ended it, for the driver."""
    kept = f"the checkpoint of step {kept_step}" if kept_step else "the policy that the round began with"
    sentence = (
        f"dpo stopped at step {watch.step}: the chosen completions lost {watch.fall:.2f} nats a token on average "
        f"against the policy that the round began with, more than training.dpo.collapse.drop allows; {kept} is kept. "
        "Lower args.learning_rate, raise args.beta, or add the NLL term (args.loss_type: [sigmoid, sft])"
    )
    write_json(file, {"stopped": sentence, "step": watch.step, "kept_step": kept_step})
