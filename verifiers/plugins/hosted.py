"""A verifier of others in worker processes that can be killed: a hang or a crash of it costs one verdict.

The plug-in is made in each worker, by its name and parameters, and gets tasks and completions as JSON. Its prints go
to standard error, its threads and its memory end with the worker.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from verifiers.model import Task, Verdict, Verifier
from verifiers.pool.pool import Bounds, WorkerOutcome, WorkerPool

PROGRAM = "verifiers.plugin_worker"
_NO_END = 1e6
"""Seconds of processor time: the clock alone ends a plug-in, which may use as many cores as it likes."""


@dataclass(frozen=True, slots=True)
class Hosting:
    """How verifiers of others are run: how many processes, and the seconds after which a verdict is given up."""

    workers: int = 2
    deadline_s: float = 60.0


class HostedVerifier(Verifier):
    """Stands for a plug-in whose work is done in worker processes; they start when first needed.

    Statuses: those of the plug-in, and, without a reward: timed_out, over_memory, worker_died, not_checked.
    """

    overlaps = True

    def __init__(self, path: str, params: Mapping[str, Any], made: Verifier, fingerprint: str, how: Hosting) -> None:
        """Takes the name by which a worker finds it, its parameters (JSON), and one that was made to look at."""
        self.name = made.name
        self.judges = str(getattr(made, "judges", "answer"))
        self.fingerprint = str(getattr(made, "fingerprint", fingerprint))
        self._bounds = Bounds(how.deadline_s, _NO_END)
        self._at_a_time = max(1, int(getattr(made, "batch", 1)))
        self._pool = WorkerPool(
            PROGRAM,
            workers=how.workers,
            memory_mb=0,
            max_items=1 << 30,
            arguments=[json.dumps({"path": path, "params": dict(params)})],
            environment=None,
        )

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, in order, spread over the workers; those of a batch that failed are judged one by one."""
        rows = [[asdict(task), completion] for task, completion in items]
        size = self._at_a_time
        batches = [rows[start : start + size] for start in range(0, len(rows), size)]
        found: list[Verdict] = []
        for batch, outcome in zip(batches, self._ask([{"do": "verify", "items": b} for b in batches]), strict=True):
            if outcome.status == "ok" or len(batch) == 1:
                found += self._verdicts(outcome, len(batch))
            else:
                alone = self._ask([{"do": "verify", "items": [row]} for row in batch])
                found += [verdict for one in alone for verdict in self._verdicts(one, 1)]
        return found

    def close(self) -> None:
        """Ends the worker processes."""
        self._pool.close()

    def _ask(self, questions: Sequence[Mapping[str, Any]]) -> list[WorkerOutcome]:
        return self._pool.spread(questions, [self._bounds] * len(questions))

    def _verdicts(self, outcome: WorkerOutcome, count: int) -> list[Verdict]:
        if outcome.status == "ok":
            return [Verdict(**row) for row in outcome.value]
        reason = f"verifier {self.name}: {outcome.reason}"
        return [Verdict(None, None, outcome.verdict_status, reason, seconds=outcome.seconds)] * count


class HostedReader(HostedVerifier):
    """One that also finds and compares answers."""

    def extract(self, completion: str) -> str | None:
        """Returns the final answer of a completion; None where it has none, or none in time."""
        found = self._answer({"do": "extract", "completion": completion})
        return found if isinstance(found, str) else None

    def equal(self, first: str, second: str) -> bool:
        """Tells whether two answers are the same; False when that could not be found out."""
        return self._answer({"do": "equal", "first": first, "second": second}) is True

    def canonical(self, answer: str) -> str:
        """Returns a spelling that two answers share only if they are equal."""
        found = self._answer({"do": "canonical", "answer": answer})
        return found if isinstance(found, str) else answer

    def _answer(self, question: Mapping[str, Any]) -> Any:
        [outcome] = self._ask([question])
        return outcome.value if outcome.status == "ok" else None


def hosted(path: str, params: Mapping[str, Any], made: Verifier, fingerprint: str, how: Hosting) -> Verifier:
    """Returns what stands for a plug-in; the plug-in itself where a worker could not make it anew.

    That is one whose parameters are no JSON, and one that says `in_process = True`, since it holds what cannot be had
    twice, such as a GPU.
    """
    if getattr(made, "in_process", False):
        return made
    try:
        json.dumps(dict(params))
    except (TypeError, ValueError):
        return made
    reads = callable(getattr(made, "extract", None)) and callable(getattr(made, "equal", None))
    stands = (HostedReader if reads else HostedVerifier)(path, params, made, fingerprint, how)
    made.close()
    return stands
