"""The cost of endpoints' answers, and where spending stops."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from selfplay.config.annotation import Budget, Prices
from selfplay.config.errors import RunStopped


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens, and what they cost in the currency of the prices."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    @property
    def tokens(self) -> int:
        """Of prompts and completions together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost + other.cost,
        )


def priced(prompt_tokens: int, completion_tokens: int, prices: Prices) -> TokenUsage:
    """The usage of one answer."""
    cost = (prompt_tokens * prices.prompt + completion_tokens * prices.completion) / 1e6
    return TokenUsage(prompt_tokens, completion_tokens, cost)


def total(usages: Iterable[TokenUsage]) -> TokenUsage:
    """The sum, in the order given."""
    return sum(usages, TokenUsage())


class BudgetSpent(RunStopped):
    """A budget is used up; the message names its field, and says that finished work is kept."""


class Ledger:
    """Adds up usage against a budget, and against a wider ledger's. Safe from any thread."""

    def __init__(self, field: str, budget: Budget, wider: Ledger | None = None) -> None:
        """Takes the recipe's field of the budget, for messages."""
        self._field, self._budget, self._wider = field, budget, wider
        self._spent = TokenUsage()
        self._lock = threading.Lock()

    @property
    def spent(self) -> TokenUsage:
        """All that was added so far."""
        with self._lock:
            return self._spent

    def add(self, usage: TokenUsage) -> None:
        """Books an answer."""
        with self._lock:
            self._spent += usage
        if self._wider is not None:
            self._wider.add(usage)

    def demand(self) -> None:
        """Lets more be spent.

        Raises:
            BudgetSpent: here or in a wider ledger nothing is left.
        """
        spent = self.spent
        for name, used, limit in (
            ("tokens", spent.tokens, self._budget.tokens),
            ("cost", spent.cost, self._budget.cost),
        ):
            if limit is not None and used >= limit:
                raise BudgetSpent(f"{self._field}.{name}: {used:.6g} of {limit:.6g} are spent")
        if self._wider is not None:
            self._wider.demand()
