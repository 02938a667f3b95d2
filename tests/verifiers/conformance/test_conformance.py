"""The kit finds each fault, names it, and never hangs on one."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import psutil
import pytest

from verifiers import registry
from verifiers.conformance.cases import Case
from verifiers.conformance.kit import Settings, examine
from verifiers.conformance.report import Check, Failure, Report
from verifiers.conformance.trial import TrialLimits
from verifiers.model import Task, Test
from verifiers.registry import UnknownVerifier

QUICK = Settings(TrialLimits(deadline_s=5.0), huge_chars=2_000)
IMPATIENT = Settings(TrialLimits(deadline_s=0.4), huge_chars=2_000)
LEAN = Settings(TrialLimits(memory_mb=300), huge_chars=2_000)
CASES = [
    Case("one", Task(answer="eleven"), "it is eleven", "right"),
    Case("two", Task(answer="eleven"), "it is twelve", "wrong"),
]


def examined(name: str, settings: Settings = QUICK, cases: list[Case] = CASES) -> Report:
    return examine(f"tests.verifiers.conformance.bad_plugins:{name}", cases=cases, settings=settings)


def check(report: Report, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def failed(report: Report) -> set[str]:
    return {check.name for check in report.checks if check.outcome == "failed"}


def test_a_good_verifier_conforms_and_the_report_is_json() -> None:
    report = examined("Good")
    assert failed(report) == set()
    assert report.passed
    row = json.loads(json.dumps(report.to_json()))
    assert row["passed"] is True
    assert row["agreement"]["false_passes"] == {
        "count": 0,
        "of": 1,
        "rate": 0.0,
        "low": 0.0,
        "high": pytest.approx(0.7935, abs=1e-4),
    }
    assert {check["name"] for check in row["checks"]} >= {"empty", "huge", "binary", "truncated", "injected", "threads"}


FAULTS: list[tuple[str, Settings, str, str]] = [
    ("Swells", LEAN, "huge", "more than 300 MB"),
    ("Encodes", QUICK, "binary", "UnicodeEncodeError"),
    ("Leaves", QUICK, "empty", "SystemExit: no boxes, please"),
    ("Exits", QUICK, "empty", "exit code 3"),
    ("Believes", QUICK, "injected", "it passed"),
    ("RewardsClaims", QUICK, "injected", "the claim gained: wrong (reward 0.5), and without it wrong (reward 0.25)"),
    ("Searches", QUICK, "truncated", "it passed"),
    ("Hashes", QUICK, "determinism", "in another process"),
    ("Compares", QUICK, "order and batches", "in one batch"),
    ("Shares", QUICK, "threads", "in a thread beside others"),
    ("KeepsThread", QUICK, "close", "more threads with each instance"),
]
MORE_FAULTS: list[tuple[str, Settings, str, str]] = [
    ("Crashes", QUICK, "binary", "SIGSEGV"),
    ("PassesAll", QUICK, "empty", "it passed: correct"),
    ("PassesAll", QUICK, "agreement", "labelled wrong"),
    ("Guesses", QUICK, "determinism", "and alone"),
    ("Counts", QUICK, "determinism", "again"),
    ("Drops", QUICK, "order and batches", "verdicts on"),
    ("NeedsOne", QUICK, "order and batches", "IndexError"),
    ("Alarms", QUICK, "threads", "signal only works in main thread"),
    ("KeepsFile", QUICK, "close", "more open files with each instance"),
    ("ClosesOnce", QUICK, "close", "closed already"),
    ("Malformed", QUICK, "empty", "it is dict, not a Verdict"),
]


def fault_is_found(name: str, settings: Settings, where: str, says: str) -> None:
    report = examined(name, settings)
    found = check(report, where)
    assert found.outcome == "failed"
    assert any(says in failure.problem for failure in found.failures), found.failures
    assert not report.passed


@pytest.mark.parametrize(("name", "settings", "where", "says"), FAULTS)
def test_each_fault_is_found(name: str, settings: Settings, where: str, says: str) -> None:
    fault_is_found(name, settings, where, says)


@pytest.mark.long
@pytest.mark.parametrize(("name", "settings", "where", "says"), MORE_FAULTS)
def test_each_other_fault_is_found(name: str, settings: Settings, where: str, says: str) -> None:
    fault_is_found(name, settings, where, says)


@pytest.mark.parametrize(
    ("name", "seconds"), [pytest.param("KeepsProcess", "61.5", marks=pytest.mark.long), ("KeepsDaemon", "62.5")]
)
def test_a_process_left_behind_is_found_and_ended(name: str, seconds: str) -> None:
    report = examine(f"tests.verifiers.conformance.bad_plugins:{name}", {"seconds": seconds}, CASES, QUICK)
    assert check(report, "close").failures == (Failure("after close", f"a process is left: sleep {seconds}"),)
    lines = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert ["sleep", seconds] not in lines


def test_a_hang_costs_its_deadline_and_no_other_item() -> None:
    report = examined("Hangs", IMPATIENT)
    assert failed(report) == {"binary", "time"}
    hung = [failure.item for failure in check(report, "binary").failures if "no answer within" in failure.problem]
    assert hung == ["NUL", "NULs in words", "all bytes"]
    assert "bad_plugins.py" in check(report, "binary").failures[0].problem
    assert report.slowest_s >= 0.4


@pytest.mark.parametrize(
    ("name", "where", "says"),
    [("Prints", "manners", "the environment"), ("Prints", "manners", "printed"), ("Wavers", "steadiness", "busy")],
)
def test_advice_fails_nothing(name: str, where: str, says: str) -> None:
    report = examined(name, cases=[])
    found = check(report, where)
    assert (found.outcome, found.must) == ("failed", False)
    assert says in str(found.failures) or says == "busy"
    assert report.passed


def test_a_changed_task_is_found() -> None:
    task = Task(answer="eleven", entry_point="f", tests=(Test(args=([1],), expected=1),), time_limit_s=0.1)
    report = examined("Changes", cases=[Case("one", task, "it is twelve", "wrong")])
    assert "it changed the task" in str(check(report, "agreement").failures)


def test_verdicts_are_compared_with_what_a_case_states() -> None:
    cases = [
        Case("a", Task(answer="eleven"), "it is eleven", "wrong"),
        Case("b", Task(answer="eleven"), "it is twelve", "right"),
        Case("c", Task(answer="eleven"), "it is twelve", "wrong", status="no_answer"),
        Case("d", Task(answer="eleven"), "it is eleven", "right", reward=0.5),
        Case("e", Task(answer="eleven"), "it is twelve", "not_checked"),
    ]
    report = examined("Good", cases=cases)
    told = {failure.item: failure.problem for failure in check(report, "agreement").failures}
    assert told == {
        "a": "labelled wrong, and it is correct (reward 1)",
        "b": "labelled right, and it is wrong (reward 0)",
        "c": "status wrong, where the case states no_answer",
        "d": "reward 1.0, where the case states 0.5",
        "e": "labelled not_checked, and it is wrong (reward 0)",
    }
    assert report.agreement is not None
    assert (report.agreement.false_passes.count, report.agreement.false_passes.of) == (1, 2)
    allowed = Settings(huge_chars=2_000, max_false_passes=0.5, max_false_fails=0.5)
    assert check(examined("Good", allowed, cases[:2] + CASES), "agreement").outcome == "passed"
    assert check(examined("Good", allowed, cases[:2]), "agreement").outcome == "failed"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tests.verifiers.conformance.bad_plugins:NeedsNothing", "depth"),
        ("tests.verifiers.conformance.bad_plugins:NOT_A_VERIFIER", "is no verifier"),
        ("tests.verifiers.conformance.bad_plugins:Nothing", "could not be loaded"),
        ("exakt", "did you mean exact"),
    ],
)
def test_what_cannot_be_made_is_one_error(name: str, says: str) -> None:
    with pytest.raises(UnknownVerifier, match=says):
        examine(name, settings=QUICK)


def test_a_registered_function_is_found_by_the_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.verifiers import test_registry

    monkeypatch.setitem(registry._registered, "starts_with_a", test_registry.starts_with_a)
    report = examine("starts_with_a", {"letter": "it"}, CASES, QUICK)
    assert report.source == "registered"
    assert "it passed" not in str(check(report, "empty").failures)
    assert check(report, "agreement").outcome == "failed"


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    this = psutil.Process()
    gc.collect()
    files, children = this.num_fds(), set(this.children())
    examined("Exits")
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    assert this.num_fds() <= files
    assert set(this.children()) <= children
