"""New programming problems of all kinds: functions, C++ programs, and problems with many right outputs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from selfplay import formats
from selfplay.config.domains import Domain
from selfplay.config.labelling import Labelling
from selfplay.engines.base import ModelRef
from selfplay.labelling import checkers
from selfplay.labelling.checkers import CheckerTrial, changes, try_checker
from selfplay.labelling.consensus import DIFFER, Consensus, TrialInput
from selfplay.labelling.label import labelling_stage
from selfplay.labelling.relabel import contradicts
from selfplay.labelling.unit_test_answers import WrittenTest, read_unit_test
from selfplay.run.records import LabelledTask, UnitTest, Vote, WrittenChecker
from tests.selfplay.labelling.conftest import MakeContext, prompt, script, seed
from verifiers.model import Task, Test
from verifiers.programs.runner import ProgramRunner
from verifiers.programs.verifier import CodeVerifier

SCRIPTED = ModelRef("scripted", "scripted")
PAIR = "Print two whole numbers from 0 on that add up to n."
LOW, HIGH = "n = int(input())\nprint(0, n)", "n = int(input())\nprint(n, 0)"
HALF = "n = int(input())\nprint(n // 2, n - n // 2)"
WRONG = "n = int(input())\nprint(n, n)"
CHECKER = """\
import sys
given, output, answer = (open(name).read().split() for name in sys.argv[1:])
try:
    a, b = map(int, output)
except ValueError:
    sys.exit(1)
sys.exit(0 if a >= 0 and b >= 0 and a + b == int(given[0]) else 1)
"""
TRIALS = [TrialInput("seed", "7\n"), TrialInput("seed", "12\n")]


def settings(**changes: Any) -> Labelling:
    own = {"samples": 4, "min_agreement": 0.5, "tests": 2, "min_tests": 2, "checkers": {}}
    return Labelling.model_validate(own | changes)


@pytest.fixture(scope="module")
def runner(needs_sandbox: None) -> Iterator[ProgramRunner]:
    made = ProgramRunner(workers=1)
    yield made
    made.close()


def domain(**new_programs: Any) -> Domain:
    return Domain.model_validate(
        {
            "seeds": {"kind": "quickstart", "grammar": "code"},
            "verifier": "code",
            "solver_template": "{problem}",
            "new_programs": new_programs,
        }
    )


def test_the_recipe_says_what_programs_solve_new_problems() -> None:
    assert formats.new_task(domain(), "p") == Task("p")
    assert formats.new_task(domain(language="cpp17"), "p") == Task("p", language="cpp17")
    own = domain(function="solve")
    assert formats.new_task(own, "Add one.").entry_point == "solve"
    starter = "Add one.\n\nclass Solution:\n    def __init__(self): ...\n    def plus_one(self, n: int) -> int:"
    assert formats.new_task(own, starter).entry_point == "plus_one"
    assert formats.new_task(domain(), starter).entry_point is None
    assert "`solve`" in formats.solver_input(own, formats.new_task(own, "Add one."))
    assert formats.new_task(own.model_copy(update={"verifier": "math"}), "1 + 1?") == Task("1 + 1?")


@pytest.mark.parametrize(
    ("new_programs", "says"),
    [
        ({"language": "cobol"}, "language 'cobol' is none of python, cpp"),
        ({"language": "cpp", "function": "f"}, "functions of cpp programs are not called"),
        ({"function": "a b"}, "function"),
    ],
)
def test_programs_that_cannot_be_run_are_refused(new_programs: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        domain(**new_programs)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('So {"args": [1, "a  b"], "expected": null}', WrittenTest('[1,"a  b"]', "null")),
        ('{"expected": {"b": 1, "a": [2]}, "args": []}', WrittenTest("[]", '{"a":[2],"b":1}')),
        ('{"args": 1, "expected": 2}', WrittenTest(fault="args that are no list")),
        ('{"args": [NaN], "expected": 2}', WrittenTest(fault="a value that JSON has not")),
        ('{"args": [1], "expected": ' + "[" * 200 + "]" * 200 + "}", WrittenTest(fault="a value that JSON has not")),
        ('{"args": [1]}', WrittenTest(fault="a test without both args and expected, or with more")),
        ('{"input": "1", "output": "2"}', WrittenTest(fault="no test")),
        (json.dumps({"args": ["x" * 70_000], "expected": 1}), WrittenTest(fault="a value too long")),
    ],
)
def test_tests_of_functions_are_read_strictly(text: str, found: WrittenTest) -> None:
    assert read_unit_test(text, of_function=True) == found


def test_functions_agree_by_the_values_that_they_return(runner: ProgramRunner) -> None:
    programs = [
        "def pair(n, s):\n    return [n, s]",
        "class Solution:\n    def pair(self, n, s):\n        return (n, s)",
        "def pair(n, s):\n    return s",
        "def pair(n):\n    return n",
    ]
    trials = [TrialInput("edge_case", '[1,"a  b"]', '[1,"a b"]'), TrialInput("seed", "[2,null]")]
    found = Consensus(runner, Task(entry_point="pair"), programs, [1.0] * 4, trials)
    label, tried = found.label(settings())
    assert label.tests == (Test(args=(1, "a  b"), expected=[1, "a  b"]), Test(args=(2, None), expected=[2, None]))
    assert label.agrees == (True, True, False, False)
    assert [item.outcome for item in tried] == ["mended", "given"]


def judged(runner: ProgramRunner, source: str, programs: Sequence[str] = (LOW, HIGH, HALF, WRONG)) -> CheckerTrial:
    return try_checker(runner, source, Consensus(runner, Task(), programs, [1.0] * len(programs), TRIALS), settings())


def test_a_right_checker_makes_a_label_of_outputs_that_differ(runner: ProgramRunner) -> None:
    label, _ = Consensus(runner, Task(), [LOW, HIGH, HALF, WRONG], [1.0] * 4, TRIALS).label(settings())
    assert label.fault == DIFFER
    trial = judged(runner, CHECKER)
    assert (trial.outcome, trial.share) == ("accepted", 0.75)
    assert trial.rejected >= 0.75
    assert trial.label.agrees == (True, True, True, False)
    assert trial.label.checker == CHECKER
    task = Task(PAIR, tests=trial.label.tests, checker=CHECKER)
    verifier = CodeVerifier()
    try:
        assert [verifier.verify_source(task, source).passed for source in (HALF, WRONG)] == [True, False]
    finally:
        verifier.close()


@pytest.mark.parametrize(
    ("source", "programs", "outcome"),
    [
        ("pass", (LOW, HIGH, HALF, WRONG), checkers.TOO_LAX),
        ("import sys\nsys.exit(len(open(sys.argv[2]).read().split()) != 2)", (LOW, HIGH, HALF), checkers.TOO_LAX),
        ("import sys\nsys.exit(1)", (LOW, HIGH, HALF), checkers.TOO_STRICT),
        (CHECKER, (LOW, WRONG, WRONG), checkers.CONTRADICTS),
        ("1 / 0", (LOW, HIGH), checkers.FAILS),
        (CHECKER, (LOW, "print(1)", "print(2)", "print(3)"), checkers.TOO_STRICT),
        (CHECKER, (LOW, HIGH, "print(1)", "print(2)"), checkers.ACCEPTED),
    ],
)
def test_a_checker_needs_the_least_agreement_and_refuses_what_is_changed(
    runner: ProgramRunner, source: str, programs: tuple[str, ...], outcome: str
) -> None:
    assert judged(runner, source, programs).outcome == outcome


def test_changes_keep_the_lines_and_are_never_a_right_output() -> None:
    case = checkers._Case
    right = [case(0, "1\n2 3\n"), case(0, "1\n2 4\n"), case(1, "x\n")]
    found = {each.output for each in changes(right, [0])}
    assert found == {"", "1\n2\n", "1\n2 3 3\n", "?\n2 3\n", "2\n2 3\n", "1000000008\n2 3\n", "1\n2 ?\n"} | {
        "1\n2 1000000010\n",
        "x\n",
    }


@pytest.mark.usefixtures("needs_sandbox")
def test_a_stage_labels_by_checkers_and_counts_who_wants_one(make_context: MakeContext) -> None:
    written = iter(["I cannot.", "```python\npass\n```", f"```python\n{CHECKER}```"])
    programs = [LOW, HIGH, HALF, WRONG]

    def answer(text: str, n: int) -> str:
        return next(written) if "believed to be right" in text else f"```python\n{programs[n]}\n```"

    inputs, prompts = ["7\n", "12\n"], [prompt("p1", PAIR, "code")]
    for name, of_checkers in (("none", None), ("some", {"attempts": 3})):
        own = {"samples": 4, "tests": 2, "min_tests": 2, "min_agreement": 0.5, "checkers": of_checkers}
        context = make_context(own, code=True, name=name)
        notes: list[str] = []
        context.listener.note = notes.append  # type: ignore[method-assign]
        script(context, answer)
        stage = context.run.stage("labelling")
        counts = labelling_stage(stage, context, SCRIPTED, prompts, [seed(1, *inputs)])
        [task] = stage.read("tasks", LabelledTask)
        assert (counts.programs, counts.differing) == (1, 1)
        if of_checkers is None:
            assert (counts.checkers, task.dropped) == (None, f"label: {DIFFER}")
            continue
        assert counts.checkers == {checkers.ACCEPTED: 1, checkers.TOO_LAX: 1, "refused: no program": 1}
        assert "programs of 1 of 1 programming problems print different outputs; 1 of these have a checker" in notes[0]
        assert (task.dropped, task.task.checker, task.pass_rate) == ("", CHECKER, 0.75)
        assert [row.outcome for row in stage.read("checkers", WrittenChecker)][-1] == "accepted"
        assert {row.outcome for row in stage.read("unit_tests", UnitTest)} == {"given"}
        verdicts = context.judge.verifiers["code"].verify_many([(task.task, f"```python\n{LOW}\n```")])
        assert verdicts[0].passed
        votes = stage.read("votes", Vote)
        with_runner = ProgramRunner(workers=1)
        try:
            assert not contradicts(context, with_runner, task, votes, 0.5)
        finally:
            with_runner.close()


@pytest.mark.usefixtures("needs_sandbox")
@pytest.mark.parametrize("kind", ["function", "cpp"])
def test_a_stage_labels_functions_and_cpp_programs(make_context: MakeContext, kind: str) -> None:
    function = kind == "function"
    new: dict[str, Any] = {"function": "plus"} if function else {"language": "cpp"}
    texts = (
        ["def plus(n):\n    return n + 3"] * 3 + ["def plus(n):\n    return n"]
        if function
        else ["#include <iostream>\nint main() { int n; std::cin >> n; std::cout << n + 3; }"] * 3 + ["int main() {}"]
    )
    tag = "python" if function else "cpp"
    asked: list[str] = []

    def answer(text: str, n: int) -> str:
        asked.append(text)
        return f"```{tag}\n{texts[n]}\n```"

    more = {
        "new_programs": new,
        "function_template": "{problem} {entry_point}",
        "language_template": "{problem} {language} {tag}",
    }
    context = make_context({"samples": 4, "tests": 2, "min_tests": 2, "drop": []}, code=True, verifier=more)
    script(context, answer)
    stage = context.run.stage("labelling")
    tests = tuple(Test(args=(n,), expected=0) for n in (0, 5)) if function else (Test("0", "0"), Test("5", "0"))
    own = dataclasses.replace(seed(1), task=Task("p", tests=tests))
    labelling_stage(stage, context, SCRIPTED, [prompt("p1", "Add 3 to n.", "code")], [own])
    [task] = stage.read("tasks", LabelledTask)
    assert asked[0] == ("Add 3 to n. plus" if function else "Add 3 to n. C++ cpp")
    assert (task.dropped, task.agreement) == ("", 0.75)
    assert (task.task.entry_point, task.task.language) == (("plus", "python") if function else (None, "cpp"))
    found = {(t.args[0], t.expected) if t.args else (int(t.input), int(t.output)) for t in task.task.tests}
    assert found == {(0, 3), (5, 8)}
    right, wrong = (f"```{tag}\n{text}\n```" for text in (texts[0], texts[3]))
    judged = context.judge.verifiers["code"].verify_many([(task.task, right), (task.task, wrong)])
    assert [verdict.passed for verdict in judged] == [True, False]
