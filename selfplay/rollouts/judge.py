"""Verdicts on many completions: each distinct one judged once, kept in the run's store, in the order asked."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from sandbox.model import Sandbox
from sandbox.open import open_sandbox
from selfplay.config.domains import ASSERTS, ProblemKind
from selfplay.config.sandbox import SandboxSettings
from selfplay.run.store import VerdictStore, key_begun, key_ended
from verifiers import registry
from verifiers.model import Task, Verdict, Verifier
from verifiers.plugins.hosted import Hosting

Item = tuple[str, Task, str]
"""Domain, task and completion."""


KEPT = ("components", "answer")
"""Of a verdict's details."""
CUT = Verdict(False, 0.0, "cut", "the completion was cut at the token limit")


class JudgeSettings(Protocol):
    """The settings on which verdicts depend: a recipe, or a part of one."""

    @property
    def domains(self) -> Mapping[str, ProblemKind]:
        """Kinds of problems, with the verifier of each."""

    @property
    def sandbox(self) -> SandboxSettings:
        """Where verifiers run programs."""


class Judge:
    """The verifiers of all domains over one verdict store."""

    _last: tuple[str, Task, Any] | None = None
    """Domain and task of the item whose key was made last, and the key as far as these go."""

    def __init__(self, settings: JudgeSettings, store: Path, workers: int | None = None) -> None:
        self.verifiers: dict[str, Verifier] = {
            name: load_verifier(settings, name, settings.sandbox.workers if workers is None else workers)
            for name in settings.domains
        }
        self._store = VerdictStore(store / "verdicts.sqlite")

    @property
    def fingerprints(self) -> dict[str, str]:
        """Of the verifier of each domain: another one where its code was edited, or its libraries are others."""
        return {domain: _fingerprint(verifier) for domain, verifier in self.verifiers.items()}

    def judge(self, items: Sequence[Item], on_progress: Callable[[int], None] | None = None) -> list[Verdict]:
        """One verdict an item, in order. Verdicts that could not be reached are not kept: they are tried again."""
        keys, known = self.look_up(items)
        for domain in self.verifiers:
            missing = {k: item for k, item in zip(keys, items, strict=True) if item[0] == domain and k not in known}
            fresh = self._reached(domain, [(task, completion) for _, task, completion in missing.values()])
            found = dict(zip(missing, fresh, strict=True))
            self.keep(found)
            known |= found
        if on_progress is not None:
            on_progress(len(items))
        return [known[key] for key in keys]

    def _reached(self, domain: str, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Verdicts that the store does not have, in order."""
        return self.verifiers[domain].verify_many(items)

    def look_up(self, items: Sequence[Item]) -> tuple[list[str], dict[str, Verdict]]:
        """The key of each item, and the verdicts that are known, by key."""
        keys = [self._key(item) for item in items]
        return keys, self._store.get_many(keys, _verdict)

    def keep(self, verdicts: Mapping[str, Verdict]) -> None:
        """Stores verdicts by key, but for those that could not be reached."""
        self._store.put_many({key: _row(verdict) for key, verdict in verdicts.items() if verdict.passed is not None})

    def _key(self, item: Item) -> str:
        """The content key of (verifier, task, completion). What it says of the task, whose tests may be megabytes, is
        hashed once for the completions of a task, which come one after the other."""
        domain, task, completion = item
        last = self._last
        if last is None or last[0] != domain or last[1] is not task:
            begun = key_begun("verdict", _fingerprint(self.verifiers[domain]), asdict(task))
            last = self._last = (domain, task, begun)
        return key_ended(last[2], completion)

    def close(self) -> None:
        """Ends the verifiers' workers and closes the store."""
        for verifier in self.verifiers.values():
            verifier.close()
        self._store.close()


def _fingerprint(verifier: Verifier) -> str:
    # Verifiers of others may have none.
    return str(getattr(verifier, "fingerprint", verifier.name))


def load_verifier(settings: JudgeSettings, domain: str, workers: int) -> Verifier:
    """The verifier of one domain, with as many workers as said; so are the components of a composite."""
    own = settings.domains[domain]
    programs = {"workers": workers, "open_sandbox": sandbox_opener(settings)}
    defaults: dict[str, dict[str, Any]] = {
        "math": {"workers": workers},
        "math_verify": {"workers": workers},
        "code": programs,
        ASSERTS: programs,
    }
    hosting = Hosting(max(workers, 1), own.verifier_deadline_s)
    return registry.load(own.verifier, own.verifier_params, defaults=defaults, hosting=hosting)


def sandbox_opener(settings: JudgeSettings) -> Callable[[], Sandbox]:
    """Opens a sandbox as the settings say."""
    how = settings.sandbox
    return functools.partial(open_sandbox, how.backend, how.waive, server=how.server, packages=how.packages)


def _row(verdict: Verdict) -> dict[str, Any]:
    """A verdict as it is kept: of the details, only what is read again, the components of a composite by name and the
    answer that was found."""
    return asdict(verdict) | {"details": {name: verdict.details[name] for name in KEPT if name in verdict.details}}


class _KeptVerdict(BaseModel):
    """A verdict as the store has it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    passed: bool
    reward: float
    status: str
    reason: str
    details: dict[str, Any]
    seconds: float


def _verdict(row: Any) -> Verdict:
    return Verdict(**_KeptVerdict.model_validate(row).model_dump())
