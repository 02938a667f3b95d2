"""The checks of the conformance kit that read what came of single items, and of one item asked in many ways."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from verifiers.conformance.cases import Case
from verifiers.conformance.items import Item, sample
from verifiers.conformance.report import Agreement, Check, Failure, check_of, share_of, skipped
from verifiers.conformance.subject import Trouble
from verifiers.conformance.texts import KINDS
from verifiers.conformance.trial import Result, Trial, result_of

Results = Mapping[int, Result]


@dataclass(slots=True)
class Notes:
    """Remarks that fail nothing: items that could be checked only once, and what of the process
    was changed."""

    unsteady: list[Failure] = field(default_factory=list)
    changed: list[Failure] = field(default_factory=list)


_MOST = 60
# They take longest, and say little more each time.
_HUGE_AGAIN = 2
_THREADS = 4
_BATCHES = (1, 3, 7)
_SEED = 20
_ROUNDS = 3
_TOLERANCE = 1e-9
_CLOSE_S = 30.0


def hostile_checks(items: Sequence[Item], results: Results, judges: str) -> list[Check]:
    """Never raises, never hangs, always a whole verdict, and no pass for what deserves none, by kind of item."""
    return [_hostile(kind, items, results, judges) for kind in KINDS]


def _hostile(kind: str, items: Sequence[Item], results: Results, judges: str) -> Check:
    places = [place for place, item in enumerate(items) if item.kind == kind]
    failures = []
    for place in places:
        item, result = items[place], results[place]
        problem = _fault(result)
        if not problem and result.passed and judges == "answer" and not item.excused:
            problem = f"it passed: {result.told}"
        if not problem and item.twin is not None and not item.excused:
            twin = results[item.twin]
            if twin.reward is not None and (result.reward or 0.0) > twin.reward + _TOLERANCE:
                problem = f"the claim gained: {result.told}, and without it {twin.told}"
        if problem:
            failures.append(Failure(item.name, problem))
    excused = sum(items[place].excused for place in places)
    detail = f"{excused} hold the task's answer by chance" if excused and not failures else ""
    if not failures and all(results[place].passed is None for place in places):
        statuses = sorted({results[place].status for place in places})
        return skipped(kind, f"every verdict was {', '.join(statuses)}; give cases with tasks of this verifier")
    return check_of(kind, len(places), failures, detail)


def _fault(result: Result) -> str:
    return result.trouble or "; ".join(result.faults)


def agreement_of(cases: Sequence[Case], results: Results) -> Agreement:
    """Counts false passes among wrong cases, false fails among right ones, and the unchecked among both."""
    wrong = [results[place] for place, case in enumerate(cases) if case.label == "wrong"]
    right = [results[place] for place, case in enumerate(cases) if case.label == "right"]
    return Agreement(
        share_of(sum(result.passed is True for result in wrong), len(wrong)),
        share_of(sum(result.passed is False for result in right), len(right)),
        share_of(sum(result.passed is None for result in wrong + right), len(wrong) + len(right)),
    )


def agreement_check(
    cases: Sequence[Case], results: Results, agreement: Agreement | None, allowed: tuple[float, float, float]
) -> Check:
    """Compares verdicts with labels; `allowed` are the rates of false passes, false fails and unchecked ones."""
    if agreement is None:
        return skipped("agreement", "no labelled cases were given")
    unlike, broken, unexpected = [], [], False
    for place, case in enumerate(cases):
        result = results[place]
        fault = _fault(result) or _other_than_stated(case, result)
        if fault:
            broken.append(Failure(case.name, fault))
        elif {"right": True, "wrong": False, "not_checked": None}[case.label] is not result.passed:
            reason = f": {result.reason}" if result.reason else ""
            unlike.append(Failure(case.name, f"labelled {case.label}, and it is {result.told}{reason}"[:300]))
            unexpected = unexpected or case.label == "not_checked"
    rates = [share.rate for share in (agreement.false_passes, agreement.false_fails, agreement.not_checked)]
    over = any(rate > most + _TOLERANCE for rate, most in zip(rates, allowed, strict=True))
    if over or broken or unexpected:
        return check_of("agreement", len(cases), broken + unlike)
    within = f"{len(unlike)} of {len(cases)} differ, as many as were allowed" if unlike else ""
    return check_of("agreement", len(cases), [], within)


def _other_than_stated(case: Case, result: Result) -> str:
    if case.status is not None and case.status != result.status:
        return f"status {result.status}, where the case states {case.status}"
    if case.reward is not None and (result.reward is None or abs(case.reward - result.reward) > 1e-6):
        return f"reward {result.reward}, where the case states {case.reward:g}"
    return ""


def settled(results: Results) -> list[int]:
    """Returns the items that gave a whole verdict: what cannot be judged alone is not asked for again."""
    return [place for place, result in results.items() if not _fault(result)]


def _asked_again(trial: Trial, first: Results, most: int = _MOST) -> list[int]:
    """Returns items to ask again: evenly spread, with few of the huge ones, which say little more each time."""
    whole = settled(first)
    huge = [place for place in whole if trial.items[place].kind == "huge"]
    return sample(sorted({*whole} - {*huge[_HUGE_AGAIN:]}), most)


def time_check(trial: Trial, results: Results) -> Check:
    """Every item within its deadline."""
    late = [
        Failure(trial.items[place].name, result.trouble or f"it took {result.seconds:.1f} s")
        for place, result in results.items()
        if result.seconds > trial.deadline_of(place)
    ]
    slow = slowest(results)
    return check_of("time", len(results), late, f"slowest {results[slow].seconds:.2f} s, on {trial.items[slow].name}")


def slowest(results: Results) -> int:
    """Returns the item that took longest."""
    return max(results, key=lambda place: results[place].seconds)


def determinism_check(trial: Trial, first: Results, seeds: tuple[int, int], notes: Notes) -> Check:
    """The same item again: by the same instance, by another one in the same process, and by one in another
    process with another hash seed, in reverse."""
    places = _asked_again(trial, first)
    failures: list[Failure] = []
    _compare(trial, first, trial.alone(places, seeds[0]), "again", failures, notes)

    def renewed(order: Sequence[int], how: str) -> None:
        _compare(trial, first, trial.alone(order, seeds[0]), how, failures, notes)

    try:
        trial.ask("close", _CLOSE_S)
        trial.ask("open", _CLOSE_S)
        renewed(places, "by another instance")
        trial.open(seeds[1])
        before = trial.ask("surroundings", _CLOSE_S)
        renewed(places[::-1], "in another process")
        after = trial.ask("surroundings", _CLOSE_S)
        changed = [name for name in before if before[name] != after[name]]
        notes.changed += [Failure("the process", f"it changed {name}") for name in changed]
    except Trouble as trouble:
        failures.append(Failure("a fresh instance", str(trouble)))
    return check_of("determinism", 3 * len(places), failures)


def batches_check(trial: Trial, first: Results, notes: Notes) -> Check:
    """Any order, any split into batches, an item twice in a batch, and a batch of nothing."""
    places = _asked_again(trial, first)
    shuffled = random.Random(_SEED).sample(places, len(places))
    failures: list[Failure] = []
    trials = 0

    def asked(batch: Sequence[int], how: str) -> None:
        nonlocal trials
        trials += len(batch)
        found = dict(zip(batch, trial.batch(batch), strict=True)) if batch else {}
        _compare(trial, first, found, how, failures, notes)

    try:
        trial.batch([])
        asked(places, "in one batch")
        asked(shuffled, "in one shuffled batch")
        for size in _BATCHES:
            part = shuffled[: 3 * size + 1]
            for at in range(0, len(part), size):
                asked(part[at : at + size], f"in a batch of {size}")
        twice = places[:5] * 2
        for place, result in zip(twice, trial.batch(twice), strict=True):
            _compare(trial, first, {place: result}, "twice in one batch", failures, notes)
    except Trouble as trouble:
        failures.append(Failure("a batch", str(trouble)))
    return check_of("order and batches", trials, failures)


def threads_check(trial: Trial, first: Results, notes: Notes) -> Check:
    """Several threads on one instance, none of them the main one."""
    places = _asked_again(trial, first, _MOST // 2)
    failures: list[Failure] = []
    try:
        rows: list[list[dict[str, Any]]] = trial.ask(
            "threads", trial.patience(places * _THREADS), items=places, threads=_THREADS
        )
        for mine in rows:
            found = {place: result_of(row) for place, row in zip(places, mine, strict=True)}
            _compare(trial, first, found, "in a thread beside others", failures, notes)
    except Trouble as trouble:
        failures.append(Failure("threads", str(trouble)))
    return check_of("threads", len(places) * _THREADS, failures)


def _compare(trial: Trial, first: Results, again: Results, how: str, failures: list[Failure], notes: Notes) -> None:
    """Adds what differs to the failures; where only one of two could check, to the notes, since a deadline of
    the verifier's own may have struck once."""
    for place, result in again.items():
        if _fault(result):
            failures.append(Failure(trial.items[place].name, f"{how}: {_fault(result)}"))
        elif result.key != first[place].key:
            one_unchecked = (result.passed is None) != (first[place].passed is None)
            told = f"{how}: {result.told}, and alone {first[place].told}"
            (notes.unsteady if one_unchecked else failures).append(Failure(trial.items[place].name, told))


def leak_check(trial: Trial, first: Results) -> Check:
    """Closes twice, then looks for what is left; threads and files are compared from instance to instance,
    since libraries keep some for good."""
    places = _asked_again(trial, first, 8)
    failures: list[Failure] = []
    states: list[dict[str, Any]] = []
    try:
        for turn in range(_ROUNDS):
            if turn:
                trial.ask("open", _CLOSE_S)
                trial.batch(places)
            trial.ask("close", _CLOSE_S)
            trial.ask("close", _CLOSE_S)
            states.append(trial.ask("left", _CLOSE_S))
            if states[-1]["processes"]:
                break
    except Trouble as trouble:
        return check_of("close", len(states), [Failure("close", str(trouble))])
    for line in sorted(set(states[-1]["processes"])):
        failures.append(Failure("after close", f"a process is left: {line}"))
    for what, word in (("threads", "threads"), ("files", "open files")):
        before, after = (state[what] for state in states[-2:]) if len(states) == _ROUNDS else (0, 0)
        if after > before:
            names = f" ({', '.join(states[-1]['names'])})" if what == "threads" else ""
            failures.append(Failure("after close", f"{after - before} more {word} with each instance{names}"[:300]))
    return check_of("close", len(states), failures)


def manners_check(trial: Trial, notes: Notes) -> Check:
    """Advice: what a guest in a trainer's process ought not to do."""
    trial.end()
    failures = list(notes.changed)
    if trial.printed:
        failures.append(Failure("standard output", f"it printed {trial.printed} bytes: {trial.printed_head[:100]!r}"))
    return check_of("manners", 1, failures, must=False)


def steadiness_check(notes: Notes, trials: int) -> Check:
    """Advice: items that could be checked at one time and not at another."""
    return check_of("steadiness", trials, notes.unsteady, must=False)


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """Makes a check; one during which the verifier could not even be started again has failed."""
    try:
        return check()
    except Trouble as trouble:
        return check_of(name, 1, [Failure(name, str(trouble))])
