"""Verifiers of others in processes of their own: what they do wrong costs one verdict."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from verifiers.answers import answer_reader
from verifiers.model import Task, Verifier
from verifiers.plugins.hosted import Hosting
from verifiers.registry import load, verifier

PLUGIN = """
import os, sys, time
from verifiers.model import Verdict

print("loaded")

class Rules:
    name = "rules"

    def __init__(self, *, longest=5):
        self.longest = longest
        self.calls = 0

    def verify(self, task, completion):
        print("judging")
        if completion == "hang":
            time.sleep(3600)
        if completion == "spin":
            while True:
                pass
        if completion == "die":
            os._exit(1)
        if completion == "exit":
            sys.exit("no")
        if completion == "raise":
            raise KeyError("nothing")
        self.calls += 1
        details = {"pid": os.getpid(), "calls": self.calls, "set": {1}}
        right = completion == task.answer and len(completion) <= self.longest
        return Verdict(right, float(right), "correct" if right else "wrong", "", details)

    def verify_many(self, items):
        return [self.verify(task, completion) for task, completion in items]

    def close(self):
        pass


class Answers(Rules):
    name = "answers"
    batch = 3

    def extract(self, completion):
        return None if completion == "raise" else completion.split()[-1]

    def equal(self, first, second):
        if "hang" in (first, second):
            time.sleep(3600)
        return first.lower() == second.lower()


class Here(Rules):
    in_process = True


def holds_args(task, completion):
    return task.tests[0].args == (1, [2])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rules_of_others.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def rules(folder: Path) -> Iterator[Verifier]:
    made = load("rules_of_others:Rules", {"longest": 9}, hosting=Hosting(2, 1.0))
    yield made
    made.close()


def test_each_fault_costs_one_verdict(rules: Verifier) -> None:
    completions = ["yes", "hang", "yes", "die", "no", "raise", "spin", "exit", "yes"]
    found = rules.verify_many([(Task(answer="yes"), text) for text in completions])
    assert [verdict.passed for verdict in found] == [True, None, True, None, False, None, None, None, True]
    assert {found[place].status for place in (1, 6)} == {"timed_out"}
    assert found[3].status == "worker_died"
    assert "raised KeyError: 'nothing' (" in found[5].reason
    assert "rules_of_others.py, line 2" in found[5].reason
    assert found[7].reason.startswith("verifier rules raised SystemExit: no")


def test_it_is_another_process_that_judges(rules: Verifier, capfd: pytest.CaptureFixture[str]) -> None:
    """Whose prints are no results, and which stays from one verdict to the next."""
    first, second = (rules.verify(Task(answer="yes"), "yes") for _ in range(2))
    assert first.details["pid"] != os.getpid()
    assert first.details["set"] == "{1}"
    assert {first.details["calls"], second.details["calls"]} <= {1, 2}
    assert "judging" not in capfd.readouterr().out


def test_batches_that_fail_are_judged_one_by_one(folder: Path) -> None:
    made = load("rules_of_others:Answers", hosting=Hosting(1, 1.0))
    found = made.verify_many([(Task(answer="yes"), text) for text in ("yes", "die", "yes", "no", "yes")])
    assert [verdict.passed for verdict in found] == [True, None, True, False, True]
    made.close()


def test_answers_are_found_and_compared_there(folder: Path) -> None:
    made = load("rules_of_others:Answers", hosting=Hosting(1, 1.0))
    reader = answer_reader(made)
    assert reader is not None
    assert reader.extract("it is Vienna") == "Vienna"
    assert reader.extract("raise") is None
    assert reader.equal("Vienna", "VIENNA")
    assert not reader.equal("Vienna", "Linz")
    assert not reader.equal("hang", "Linz")
    assert reader.canonical("Vienna") == "Vienna"
    assert answer_reader(load("rules_of_others:Rules")) is None
    made.close()


def test_a_task_arrives_whole(folder: Path) -> None:
    from verifiers.model import Test

    made = load("rules_of_others:holds_args")
    assert made.verify(Task(tests=(Test(args=(1, [2])),)), "\x00\ud800").passed
    made.close()


def test_one_that_says_so_stays_here(folder: Path) -> None:
    made = load("rules_of_others:Here")
    assert made.verify(Task(answer="a"), "a").details["pid"] == os.getpid()


def test_so_does_one_that_only_this_process_has() -> None:
    @verifier("of-this-test")
    def own(task: Task, completion: str) -> bool:
        return os.getpid() == pid

    pid = os.getpid()
    assert load("of-this-test").verify(Task(), "").passed
