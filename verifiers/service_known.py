"""Opens the verifiers that are served, and asks each for verdicts that are known: at the start, and now and then."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.open import open_sandbox
from verifiers.model import Task, Test, Verdict, Verifier
from verifiers.registry import UnknownVerifier, load
from verifiers.service_queue import judged_all
from verifiers.service_settings import Served, UnusableService

Known = tuple[Task, str, bool]
"""A task, a completion, and whether it passes."""

_BY_KIND: dict[str, list[Known]] = {
    "math": [
        # The first needs algebra, and so a worker.
        (Task(answer="(x+1)^2"), "\\boxed{x^2+2x+1}", True),
        (Task(answer="2"), "\\boxed{3}", False),
    ],
    "code": [
        (Task(tests=(Test("2\n", "4\n"),)), "```python\nprint(2 * int(input()))\n```", True),
        (Task(tests=(Test("2\n", "4\n"),)), "```python\nprint(5)\n```", False),
    ],
    "choice": [(Task(answer="B"), "The answer is B.", True), (Task(answer="B"), "The answer is C.", False)],
    "exact": [(Task(answer="yes"), "yes", True), (Task(answer="yes"), "no", False)],
    "format": [(Task(), "<think>so</think> \\boxed{1}", True), (Task(), "<think>so", False)],
    "length": [(Task(), "", True)],
}
_WITH_WORKERS = ("math", "code")


@dataclass(frozen=True, slots=True)
class Opened:
    """A verifier that is ready to serve."""

    served: Served
    verifier: Verifier
    known: Sequence[Known]

    @property
    def fingerprint(self) -> str:
        """Changes when the verifier's verdicts may."""
        return str(getattr(self.verifier, "fingerprint", self.verifier.name))


def open_all(wanted: Sequence[Served], workers: int) -> dict[str, Opened]:
    """Opens verifiers by the names they are served under; each gives its known verdicts first.

    `workers` is for those that have workers, where their parameters don't say. Raises UnusableService, with
    everything closed, when one can't be made or gives another verdict: so also where no sandbox passes.
    """
    opened: dict[str, Opened] = {}
    try:
        for served in wanted:
            opened[served.name] = one = _open(served, workers)
            fault = fault_of(one.known, judged_all(one.verifier, [(task, text) for task, text, _ in one.known]))
            if fault:
                raise UnusableService(f"verifier {served.name} is not fit to serve: {fault}")
    except BaseException:
        for one in opened.values():
            one.verifier.close()
        raise
    return opened


def _open(served: Served, workers: int) -> Opened:
    params = dict(served.params)
    if served.verifier in _WITH_WORKERS:
        params = {"workers": workers} | params
    if served.verifier == "code":
        backend, waive = params.pop("backend", "auto"), tuple(params.pop("waive", ()))
        params = {"open_sandbox": functools.partial(open_sandbox, backend, waive)} | params
    try:
        verifier = load(served.verifier, params)
    except UnknownVerifier as error:
        raise UnusableService(str(error)) from error
    except Exception as error:  # what a constructor makes of its parameters
        raise UnusableService(f"verifier {served.name}: params: {type(error).__name__}: {error}") from error
    own = [(row.item.task(), row.item.completion, row.passed) for row in served.known]
    return Opened(served, verifier, own or _BY_KIND.get(served.verifier, []))


def fault_of(known: Sequence[Known], verdicts: Sequence[Verdict]) -> str:
    """Says which known verdict was not given; empty when all were."""
    for (task, completion, passed), verdict in zip(known, verdicts, strict=True):
        if verdict.passed is None:
            return f"{verdict.status}: {verdict.reason}"
        if verdict.passed is not passed:
            asked = f"answer {task.answer!r}, completion {completion[:80]!r}"
            return f"a known item ({asked}) was {verdict.status}, and should have {'passed' if passed else 'failed'}"
    return ""
