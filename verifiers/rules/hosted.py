"""Rules on texts in worker processes that can be killed: whatever reading does with a text costs one verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from verifiers.model import Task, Verdict, Verifier
from verifiers.pool.pool import WorkerOutcome
from verifiers.pool.readers import TextReader

_SHORT_GOLD = 10_000
"""Characters of an answer of a task that can't be what takes long."""


class HostedRule(Verifier):
    """Stands for a rule, which judges by the text of a completion and `task.answer` alone.

    Statuses: those of the rule, and, without a reward, not_checked: it gave no verdict in time, or its worker failed.
    A completion that uses up its processor time or memory is wrong, lest that be worth more than an honest mistake.
    """

    overlaps = True

    def __init__(self, rule: Any, path: str, params: Mapping[str, Any]) -> None:
        """Takes a rule that was made to look at, and how a worker makes it. Raises TypeError for parameters that are
        no JSON."""
        self.name, self.judges, self.fingerprint = rule.name, rule.judges, rule.fingerprint
        self._reader = TextReader(path, params, loads=rule.loads)

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, in order, spread over the workers."""
        outcomes = self._reader.read([(task.answer, completion) for task, completion in items], "judged")
        return [self._verdict(task, outcome) for (task, _), outcome in zip(items, outcomes, strict=True)]

    def close(self) -> None:
        """Ends the workers that are its own."""
        self._reader.close()

    def _verdict(self, task: Task, outcome: WorkerOutcome) -> Verdict:
        if outcome.status == "ok":
            return Verdict(*outcome.value)
        reason = f"verifier {self.name} could not read the completion: {outcome.reason}"
        if outcome.overspent and len(task.answer or "") <= _SHORT_GOLD:
            return Verdict(False, 0.0, "wrong", reason, seconds=outcome.seconds)
        return Verdict(None, None, "not_checked", reason, seconds=outcome.seconds)


class HostedAnswers(HostedRule):
    """One that also finds and compares answers."""

    def extract(self, completion: str) -> str | None:
        """Returns the final answer of a completion; None where it has none, or none in time."""
        found = self._called("extract", completion)
        return found if isinstance(found, str) else None

    def equal(self, first: str, second: str) -> bool:
        """Tells whether two answers are the same; False when that could not be found out."""
        return first == second or self._called("equal", first, second) is True

    def canonical(self, answer: str) -> str:
        """Returns a spelling that two answers share only if they are equal."""
        found = self._called("canonical", answer)
        return found if isinstance(found, str) else answer

    def _called(self, method: str, *texts: str) -> Any:
        [outcome] = self._reader.read([texts], method)
        return outcome.value if outcome.status == "ok" else None


def hosted_rule(rule: Any, path: str, params: Mapping[str, Any]) -> Verifier:
    """Returns what stands for a rule; the rule itself where a worker could not make it anew."""
    kind = HostedAnswers if hasattr(rule, "extract") else HostedRule
    try:
        made: Verifier = kind(rule, path, params)
    except TypeError:  # parameters that are no JSON
        made = rule
    return made
