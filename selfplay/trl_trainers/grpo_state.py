"""The state of a GRPO training beside TRL's own: its tally, and where its walk through the prompts stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from selfplay.run.files import read_json, write_json
from selfplay.trl_trainers.asynchronous.worker import GroupWorker
from selfplay.trl_trainers.prompt_walk import PromptWalk
from selfplay.trl_trainers.rollout_groups import Tally
from selfplay.trl_trainers.vllm_server.ahead import OneAhead

STATE_FILE = "grpo_state.json"


class KeepGroups(TrainerCallback):
    """Writes the state into every checkpoint, and ends the training once its budget of tokens is spent."""

    def __init__(self, tally: Tally, walk: PromptWalk | None, budget: int, ahead: OneAhead | None = None) -> None:
        """`budget` is in completion tokens that were generated; 0 is none."""
        self._ahead = ahead
        self._tally = tally
        self._walk = walk
        self._budget = budget

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stops when the budget is spent. No checkpoint is kept of that step: nothing is left to train from it."""
        if self._budget and self._tally.tokens >= self._budget:
            control.should_training_stop = True
            control.should_save = False

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keeps the trainer from saving at the end of the epoch what on_step_end did not."""
        if self._budget and self._tally.tokens >= self._budget:
            control.should_save = False

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Runs before the checkpoint is marked as whole."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and folder.exists():
            walk = None if self._walk is None else self._walk.state()
            write_json(folder / STATE_FILE, {"tally": self._tally.state(), "walk": walk})
            if self._ahead is not None:
                self._ahead.save(folder)


class KeepUnderWay(TrainerCallback):
    """Writes into every checkpoint which prompts a training that goes on from it has yet to learn from.

    What no step has learnt from is drawn anew, by the weights of then, and what was judged of it counts twice in the
    tally; a prompt from which a step has learnt in part is done.
    """

    def __init__(self, worker: GroupWorker, walk: PromptWalk, tally: Tally) -> None:
        """Takes the first rank's; the others write nothing."""
        self._worker, self._walk, self._tally = worker, walk, tally
        self._first = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Remembers at which step this process begins, and tells the worker how many are left."""
        self._first = state.global_step
        self._worker.ends_after(state.max_steps - state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Runs before the checkpoint is marked as whole."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if not folder.exists():
            return
        places, walk = self._worker.under_way(state.global_step - self._first, self._walk.state)
        walk["waiting"] = places + walk["waiting"]
        write_json(folder / STATE_FILE, {"tally": self._tally.state(), "walk": walk})


def restore_groups(checkpoint: str, walk: PromptWalk | None) -> Tally:
    """Puts a walk back to where it stood at a checkpoint; returns the tally of then.

    Raises:
        ValueError: the checkpoint is not of this trainer.
    """
    file = Path(checkpoint) / STATE_FILE
    if not file.exists():
        raise ValueError(
            f"{file}: is missing, so the training can't go on from there; delete {Path(checkpoint).parent}"
        )
    state = read_json(file)
    if walk is not None:
        walk.restore(state["walk"])
    return Tally(**state["tally"])
