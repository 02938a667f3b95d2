"""Rollouts of one rank that were judged together: what they were worth, and the log that keeps every one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfplay.run import repair_lines
from verifiers.composite import component_rewards, mean_component_rewards
from verifiers.model import Verdict

Reward = float | None
"""None: the verdict could not be reached."""


@dataclass(frozen=True, slots=True)
class JudgedRollouts:
    """Completions of this rank with their verdicts, in order."""

    task_ids: Sequence[str]
    domains: Sequence[str]
    texts: Sequence[str]
    verdicts: Sequence[Verdict]
    rewards: list[Reward]
    """What the training gets: the verdicts' rewards, or, in the control, a permutation of them."""

    def metrics(self) -> dict[str, float]:
        """The mean reward of each domain and of each component, and the share that could not be checked."""
        found: dict[str, float] = {}
        for name in sorted(set(self.domains)):
            mine = [v for v, domain in zip(self.verdicts, self.domains, strict=True) if domain == name]
            reached = [v.reward for v in mine if v.reward is not None]
            if reached:
                found[f"reward/{name}"] = sum(reached) / len(reached)
            found[f"not_checked/{name}"] = 1 - len(reached) / len(mine)
            found |= {f"reward/{name}/{part}": mean for part, mean in mean_component_rewards(mine).items()}
        return found


class RolloutLog:
    """Every rollout of one rank as a line of JSON. A step that is done again after a crash writes the same keys."""

    def __init__(self, file: Path, rank: int) -> None:
        repair_lines(file)
        self._file = file
        self._rank = rank
        self._calls: Counter[int] = Counter()

    def next_call(self, step: int) -> int:
        """Numbers the batches of one step, from 1."""
        self._calls[step] += 1
        return self._calls[step]

    def write(self, step: int, call: int, judged: JudgedRollouts) -> None:
        """Appends the rollouts of one call."""
        columns = zip(judged.task_ids, judged.domains, judged.texts, judged.verdicts, strict=True)
        with self._file.open("a", encoding="utf-8") as file:
            for place, (task_id, domain, text, verdict) in enumerate(columns):
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
                }
                file.write(json.dumps(row) + "\n")
