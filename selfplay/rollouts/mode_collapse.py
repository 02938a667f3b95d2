"""The wrong answer that a policy gives most often, whatever it is asked: what a policy collapses onto.

An answer that passes is left out, so that tasks which share their right answer raise nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from verifiers.answers import answer_reader
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

    def __init__(self, verifiers: Mapping[str, Verifier], window: int | None = WINDOW) -> None:
        """Takes the verifiers by domain, and how many rollouts of each are looked at; None looks at all."""
        readers = {domain: answer_reader(verifier) for domain, verifier in verifiers.items()}
        self._readers = {domain: reader for domain, reader in readers.items() if reader is not None}
        self._seen = {domain: _Seen(window) for domain in self._readers}

    def add(self, domain: str, task_id: str, completion: str, passed: bool | None) -> None:
        """Takes in a rollout; one without a verdict is no wrong one."""
        if domain in self._readers:
            answer = self._readers[domain].extract(completion) if passed is False else None
            self._seen[domain].add(task_id, "" if answer is None else "".join(answer.split())[:LONGEST])

    def metrics(self) -> dict[str, float]:
        """The share of each domain's rollouts that give its most frequent wrong answer, of enough tasks."""
        return {
            f"{METRIC}/{domain}": seen.largest_share()
            for domain, seen in self._seen.items()
            if len(seen.tasks) >= FEWEST_TASKS
        }


class _Seen:
    """How often each wrong answer was given in a window of rollouts, and each task came."""

    def __init__(self, window: int | None) -> None:
        self.tasks = Counter[str]()
        self._answers = Counter[str]()
        self._window = window
        self._last: deque[tuple[str, str]] = deque()

    def add(self, task: str, answer: str) -> None:
        """Takes in a rollout with its wrong answer, empty where it gave none."""
        self.tasks[task] += 1
        self._answers[answer] += 1
        if self._window is None:
            return
        self._last.append((task, answer))
        if len(self._last) > self._window:
            task, answer = self._last.popleft()
            _take_out(self.tasks, task)
            _take_out(self._answers, answer)

    def largest_share(self) -> float:
        """Of all rollouts that are looked at."""
        most = max((count for answer, count in self._answers.items() if answer), default=0)
        return most / self._answers.total()


def _take_out(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]
