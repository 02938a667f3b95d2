"""The generation batch that is drawn while the trainer steps on the one before it: one batch ahead, and no more.

A batch is begun once the weights of the step before it are at the server and the batch of that step is there. It is
asked for a sync later, so that its completions are one sync behind the weights that learn from them; TRL's importance
ratios, of the trainer's log-probabilities over the server's own, correct for that as they do for rounding. A checkpoint
holds what was drawn ahead, so that a training that goes on learns from the same completions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfplay.run.files import read_json, write_json
from selfplay.trl_trainers.vllm_server.served import ServedGeneration

AHEAD_FILE = "grpo_ahead.json"
"""In a checkpoint: the batch that was drawn ahead."""


class OneAhead:
    """Which prompts the next batch has, and its completions so far."""

    def __init__(self, checkpoint: str | None = None) -> None:
        """Takes the checkpoint that a training goes on from."""
        file = None if checkpoint is None else Path(checkpoint) / AHEAD_FILE
        kept = read_json(file) if file is not None and file.exists() else {}
        self._places: list[int] = kept.get("places", [])
        self._drawn: dict[str, Any] | None = kept.get("drawn")
        self._generation: ServedGeneration | None = None

    def joins(self, generation: ServedGeneration) -> None:
        """Hands over what the checkpoint has, before the first completion."""
        self._generation = generation
        generation.take(self._drawn)

    def begin(self, prompts: list[list[int]], count: int, step: int, places: Sequence[int] = ()) -> None:
        """Begins a batch.

        Args:
            prompts: this rank's, a row each.
            count: completions of a group.
            step: at which it will be asked for.
            places: those of its groups in the pool, where a walk has chosen them.
        """
        assert self._generation is not None
        self._places = list(places)
        self._generation.begin(prompts, count, step)

    def take_places(self) -> list[int]:
        """The groups of the batch that was begun, once; none where there is none, or no walk has chosen them."""
        places, self._places = self._places, []
        return places

    def save(self, checkpoint: Path) -> None:
        """Writes what was begun into a checkpoint, once all of it has come; on the first rank."""
        drawn = None if self._generation is None else self._generation.ahead_state()
        if drawn is not None:
            write_json(checkpoint / AHEAD_FILE, {"places": self._places, "drawn": drawn})
