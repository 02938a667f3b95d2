"""Whatever a rule or the search for a program does with one text, it costs one verdict, and blocks nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.verifiers.pool.hostile_pool import hostile_readers
from verifiers.answers import answer_reader
from verifiers.extraction import code_block
from verifiers.model import Task, Test, Verdict, Verifier
from verifiers.plugins.guard import GuardedVerifier
from verifiers.pool import readers
from verifiers.programs.verifier import Unread, program_in
from verifiers.registry import load

FAULTS = ("sleep", "loop", "memory", "crash", "recurse", "raise")
RULES: dict[str, dict[str, Any]] = {
    "choice": {},
    "exact": {},
    "regex": {"pattern": "B"},
    "format": {"thinking": False},
    "length": {"part": "answer", "limit": 100, "buffer": 1},
}
RIGHT = "So the answer is what we were looking for all along: \\boxed{B}"


@pytest.fixture(scope="module")
def hostile() -> Iterator[None]:
    with hostile_readers():
        yield


def among_neighbours(verifier: Verifier, text: str) -> Verdict:
    """The verdict on an item in the middle of a batch, whose neighbours have theirs, and after which all is well."""
    texts = [RIGHT, RIGHT, text, RIGHT]
    verdicts = verifier.verify_many([(Task(answer="B"), one) for one in texts])
    assert [verdict.passed for verdict in verdicts[:2] + verdicts[3:]] == [True] * 3, verdicts
    assert verifier.verify(Task(answer="B"), RIGHT).passed is True
    return verdicts[2]


def test_no_reader_starts_before_the_first_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_shared", {})
    for name, params in RULES.items():
        load(name, params).close()
    assert readers._shared == {}


def test_a_reader_loads_nothing_that_its_texts_do_not_need() -> None:
    """A start costs 0.07 s of processor time, of which each of these would be as much again, or ten times that."""
    code = (
        "import sys, verifiers.pool.reading, verifiers.rules.text, verifiers.judge.prompt\n"
        "from selfplay.labelling import unit_test_answers\n"
        "print(*{'numpy', 'sympy', 'pydantic', 'asyncio', 'verifiers.mathematics'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.usefixtures("hostile")
def test_a_rule_that_never_ends_costs_one_verdict() -> None:
    def judged(name: str) -> Verdict:
        verifier = load(name, RULES[name])
        verdict = among_neighbours(verifier, f"{RIGHT} fault: sleep")
        verifier.close()
        return verdict

    with ThreadPoolExecutor(len(RULES)) as threads:
        for name, verdict in zip(RULES, threads.map(judged, RULES), strict=True):
            assert (verdict.passed, verdict.status) == (None, "not_checked"), name
            assert verdict.reason.startswith(f"verifier {name} could not read the completion: no answer within 1 s")


@pytest.mark.parametrize("fault", FAULTS[1:])
@pytest.mark.usefixtures("hostile")
def test_so_does_each_other_fault(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They spend a little processor time, and have long to do so."""
    monkeypatch.setattr(readers, "DEADLINE_S", 10.0)
    monkeypatch.setattr(readers, "_WORKING", 0.05)
    verdict = among_neighbours(load("exact"), f"fault: {fault}")
    blamed = fault in {"loop", "memory", "recurse"}
    assert (verdict.passed, verdict.status) == ((False, "wrong") if blamed else (None, "not_checked"))
    assert verdict.reason.startswith("verifier exact could not read the completion: ")


@pytest.mark.usefixtures("hostile")
def test_a_long_gold_may_be_to_blame_itself() -> None:
    verdict = load("exact").verify(Task(answer="B" * 10_001), "fault: memory")
    assert (verdict.passed, verdict.status) == (None, "not_checked")


@pytest.mark.usefixtures("hostile")
def test_what_loads_files_has_workers_of_its_own() -> None:
    language = load("language")
    assert among_neighbours(language, "fault: crash").status == "not_checked"
    language.close()
    with pytest.raises(RuntimeError, match="closed"):
        getattr(language, "inner").verify(Task(), RIGHT)  # noqa: B009 - no part of the protocol


@pytest.mark.usefixtures("hostile")
def test_answers_are_found_and_compared_there_too() -> None:
    reader = answer_reader(load("exact"))
    assert reader is not None
    assert reader.extract("fault: crash") is None
    assert reader.extract("so \\boxed{a  b}") == "a  b"
    assert reader.equal("a  b", "a b")
    assert not reader.equal("a", "b")
    assert reader.canonical("a  b") == "a b"
    assert answer_reader(load("format")) is None


@pytest.mark.usefixtures("hostile")
def test_the_search_for_a_program_ends() -> None:
    code = GuardedVerifier(load("code", {"open_sandbox": lambda: pytest.fail("no sandbox is needed")}))
    items = [(Task(tests=(Test("", ""),)), text) for text in ("none", "fault: crash", "fault: memory")]
    found = code.verify_many(items)
    assert [verdict.status for verdict in found] == ["no_answer", "not_checked", "no_answer"]
    assert "the completion could not be read: the worker was ended by SIGSEGV" in found[1].reason
    with pytest.raises(Unread):
        program_in("fault: crash")
    code.close()


def test_another_process_reads_and_finds_the_same() -> None:
    for text in ("", "```python\nprint(1)\n```", "x" * 100_000 + "\n```\n" + "é\ud800\U0001f600\n" * 50_000 + "```"):
        assert program_in(text) == code_block(text, "python")
    long = load("exact").verify(Task(answer="a"), "a\x00" + "\u0001" * 300_000)
    assert (long.passed, long.status) == (False, "wrong")


def test_a_forked_process_has_workers_of_its_own() -> None:
    assert program_in("none").text is None
    child = os.fork()
    if child == 0:
        os._exit(0 if len(readers._shared) == 1 and readers._shared_pool() is not first() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def first() -> object:
    return next(iter(readers._shared.values()))
