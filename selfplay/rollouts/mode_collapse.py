"""The wrong answer that a policy gives most often, whatever it is asked: what a policy collapses onto.

An answer that passes is left out, so that tasks which share their right answer raise nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from verifiers.mathematics import answer_reader
from verifiers.model import Verifier

WINDOW = 256
"""Rollouts of a domain that are looked at: steps of few prompts say nothing alone."""
FEWEST_TASKS = 8
"""Tasks among them below which nothing is said: on one task, a policy may well be sure of one wrong answer."""
LONGEST = 100
"""Characters of an answer that count."""
METRIC = "one_wrong_answer"


class ModeCollapse:
    """Looks at the last rollouts of each domain whose answers can be compared."""

    def __init__(self, verifiers: Mapping[str, Verifier], window: int = WINDOW) -> None:
        """Takes the verifiers by domain, and how many rollouts of each are looked at."""
        readers = {domain: answer_reader(verifier) for domain, verifier in verifiers.items()}
        self._readers = {domain: reader for domain, reader in readers.items() if reader is not None}
        self._last: dict[str, deque[tuple[str, str | None]]] = {
            domain: deque(maxlen=window) for domain in self._readers
        }

    def add(self, domain: str, task_id: str, completion: str, passed: bool | None) -> None:
        """Takes in a rollout; one without a verdict is no wrong one."""
        if domain in self._readers:
            answer = self._readers[domain].extract(completion) if passed is False else None
            self._last[domain].append((task_id, None if answer is None else "".join(answer.split())[:LONGEST]))

    def metrics(self) -> dict[str, float]:
        """The share of each domain's rollouts that give its most frequent wrong answer, of enough tasks."""
        found = {}
        for domain, rollouts in self._last.items():
            if len({task for task, _ in rollouts}) >= FEWEST_TASKS:
                counts = Counter(answer for _, answer in rollouts if answer)
                found[f"{METRIC}/{domain}"] = max(counts.values(), default=0) / len(rollouts)
        return found
