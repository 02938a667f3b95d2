"""Groups of rollouts of one prompt: which of them can teach, how a batch is topped up, and what was spent on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

SAME = 1e-6
"""Rewards that differ by less are one: they pass between ranks in single precision."""


@dataclass(frozen=True, slots=True)
class Group:
    """The rollouts of one prompt in one generation batch."""

    prompt: int
    """Its place in the pool."""
    rewards: tuple[float, ...]
    """Those that could be reached."""
    tokens: int
    """Completion tokens of all its rollouts."""
    learned: tuple[tuple[float, int], ...]
    """Reward and tokens of those that are in the loss: neither without a reward, nor masked for being cut."""

    @property
    def teaches(self) -> bool:
        """Whether a rollout that is in the loss has an advantage: its reward is not the mean of its group's."""
        if not self.rewards:
            return False
        mean = sum(self.rewards) / len(self.rewards)
        return any(abs(reward - mean) > SAME for reward, _ in self.learned)

    @property
    def learned_tokens(self) -> int:
        """Completion tokens in the loss."""
        return sum(tokens for _, tokens in self.learned)


class TopUp:
    """Plans the further groups of one generation batch, which take the places of groups without variance.

    All ranks plan alike: each rolls out an equal part of what is planned.
    """

    def __init__(self, variance: Sequence[bool], most: int, unit: int = 1) -> None:
        """
        Args:
            variance: of each group of the batch, whether it has variance.
            most: groups that may be rolled out further.
            unit: the number of groups is a multiple of it, so that ranks get equal parts.
        """
        self._empty = [place for place, has in enumerate(variance) if not has]
        self._left = most
        self._unit = unit

    def next_count(self) -> int:
        """Groups to roll out next; 0 when every place has variance or the budget is used up."""
        wanted = math.ceil(len(self._empty) / self._unit)
        return min(wanted, self._left // self._unit) * self._unit

    def place(self, variance: Sequence[bool]) -> list[tuple[int, int]]:
        """Takes in the groups that were rolled out; pairs of a place in the batch and the number of its new group."""
        self._left -= len(variance)
        useful = [number for number, has in enumerate(variance) if has]
        swaps = list(zip(self._empty, useful, strict=False))
        self._empty = self._empty[len(swaps) :]
        return swaps


@dataclass(slots=True)
class Tally:
    """Counts of all that a training has rolled out so far, groups that were replaced included."""

    tokens: int = 0
    """Completion tokens."""
    informative_tokens: int = 0
    """Those in the loss, in groups that teach."""
    groups: int = 0
    groups_with_variance: int = 0

    def add(self, groups: Sequence[Group]) -> None:
        """Counts groups of all ranks."""
        useful = [group for group in groups if group.teaches]
        self.tokens += sum(group.tokens for group in groups)
        self.informative_tokens += sum(group.learned_tokens for group in useful)
        self.groups += len(groups)
        self.groups_with_variance += len(useful)

    def shares(self, since: Tally | None = None) -> dict[str, float]:
        """Shares of tokens and of groups with variance, and the tokens, since another tally; none without groups."""
        before = since or Tally()
        groups, tokens = self.groups - before.groups, self.tokens - before.tokens
        if not groups:
            return {}
        return {
            "groups/with_variance": (self.groups_with_variance - before.groups_with_variance) / groups,
            "tokens/informative": (self.informative_tokens - before.informative_tokens) / max(tokens, 1),
            "tokens/generated": float(tokens),
        }

    def summary(self) -> dict[str, float]:
        """All of it, for the closing table."""
        share = self.informative_tokens / self.tokens if self.tokens else 0.0
        return self.state() | {"informative_share": share}

    def state(self) -> dict[str, Any]:
        """Plain JSON, for `Tally(**state)`."""
        return asdict(self)
