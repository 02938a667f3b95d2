"""Opens the verifiers that are served, and asks each for verdicts that are known: at the start, and now and then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.model import SandboxUnavailable
from verifiers.model import Task, Test, Verdict, Verifier
from verifiers.plugins.guard import GuardedVerifier
from verifiers.registry import UnknownVerifier, load
from verifiers.service.hasty import HastyVerifier, hasty_verifier
from verifiers.service.settings import Served, UnusableService

Known = tuple[Task, str, bool]
"""A task, a completion, and whether it passes."""

_BY_KIND: dict[str, list[Known]] = {
    "math": [
        # The first needs algebra, and so a worker.
        (Task(answer="(x+1)^2"), "\\boxed{x^2+2x+1}", True),
        (Task(answer="2"), "\\boxed{3}", False),
    ],
    "math_verify": [
        (Task(answer="1/2"), "\\boxed{\\frac{2}{4}}", True),
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
_WARM_UP = 16
"""Times that the known items are asked of a quick verifier at its start, so that all its workers are there."""
_WHATEVER_PARAMS = ("math", "math_verify", "code")


@dataclass(frozen=True, slots=True)
class Opened:
    """A verifier that is ready to serve."""

    served: Served
    verifier: Verifier
    known: Sequence[Known]
    quick: Verifier | None = None
    """The same with little time for an item."""

    @property
    def fingerprint(self) -> str:
        """Changes when the verifier's verdicts may."""
        return str(getattr(self.verifier, "fingerprint", self.verifier.name))

    def close(self) -> None:
        """Ends its workers."""
        for verifier in filter(None, (self.verifier, self.quick)):
            verifier.close()


def open_all(
    wanted: Sequence[Served],
    *,
    defaults: Mapping[str, Mapping[str, Any]] | None = None,
    probe_sandbox: Callable[[], object] | None = None,
    quick_s: float | None = None,
    quick_opened: Callable[[], object] = lambda: None,
) -> dict[str, Opened]:
    """Opens verifiers by the names they are served under; each gives its known verdicts first.

    Args:
        wanted: what to open.
        defaults: by verifier name, parameters where those of `wanted` have none.
        probe_sandbox: called first where programs will be run; raises what open_sandbox raises.
        quick_s: the time for an item of those that are opened a second time, for what is quick; None opens none so.
        quick_opened: called once these are open, and all their workers started, before the others are opened.

    Raises UnusableService, with everything closed, when one can't be made or gives another verdict, and when
    there is no sandbox for one that runs programs.
    """
    opened: dict[str, Opened] = {}
    hasty: dict[str, HastyVerifier] = {}
    try:
        for served in wanted:
            if probe_sandbox is not None and runs_programs(served):
                _probe(served, probe_sandbox)
            if quick_s is not None and (early := _hasty(served, defaults, quick_s)) is not None:
                hasty[served.name] = early
                _start(served, early)
                GuardedVerifier(early).verify_many([(task, text) for task, text, _ in _known(served)] * _WARM_UP)
        quick_opened()
        for served in wanted:
            verifier = _loaded(served, defaults)
            opened[served.name] = one = Opened(served, verifier, _known(served), hasty.pop(served.name, None))
            judge = GuardedVerifier(one.verifier)
            fault = fault_of(one.known, judge.verify_many([(task, text) for task, text, _ in one.known]))
            if fault:
                raise UnusableService(f"verifier {served.name} is not fit to serve: {fault}")
    except BaseException:
        for one in opened.values():
            one.close()
        for quick in hasty.values():
            quick.close()
        raise
    return opened


def runs_programs(served: Served) -> bool:
    """Whether this is the code verifier, or is made of verifiers among which it is."""
    left: list[Any] = [{"verifier": served.verifier, "params": served.params}]
    while left:
        part = left.pop()
        if isinstance(part, Mapping):
            if part.get("verifier") == "code":
                return True
            left.extend(part.values())
    return False


def _probe(served: Served, probe_sandbox: Callable[[], object]) -> None:
    try:
        probe_sandbox()
    except (SandboxUnavailable, ValueError) as error:
        raise UnusableService(f"verifier {served.name} runs programs, and has no sandbox here: {error}") from error


def _start(served: Served, early: HastyVerifier) -> None:
    try:
        early.start()
    except OSError as error:
        raise UnusableService(f"verifier {served.name} is not fit to serve: a worker did not start: {error}") from error


def _loaded(served: Served, defaults: Mapping[str, Mapping[str, Any]] | None) -> Verifier:
    try:
        return load(served.verifier, served.params, defaults=defaults)
    except UnknownVerifier as error:
        raise UnusableService(f"verifier {served.name}: {error}") from error


def _hasty(served: Served, defaults: Mapping[str, Mapping[str, Any]] | None, quick_s: float) -> HastyVerifier | None:
    try:
        return hasty_verifier(served.verifier, served.params, defaults, quick_s)
    except UnknownVerifier as error:
        raise UnusableService(f"verifier {served.name}: {error}") from error


def _known(served: Served) -> Sequence[Known]:
    return [(row.item.task(), row.item.completion, row.passed) for row in served.known] or _ours(served)


def _ours(served: Served) -> list[Known]:
    """Our own items, where parameters can't make their verdicts others."""
    return [] if served.params and served.verifier not in _WHATEVER_PARAMS else _BY_KIND.get(served.verifier, [])


def fault_of(known: Sequence[Known], verdicts: Sequence[Verdict]) -> str:
    """Says which known verdict was not given; empty when all were."""
    for (task, completion, passed), verdict in zip(known, verdicts, strict=True):
        if verdict.passed is None:
            return f"{verdict.status}: {verdict.reason}"
        if verdict.passed is not passed:
            asked = f"answer {task.answer!r}, completion {completion[:80]!r}"
            return f"a known item ({asked}) was {verdict.status}, and should have {'passed' if passed else 'failed'}"
    return ""
