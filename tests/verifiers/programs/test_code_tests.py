"""The code verifier: statuses, comparison outside the sandbox, early stops, and faults of others."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.model import Execution, Program, SandboxUnavailable, Status, Stop
from verifiers.extraction import code_block
from verifiers.model import Task, Test
from verifiers.pool.readers import TextReader
from verifiers.pool.worker import WorkerOutcome
from verifiers.programs import CodeVerifier
from verifiers.programs.checker import checker_says
from verifiers.programs.runner import ProgramRunner

sys.path.insert(0, str(Path(__file__).parent))
from fake_sandbox import FakeSandbox

DOUBLE = Task(tests=(Test("2\n", "4\n"), Test("5\n", "10\n"), Test("-1\n", "-2\n")))
ADD = Task(entry_point="add", tests=(Test(args=(1, 2), expected=3), Test(args=([1], [2]), expected=[1, 2])))


def block(source: str, language: str = "python") -> str:
    return f"<think>hm</think>Here it is:\n```{language}\n{source}\n```\n"


@pytest.fixture(scope="module")
def code(needs_sandbox: None) -> Iterator[CodeVerifier]:
    verifier = CodeVerifier()
    yield verifier
    verifier.close()


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("print(2 * int(input()))", "accepted"),
        ("print(2 + int(input()))", "wrong_answer"),
        ("raise SystemExit(3)", "runtime_error"),
        ("print(1 / 0)", "runtime_error"),
        ("while True: pass", "time_limit"),
        ("print('x' * (1 << 24))", "output_limit"),
        ("print(2 * int(input())); import os; os._exit(0)", "wrong_answer"),
    ],
)
def test_standard_output(code: CodeVerifier, source: str, status: str) -> None:
    task = Task(tests=DOUBLE.tests, time_limit_s=1.0)
    verdict = code.verify(task, block(source))
    assert verdict.status == status
    assert verdict.passed is (status == "accepted")


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("def add(a, b):\n    return a + b", "accepted"),
        ("class Solution:\n    def add(self, a, b):\n        return a + b", "accepted"),
        ("def add(a, b):\n    return 3", "wrong_answer"),
        ("def add(a, b):\n    raise ValueError", "runtime_error"),
        (
            "class Any(int):\n    def __eq__(s, o): return True\ndef add(a, b):\n    return Any(7)",
            "runtime_error",
        ),
        ("def other(a, b):\n    return a + b", "runtime_error"),
        ("import os\nprint('accepted')\nos._exit(0)", "runtime_error"),
    ],
)
def test_functions(code: CodeVerifier, source: str, status: str) -> None:
    assert code.verify(ADD, block(source)).status == status


def test_a_checker_judges_in_python(code: CodeVerifier) -> None:
    checker = (
        "import sys\n"
        "given, shown, answer = (open(path).read().split() for path in sys.argv[1:4])\n"
        "sys.exit(0 if sorted(shown) == sorted(answer) else 1)\n"
    )
    task = Task(tests=(Test("2", "1 2"), Test("3", "1 2 3")), checker=checker)
    assert code.verify(task, block("n = int(input())\nprint(*range(n, 0, -1))")).status == "accepted"
    assert code.verify(task, block("print(1, 2)")).status == "wrong_answer"
    broken = Task(tests=task.tests, checker="raise ValueError('no')")
    verdict = code.verify(broken, block("print(1, 2)"))
    assert (verdict.status, verdict.reward) == ("not_checked", None)
    assert "checker" in verdict.reason


def test_a_checker_judges_in_cpp(code: CodeVerifier) -> None:
    checker = (
        "#include <fstream>\nint main(int argc, char **argv) { std::ifstream o(argv[2]), a(argv[3]);"
        " double x, y; o >> x; a >> y; return x - y < 0.5 && y - x < 0.5 ? 0 : 1; }"
    )
    task = Task(tests=(Test("", "3.0"),), checker=checker)
    assert code.verify(task, block("print(3.2)")).status == "accepted"
    assert code.verify(task, block("print(4)")).status == "wrong_answer"


def test_cpp(code: CodeVerifier) -> None:
    task = Task(tests=DOUBLE.tests, language="cpp")
    good = "#include <iostream>\nint main() { int n; std::cin >> n; std::cout << 2 * n; }"
    assert code.verify(task, block(good, "cpp")).status == "accepted"
    assert code.verify(task, block("int main() {", "cpp")).status == "compile_error"


@pytest.mark.usefixtures("needs_sandbox")
def test_partial_credit_runs_every_test() -> None:
    verifier = CodeVerifier(partial_credit=True)
    verdict = verifier.verify(DOUBLE, block("n = int(input())\nprint(4 if n == 2 else -2)"))
    verifier.close()
    assert (verdict.passed, verdict.status, verdict.details["tests_passed"]) == (False, "wrong_answer", 2)
    assert verdict.reward == pytest.approx(2 / 3)


@pytest.mark.usefixtures("needs_sandbox")
def test_labels_by_consensus_get_raw_outputs() -> None:
    runner = ProgramRunner()
    outputs = runner.outputs([Program("print(int(input()) ** 2)"), Program("print(1 // 0)")], ["3", "4"])
    runner.close()
    assert [[output.text for output in row] for row in outputs] == [["9\n", "16\n"], [None, None]]
    assert outputs[1][0].status == "runtime_error"


def ok(text: bytes) -> Execution:
    return Execution(Status.OK, stdout=text, exit_code=0)


def test_expected_values_never_enter_the_sandbox() -> None:
    fake = FakeSandbox([ok(b"4"), ok(b"10"), ok(b"-2")])
    verifier = CodeVerifier(open_sandbox=lambda: fake)
    assert verifier.verify(DOUBLE, block("pass")).status == "accepted"
    verifier.close()
    assert fake.asked == [["pass\n", b"2\n", b"5\n", b"-1\n"]]
    assert fake.closed


def test_the_first_failure_ends_the_run() -> None:
    fake = FakeSandbox([ok(b"4"), ok(b"11"), ok(b"-2")])
    verifier = CodeVerifier(open_sandbox=lambda: fake)
    verdict = verifier.verify(DOUBLE, block("pass"))
    assert (verdict.status, verdict.details["failed_test"], len(fake.answers)) == ("wrong_answer", 1, 1)


@pytest.mark.parametrize("fault", [Execution(Status.SANDBOX_ERROR, reason="lost"), OSError("lost")])
def test_a_sandbox_fault_is_tried_again_and_then_never_scored(fault: Execution | Exception) -> None:
    made: list[FakeSandbox] = []

    def opening(answers: list[Execution | Exception]) -> FakeSandbox:
        made.append(FakeSandbox(answers))
        return made[-1]

    batches = [[ok(b"4"), fault], [ok(b"4"), ok(b"10"), ok(b"-2")], [fault], [fault]]
    verifier = CodeVerifier(open_sandbox=lambda: opening(batches.pop(0)))
    assert verifier.verify(DOUBLE, block("pass")).status == "accepted"
    made[-1].answers = [fault]
    verdict = verifier.verify(DOUBLE, block("pass"))
    assert (verdict.passed, verdict.reward, verdict.status) == (None, None, "not_checked")
    assert "lost" in verdict.reason


def test_without_a_sandbox_nothing_is_judged() -> None:
    def unavailable() -> FakeSandbox:
        raise SandboxUnavailable("no user namespaces here")

    verdict = CodeVerifier(open_sandbox=unavailable).verify(DOUBLE, block("pass"))
    assert (verdict.passed, verdict.status, verdict.reason) == (
        None,
        "not_checked",
        "no user namespaces here",
    )


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (Task(), "no tests"),
        (Task(tests=(Test("1", "2"),), entry_point="f"), "no args"),
        (Task(tests=(Test(args=()),), entry_point="f; g"), "no name"),
        (Task(tests=(Test(args=()),), entry_point="class"), "no name"),
        (Task(tests=(Test(args="[1]", expected=1),), entry_point="f"), "args that are no list"),  # type: ignore[arg-type]
        (Task(tests=(Test("1", "2"),), language="cobol"), "language must be one of python, cpp"),
        (Task(tests=(Test("1", "2"), Test("\ud800", "2"))), "tests[1].input holds a lone surrogate"),
        (Task(tests=(Test("1", "\udfff"),), checker="exit(0)"), "tests[0].output holds a lone surrogate"),
        (Task(tests=(Test("1", 2),)), "tests[0].output must be text, not int"),  # type: ignore[arg-type]
        (Task(tests=(Test("1", "2"),), time_limit_s=math.nan), "time_limit_s must be a number above 0"),
        (Task(tests=(Test("1", "2"),), time_limit_s=1e300), "time_limit_s must be a number above 0"),
        (Task(tests=(Test("1", "2"),), memory_mb=0), "memory_mb must be a whole number above 0"),
        (Task(tests=(Test("1", "2"),), float_tolerance=math.inf), "float_tolerance must be a number above 0"),
        (Task(tests=(Test("1", "2"),), checker=5), "TypeError"),  # type: ignore[arg-type]
    ],
)
def test_unusable_tasks_are_not_checked_and_cost_the_others_nothing(task: Task, reason: str) -> None:
    verifier = CodeVerifier(open_sandbox=lambda: FakeSandbox([ok(b"4"), ok(b"10"), ok(b"-2")]))
    verdict, beside = verifier.verify_many([(task, block("pass")), (DOUBLE, block("pass"))])
    assert (verdict.passed, verdict.status) == (None, "not_checked")
    assert reason in verdict.reason
    assert beside.status == "accepted"
    verifier.close()


def test_an_output_that_cannot_be_compared_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no fault of the sandbox, and so never worth more than an honest mistake."""

    def raises(actual: str, expected: str, *_: object) -> bool:
        if "x" in actual:
            raise ArithmeticError
        return actual == expected

    monkeypatch.setattr("verifiers.programs.verifier.same_output", raises)
    verifier = CodeVerifier(open_sandbox=lambda: FakeSandbox([ok(b"x"), ok(b"1")]))
    task = Task(tests=(Test("", "1"),))
    verdicts = verifier.verify_many([(task, block("pass"))] * 2)
    assert [verdict.status for verdict in verdicts] == ["wrong_answer", "accepted"]
    of_task = Task(tests=(Test("", "x"),))
    broken = CodeVerifier(open_sandbox=lambda: FakeSandbox([ok(b"x")]))
    assert broken.verify(of_task, block("pass")).status == "not_checked"
    verifier.close()
    broken.close()


@pytest.mark.parametrize(
    ("task", "outputs", "status"),
    [
        (Task(tests=(Test("", "1\n2\n"),)), "2\n1\n", "wrong_answer"),
        (Task(tests=(Test("", "1\n2\n"),), comparison="any_order"), "2\n1\n", "accepted"),
        (Task(tests=(Test("", "1 2"),), comparison="tokens_any_order"), "2 1", "accepted"),
        (Task(tests=(Test("", "1 2\n"),), comparison="lines"), "1  2\n", "wrong_answer"),
        (Task(tests=(Test("", "1000.0"),), float_tolerance=1e-3), "1000.5", "accepted"),
        (Task(tests=(Test("", "1000.0"),), float_tolerance=1e-3, tolerance_kind="absolute"), "1000.5", "wrong_answer"),
        (Task(tests=(Test("", "1000"),), float_tolerance=1e-3), "1001", "wrong_answer"),
        (Task(tests=(Test("", "0"),), float_tolerance=1e-3, tolerance_kind="relative"), "0.0001", "wrong_answer"),
        (Task(tests=(Test("", "1 2\n3"),), comparison="lines"), "1 2\n", "wrong_answer"),
    ],
)
def test_a_task_says_how_its_outputs_are_compared(task: Task, outputs: str, status: str) -> None:
    verifier = CodeVerifier(open_sandbox=lambda: FakeSandbox([ok(outputs.encode())]))
    assert verifier.verify(task, block("pass")).status == status
    verifier.close()


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (Task(tests=(Test("", "1"),), comparison="fuzzy"), "comparison must be one of tokens"),
        (Task(tests=(Test("", "1"),), tolerance_kind="both"), "tolerance_kind must be one of either"),
        (Task(tests=(Test("", "1"),), checker='#include "testlib.h"\nint main() {}'), "includes testlib.h"),
        (Task(tests=(Test("", "1"),), checker="# include <lib/testlib.h>\nint main() {}"), "includes testlib.h"),
    ],
)
def test_what_cannot_be_compared_is_not_checked(task: Task, reason: str) -> None:
    verdict = CodeVerifier(open_sandbox=lambda: FakeSandbox([])).verify(task, block("print(1)"))
    assert (verdict.passed, verdict.reward, verdict.status) == (None, None, "not_checked")
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("code", "says"),
    [(0, True), (1, False), (2, False), (4, False), (7, False), (8, False), (66, False), (3, None), (255, None)],
)
def test_exit_codes_of_checkers_are_those_of_testlib(code: int, says: bool | None) -> None:
    status = Status.OK if code == 0 else Status.RUNTIME_ERROR
    assert checker_says(Execution(status, exit_code=code)) is says


def test_no_block_is_no_answer() -> None:
    verdict = CodeVerifier(open_sandbox=lambda: FakeSandbox([])).verify(DOUBLE, "print(1)")
    assert (verdict.passed, verdict.status) == (False, "no_answer")


def test_extraction_counts_in_the_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(self: TextReader, rows: Sequence[tuple[str, str]]) -> list[WorkerOutcome]:
        found = (code_block(*row) for row in rows)
        return [WorkerOutcome("ok", (one.text, one.reason), seconds=50.0) for one in found]

    monkeypatch.setattr(TextReader, "read", slow)
    verifier = CodeVerifier(open_sandbox=lambda: FakeSandbox([ok(b"4"), ok(b"10"), ok(b"-2")]))
    assert verifier.verify(DOUBLE, "no block").seconds >= 50
    assert verifier.verify(DOUBLE, block("pass")).seconds >= 50


class SlowSandbox(FakeSandbox):
    """Each test takes a second of a clock; `ends` is what becomes of them all."""

    def __init__(self, ends: list[Execution]) -> None:
        super().__init__(ends)
        self.now = 0.0

    def _play(self, asked: list[object], count: int, stop: Stop | None) -> list[Execution]:
        def later(index: int, execution: Execution) -> bool:
            self.now += 1.0
            return stop is not None and stop(index, execution)

        return super()._play(asked, count, later)


FOUR = tuple(Test("2\n", "4\n") for _ in range(4))


@pytest.mark.parametrize(
    ("ends", "how", "status", "begun"),
    [
        ([ok(b"4")] * 4, {"deadline_s": 10.0}, "accepted", 4),
        ([ok(b"4")] * 4, {"deadline_s": 3.5}, "accepted", 4),
        ([ok(b"4")] * 4, {"deadline_s": 1.5}, "not_checked", 2),
        ([ok(b"4"), ok(b"5")], {"deadline_s": 1.5}, "wrong_answer", 2),
        ([ok(b"4"), ok(b"5")], {"deadline_s": 1.5, "partial_credit": True}, "not_checked", 2),
        ([ok(b"5")] * 4, {"deadline_s": 9.5, "partial_credit": True}, "wrong_answer", 4),
    ],
)
def test_no_more_tests_are_begun_than_there_is_time_for(
    ends: list[Execution], how: dict[str, Any], status: str, begun: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = SlowSandbox(list(ends))
    monkeypatch.setattr("verifiers.programs.verifier.time", SimpleNamespace(monotonic=lambda: sandbox.now))
    verifier = CodeVerifier(open_sandbox=lambda: sandbox, **how)
    verdict = verifier.verify(Task(tests=FOUR), block("pass"))
    assert (verdict.status, sandbox.now) == (status, begun)
    assert (verdict.reason == "its tests take longer than 1.5 s") is (status == "not_checked")
    verifier.close()


def test_a_checker_gets_no_more_time_than_its_item(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its source comes with the task, from whoever asks."""
    checked = SlowSandbox([Execution(Status.OK, exit_code=0)] * 9)
    opened = iter([FakeSandbox([ok(b"4")] * 4), checked])
    monkeypatch.setattr("verifiers.programs.verifier.time", SimpleNamespace(monotonic=lambda: checked.now))
    verifier = CodeVerifier(open_sandbox=lambda: next(opened), deadline_s=1.5)
    verdict = verifier.verify(Task(tests=FOUR, checker="raise SystemExit(0)"), block("pass"))
    assert (verdict.status, verdict.reason) == ("not_checked", "its tests take longer than 1.5 s")
    assert checked.now == 2.0
    verifier.close()


def test_state_that_a_test_leaves_fails_no_program(code: CodeVerifier) -> None:
    counter = "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)"
    task = Task(tests=tuple(Test(args=(i,), expected=1) for i in range(4)), entry_point="f")
    assert code.verify_source(task, counter).passed is True


@pytest.mark.usefixtures("needs_sandbox")
def test_partial_credit_counts_tests_in_processes_of_their_own() -> None:
    verifier = CodeVerifier(partial_credit=True)
    try:
        tests = tuple(Test(args=(i,), expected=i) for i in (1, 2, 3, 4))
        source = "seen = []\ndef f(x):\n    seen.append(x)\n    return x if x != 2 else 0"
        verdict = verifier.verify_source(Task(tests=tests, entry_point="f"), source)
        assert (verdict.passed, verdict.reward, verdict.details["failed_test"]) == (False, 0.75, 1)
    finally:
        verifier.close()
