"""The conformance kit: what the author of a verifier runs before trusting a training to it.

`examine` puts labelled cases and hostile completions to a verifier in killable processes, one by one, again, in
another order, in batches, from threads and in another process, and reports what differed, raised, hung, passed
without being right, or was left behind. It takes seconds for a verifier of text, and never hangs on one that
does.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verifiers.conformance import checks
from verifiers.conformance.cases import Case
from verifiers.conformance.items import items_of
from verifiers.conformance.report import Agreement, Check, Failure, Report, check_of
from verifiers.conformance.subject import Trouble
from verifiers.conformance.trial import Trial, TrialLimits
from verifiers.registry import UnknownVerifier, offers

# Of Python's `hash`: verdicts that depend on the order of a set differ between them.
_SEEDS = (1, 4242)


@dataclass(frozen=True, slots=True)
class Settings:
    """How strict to be. Rates lie in [0, 1] and are shares of the labelled cases concerned."""

    limits: TrialLimits = field(default_factory=TrialLimits)
    huge_chars: int = 1_000_000
    max_false_passes: float = 0.0
    max_false_fails: float = 0.0
    max_not_checked: float = 0.0


def examine(
    name: str,
    params: Mapping[str, Any] | None = None,
    cases: Sequence[Case] = (),
    settings: Settings | None = None,
) -> Report:
    """Examines a verifier, by name or `module:Name`, as it is made with the parameters (plain JSON data).

    Raises UnknownVerifier when it can't be made. Whatever else it does, there is a report.
    """
    begun = time.perf_counter()
    chosen = settings or Settings()
    source, path = _where(name)
    with (
        tempfile.TemporaryDirectory(prefix="conformance-") as folder,
        Trial(path, dict(params or {}), items_of(cases, chosen.huge_chars), Path(folder), chosen.limits) as trial,
    ):
        try:
            opened = trial.open(_SEEDS[0])
        except Trouble as trouble:
            raise UnknownVerifier(f"verifier {name!r} can't be made: {trouble}") from trouble
        judges = opened["judges"]
        # The verdicts that all others are compared with.
        first = trial.alone(range(len(trial.items)), _SEEDS[0])
        agreement = checks.agreement_of(cases, first) if cases else None
        allowed = (chosen.max_false_passes, chosen.max_false_fails, chosen.max_not_checked)
        made = [
            *checks.hostile_checks(trial.items, first, judges),
            checks.agreement_check(cases, first, agreement, allowed),
            checks.time_check(trial, first),
            *_repeated(trial, first),
        ]
        slow = checks.slowest(first)
        return Report(
            verifier=name,
            source=source,
            params=dict(params or {}),
            judges=judges,
            checks=tuple(made),
            agreement=agreement,
            slowest_item=trial.items[slow].name,
            slowest_s=round(first[slow].seconds, 6),
            peak_memory_mb=round(trial.peak_mb, 1),
            seconds=round(time.perf_counter() - begun, 3),
        )


def _where(name: str) -> tuple[str, str]:
    """Returns who offers a verifier, and the name under which another process finds it."""
    known = {offer.name: offer for offer in offers()}
    if name not in known:
        return "dotted path", name
    offer = known[name]
    return offer.source, offer.path if offer.source == "registered" else name


def _repeated(trial: Trial, first: checks.Results) -> list[Check]:
    """The checks that ask again; each goes on with the process that the one before left."""
    if not checks.settled(first):
        why = [Failure("all items", "none gave a whole verdict, so that nothing could be asked again")]
        return [check_of("determinism", len(first), why)]
    notes = checks.Notes()
    made = [
        checks.guarded("determinism", lambda: checks.determinism_check(trial, first, _SEEDS, notes)),
        checks.guarded("order and batches", lambda: checks.batches_check(trial, first, notes)),
        checks.guarded("threads", lambda: checks.threads_check(trial, first, notes)),
        checks.guarded("close", lambda: checks.leak_check(trial, first)),
        checks.guarded("manners", lambda: checks.manners_check(trial, notes)),
    ]
    trials = sum(check.trials for check in made)
    return [*made, checks.steadiness_check(notes, trials)]


def agreement_text(agreement: Agreement) -> str:
    """Returns an agreement as a person reads it: counts, rates in percent, 95% intervals."""
    parts = (
        ("false passes", agreement.false_passes),
        ("false fails", agreement.false_fails),
        ("not checked", agreement.not_checked),
    )
    return "; ".join(
        f"{name} {share.count} of {share.of} ({share.rate:.1%} [{share.low:.1%}, {share.high:.1%}])"
        for name, share in parts
    )
