"""Rollouts of one rank that were judged together: what they were worth, and the log that keeps every one.

`logged_rollouts` reads the logs of all ranks back.
"""

from __future__ import annotations

import heapq
import json
import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.run.files import repair_lines
from selfplay.run.records import Rollout
from selfplay.run.seeding import content_id
from selfplay.run.tables import RecordError
from verifiers.composite import component_rewards
from verifiers.model import Verdict
from verifiers.untrusted.files import LONGEST_ROW, lines_of
from verifiers.untrusted.json_values import parse_json

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
    """Rewards for the training: the verdicts', or, in the control, a permutation of them."""

    def values(self) -> Iterator[tuple[str, float]]:
        """Each rollout's part in the mean reward of its domain and of each component, and in the unchecked share.

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


def logged_rollouts(folder: Path, number: int, temperature: float) -> Iterator[Rollout]:
    """The log of each rank of a GRPO training, in order, less what a training that went on from a checkpoint undid."""
    ranks = [_kept(file) for file in sorted(folder.glob("rollouts-*.jsonl"))]
    for key, row in heapq.merge(*ranks, key=operator.itemgetter(0)):
        yield Rollout(
            id=content_id("rollout", number, *key),
            task_id=row["task_id"],
            domain=row["domain"],
            round=number,
            mode=f"T={temperature}",
            index=row["place"],
            completion=row["completion"],
            passed=row["passed"],
            reward=row["reward"],
            status=row["status"],
            reason=row["reason"],
            token_ids=tuple(row.get("token_ids", ())),
        )


def _kept(log: Path) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    """The lines of one rank by step, rank, call and place, less those of steps that a later attempt did again."""
    # Where each attempt begins: the number of its first line, and that line's step.
    begun: list[tuple[int, int]] = []
    before = (-1, 0, 0)
    for number, row in enumerate(_lines(log)):
        place = (row["step"], row["call"], row["place"])
        if place <= before:
            begun.append((number, row["step"]))
        before = place
    for number, row in enumerate(_lines(log)):
        while begun and begun[0][0] <= number:
            begun.pop(0)
        # An attempt may have topped up less than the one before it, or have ended earlier.
        if all(row["step"] < step for _, step in begun):
            yield (row["step"], row["rank"], row["call"], row["place"]), row


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    for number, line in lines_of(log, LONGEST_ROW, RecordError):
        try:
            yield parse_json(line, finite=False)
        except ValueError as error:
            raise RecordError(f"{log}, line {number}: {error}; delete the stage's folder and run again") from error
