"""Rollouts of one rank that were judged together: what they were worth, and the log that keeps every one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfplay.run.files import repair_lines
from verifiers.composite import component_rewards
from verifiers.model import Verdict

Reward = float | None
"""None: the verdict could not be reached."""


@dataclass(frozen=True, slots=True)
class JudgedRollouts:
    """Completions of this rank with their verdicts, in order."""

    task_ids: Sequence[str]
    domains: Sequence[str]
    texts: Sequence[str]
    token_ids: Sequence[Sequence[int]]
    """As TRL has them: with the token that ended each, where one did."""
    verdicts: Sequence[Verdict]
    rewards: list[Reward]
    """What the training gets: the verdicts' rewards, or, in the control, a permutation of them."""

    def values(self) -> Iterator[tuple[str, float]]:
        """What each rollout adds to the mean reward of its domain and of each component, and to the unchecked share.

        Value by value, so that a mean over several batches and ranks is one over all of their rollouts.
        """
        for verdict, domain in zip(self.verdicts, self.domains, strict=True):
            yield f"not_checked/{domain}", float(verdict.reward is None)
            rewards = {f"reward/{domain}": verdict.reward}
            rewards |= {f"reward/{domain}/{part}": reward for part, reward in component_rewards(verdict).items()}
            yield from ((name, reward) for name, reward in rewards.items() if reward is not None)


class RolloutLog:
    """Every rollout of one rank as a line of JSON. A step that is done again after a crash writes the same keys."""

    def __init__(self, file: Path, rank: int, end: int | None = None) -> None:
        """Takes the file, this rank, and the token that ends completions, which is not logged."""
        repair_lines(file)
        self._file = file
        self._rank = rank
        self._end = end
        self._calls: Counter[int] = Counter()

    def next_call(self, step: int) -> int:
        """Numbers the batches of one step, from 1."""
        self._calls[step] += 1
        return self._calls[step]

    def write(self, step: int, call: int, judged: JudgedRollouts) -> None:
        """Appends the rollouts of one call."""
        columns = zip(judged.task_ids, judged.domains, judged.texts, judged.token_ids, judged.verdicts, strict=True)
        with self._file.open("a", encoding="utf-8") as file:
            for place, (task_id, domain, text, ids, verdict) in enumerate(columns):
                row = {
                    "step": step,
                    "rank": self._rank,
                    "call": call,
                    "place": place,
                    "task_id": task_id,
                    "domain": domain,
                    "completion": text,
                    "passed": verdict.passed,
                    "reward": verdict.reward,
                    "status": verdict.status,
                    "reason": verdict.reason,
                    "components": component_rewards(verdict),
                    "token_ids": list(ids[:-1] if ids and ids[-1] == self._end else ids),
                }
                file.write(json.dumps(row) + "\n")
