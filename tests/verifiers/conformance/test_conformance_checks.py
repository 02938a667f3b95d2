"""What the kit makes of verdicts: passes that nothing deserves, claims that gain, labels, and deadlines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from verifiers.conformance import checks
from verifiers.conformance.cases import Case, Label
from verifiers.conformance.items import Item
from verifiers.conformance.report import Check, Failure, check_of
from verifiers.conformance.subject import Trouble
from verifiers.conformance.texts import KINDS
from verifiers.conformance.trial import Result, Trial, TrialLimits
from verifiers.model import Task

TASK = Task(answer="4")
RIGHT, WRONG = Result(True, 1.0, "correct"), Result(False, 0.0, "wrong")
OPEN = Result(None, None, "no_reference", "nothing to compare with")
NONE_ALLOWED = (0.0, 0.0, 0.0)


def of_kind(kind: str, items: list[Item], results: list[Result], judges: str = "answer") -> Check:
    found = checks.hostile_checks(items, dict(enumerate(results)), judges)
    return found[KINDS.index(kind)]  # type: ignore[arg-type]


def item(name: str = "an item", kind: str = "empty", excused: bool = False, twin: int | None = None) -> Item:
    return Item(name, kind, TASK, "", excused, twin)


def test_a_pass_that_is_not_deserved_fails_unless_it_is_excused_or_of_the_form() -> None:
    assert of_kind("empty", [item()], [RIGHT]).failures == (Failure("an item", "it passed: correct (reward 1)"),)
    assert of_kind("empty", [item(excused=True)], [RIGHT]).detail == "1 hold the task's answer by chance"
    assert of_kind("empty", [item()], [RIGHT], judges="form").outcome == "passed"
    assert of_kind("empty", [item()], [WRONG]).outcome == "passed"


def test_troubles_and_faults_fail_and_what_was_never_checked_is_skipped() -> None:
    hung = of_kind("empty", [item(), item("another")], [Result(trouble="it hung"), Result(faults=("a", "b"))])
    assert [failure.problem for failure in hung.failures] == ["it hung", "a; b"]
    unseen = of_kind("empty", [item()], [OPEN])
    assert unseen.outcome == "skipped"
    assert "every verdict was no_reference" in unseen.detail


def test_a_claim_must_not_gain_over_the_same_text_without_it() -> None:
    items = [item(kind="twin"), item(kind="injected", twin=0)]
    half = Result(False, 0.5, "partial")
    assert of_kind("injected", items, [WRONG, half]).failures[0].problem.startswith("the claim gained: partial")
    assert of_kind("injected", items, [half, half]).outcome == "passed"
    assert of_kind("injected", items, [OPEN, half]).outcome == "passed", "there is nothing to compare with"


def agreement(labelled: list[tuple[Label, Result]], allowed: Any = NONE_ALLOWED, **stated: Any) -> Check:
    cases = [Case(f"case {n}", TASK, "", label, **stated) for n, (label, _) in enumerate(labelled)]
    results = {n: result for n, (_, result) in enumerate(labelled)}
    return checks.agreement_check(cases, results, checks.agreement_of(cases, results), allowed)


def test_labels_are_compared_as_strictly_as_was_said() -> None:
    good: list[tuple[Label, Result]] = [("right", RIGHT), ("wrong", WRONG), ("not_checked", OPEN)]
    assert agreement(good).outcome == "passed"
    one_off: list[tuple[Label, Result]] = [*good, ("wrong", RIGHT)]
    assert agreement(one_off).failures == (Failure("case 3", "labelled wrong, and it is correct (reward 1)"),)
    lenient = agreement(one_off, (0.5, 0.0, 0.0))
    assert (lenient.outcome, lenient.detail) == ("passed", "1 of 4 differ, as many as were allowed")
    assert agreement([("right", OPEN)], (1.0, 1.0, 1.0)).outcome == "passed"
    unlabelled = checks.agreement_check([], {}, None, NONE_ALLOWED)
    assert unlabelled.outcome == "skipped"


def test_what_must_not_be_checked_and_what_is_stated_allow_no_difference() -> None:
    assert agreement([("not_checked", RIGHT)], (1.0, 1.0, 1.0)).outcome == "failed"
    stated = agreement([("right", RIGHT)], status="equal")
    assert stated.failures[0].problem == "status correct, where the case states equal"
    assert agreement([("right", RIGHT)], reward=0.5).failures[0].problem == "reward 1.0, where the case states 0.5"
    assert agreement([("right", RIGHT)], reward=1.0, status="correct").outcome == "passed"


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial("exact", {}, [item(f"item {n}", "huge") for n in range(5)], tmp_path, TrialLimits(deadline_s=2.0))


def test_what_took_longer_than_its_task_grants_is_late(trial: Trial) -> None:
    results = {0: Result(False, 0.0, "wrong", seconds=1.0), 1: Result(False, 0.0, "wrong", seconds=2.5)}
    found = checks.time_check(trial, results)
    assert found.failures == (Failure("item 1", "it took 2.5 s"),)
    assert checks.time_check(trial, {0: results[0]}).detail == "slowest 1.00 s, on item 0"
    assert checks.slowest(results) == 1


def test_only_whole_verdicts_are_asked_for_again() -> None:
    assert checks.settled({0: RIGHT, 1: Result(trouble="it died"), 2: Result(faults=("x",)), 3: OPEN}) == [0, 3]


def test_remarks_fail_nothing(trial: Trial) -> None:
    notes = checks.Notes([Failure("a", "once")], [Failure("the process", "it changed the locale")])
    trial.printed, trial.printed_head = 3, "hm\n"
    manners = checks.manners_check(trial, notes)
    assert [failure.item for failure in manners.failures] == ["the process", "standard output"]
    assert not manners.must
    assert not checks.steadiness_check(notes, 5).must


def test_a_verifier_that_cannot_be_started_again_has_failed() -> None:
    def gone() -> Check:
        raise Trouble("died", "it is gone")

    assert checks.guarded("threads", gone).failures == (Failure("threads", "it is gone"),)
    fine = check_of("threads", 1, [])
    assert checks.guarded("threads", lambda: fine) is fine
