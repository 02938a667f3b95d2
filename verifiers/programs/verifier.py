"""The code verifier: runs a completion's program on tests in a sandbox and compares outside of it.

Expected values never enter the sandbox that runs the program: it gets inputs or arguments only, and what it
returns is compared here, as plain data. (A checker program needs the expected answer; it runs on its own,
when the judged program's process is gone.)
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.model import Execution, Limits, Program, Sandbox, Status, Stop
from verifiers.extraction import Extracted
from verifiers.model import Task, Test, Verdict, Verifier
from verifiers.plugins.guard import fault
from verifiers.pool.readers import TextReader
from verifiers.pool.worker import WorkerOutcome
from verifiers.programs.approximate import Tolerance
from verifiers.programs.checker import checker_input, checker_program, checker_says
from verifiers.programs.comparison import COMPARISONS, Comparison, same_output
from verifiers.programs.runner import OpenSandbox, ProgramRunner, callable_source, limits_for, open_default
from verifiers.programs.task_rows import program_fault
from verifiers.programs.values import same_value

_FAULT_OF_A_PROGRAM = frozenset(
    (Status.OK, Status.RUNTIME_ERROR, Status.TIME_LIMIT, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT)
)


_BLOCKS = TextReader("verifiers.extraction:code_block")


class Unread(Exception):
    """A completion could not be read in time, or its worker failed; the message says why."""


def program_in(completion: str, language: str = "python") -> Extracted:
    """The program of a completion, as `code_block` finds it, in a process that can be killed. One that uses up its
    processor time or memory has none. Raises Unread."""
    [outcome] = _BLOCKS.read([(completion, language)])
    return _found(outcome)


def _found(outcome: WorkerOutcome) -> Extracted:
    reason = f"the completion could not be read: {outcome.reason}"
    if outcome.overspent:
        return Extracted(None, reason)
    if outcome.status != "ok":
        raise Unread(reason)
    return Extracted(*outcome.value)


@dataclass(slots=True)
class _Progress:
    """The state of a submission while its tests run."""

    passed: int = 0
    failed_at: int | None = None
    status: str = "accepted"
    reason: str = ""
    seen: int = 0
    late: bool = False
    """Whether there was no time for all of it."""
    per_test: list[str] = field(default_factory=list)

    def restart(self) -> None:
        """Forgets what is known."""
        self.passed, self.failed_at, self.status, self.reason, self.seen = 0, None, "accepted", "", 0
        self.per_test.clear()

    def note(self, index: int, status: str, reason: str) -> None:
        self.seen += 1
        self.per_test.append(status)
        if status == "accepted":
            self.passed += 1
        elif self.failed_at is None:
            self.failed_at, self.status, self.reason = index, status, reason


class CodeVerifier(Verifier):
    """Judges programs by tests. Statuses: accepted, wrong_answer, runtime_error, time_limit, memory_limit,
    output_limit, compile_error, no_answer, and, without a reward, not_checked (the sandbox, a checker
    or the search for the program failed)."""

    name = "code"
    overlaps = True
    runs_programs = True

    def __init__(
        self,
        *,
        workers: int = 1,
        comparison: Comparison = "tokens",
        partial_credit: bool = False,
        stop_at_first_failure: bool = True,
        prelude: str = "",
        deadline_s: float | None = None,
        open_sandbox: OpenSandbox = open_default,
    ) -> None:
        """`comparison` is how outputs are compared where a task doesn't say, and whether lists may come in any order;
        `partial_credit` gives the share of tests passed as the reward (and runs all of them); `prelude` is put before
        every Python program, as problem sets do whose starters use names that they do not import; `deadline_s`
        seconds after the first of an item's tests no more are begun, and where those decide, it is not checked."""
        if comparison not in COMPARISONS:
            raise ValueError(f"comparison must be one of {', '.join(COMPARISONS)}, not {comparison!r}")
        self._runner = ProgramRunner(workers=workers, open_sandbox=open_sandbox)
        self._checkers = ProgramRunner(workers=workers, open_sandbox=open_sandbox)
        self.workers = workers
        self._deadline_s = math.inf if deadline_s is None else deadline_s
        self._comparison = comparison
        self._partial_credit = partial_credit
        self._stop_early = stop_at_first_failure and not partial_credit
        self._prelude = prelude
        before = f"/{hashlib.sha256(prelude.encode()).hexdigest()[:16]}" if prelude else ""
        self.fingerprint = f"code/3/{comparison}/{partial_credit:d}{self._stop_early:d}{before}"

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, in order, with as many at a time as there are workers; each holds its program in its last fenced
        block."""
        # Together, since a worker of its own for each text would take its turns from the sandboxes.
        read = _BLOCKS.read([(completion, task.language) for task, completion in items])
        judging = (self._judging(task, outcome) for (task, _), outcome in zip(items, read, strict=True))
        pending = list(map(self._runner.on_worker, judging))
        # Once for all of them: to be woken up at each end takes from the workers what they share.
        wait(pending)
        return [future.result() for future in pending]

    def verify_source(self, task: Task, source: str) -> Verdict:
        """Judges a program that needs no extraction."""
        return _unusable(task) or self._runner.on_worker(lambda: self._judge(task, source, time.monotonic())).result()

    def close(self) -> None:
        """Closes every sandbox."""
        self._runner.close()
        self._checkers.close()

    def _judging(self, task: Task, read: WorkerOutcome) -> Callable[[], Verdict]:
        def judge() -> Verdict:
            begun = time.monotonic() - read.seconds
            if unusable := _unusable(task):
                return unusable
            try:
                found = _found(read)
            except Unread as error:
                return Verdict(None, None, "not_checked", str(error), seconds=time.monotonic() - begun)
            if found.text is None:
                return Verdict(False, 0.0, "no_answer", found.reason, seconds=time.monotonic() - begun)
            source = f"{self._prelude}\n{found.text}" if self._prelude and task.language == "python" else found.text
            return self._judge(task, source, begun)

        def guarded() -> Verdict:
            try:
                return judge()
            except Exception as error:  # noqa: BLE001 - it costs one verdict, and not those of the batch
                return fault(self.name, error)

        return guarded

    def _judge(self, task: Task, source: str, begun: float) -> Verdict:
        progress = _Progress()
        until = begun + self._deadline_s
        executions = self._runner.execute(lambda sandbox: self._run(sandbox, task, source, progress, until))
        if task.checker is not None and progress.status == "accepted" and not progress.late:
            self._check(task, executions, progress, until)
        return self._verdict(task, executions, progress, time.monotonic() - begun)

    def _run(self, sandbox: Sandbox, task: Task, source: str, progress: _Progress, until: float) -> list[Execution]:
        limits = limits_for(task.time_limit_s, task.memory_mb)
        stop = self._noting(task, progress, until)
        if task.entry_point is not None:
            return self._call(sandbox, task, source, limits, progress, stop)
        inputs = [test.input.encode() for test in task.tests]
        return _noted(sandbox.run(Program(source, task.language), inputs, limits, stop), stop, progress)

    def _call(
        self, sandbox: Sandbox, task: Task, source: str, limits: Limits, progress: _Progress, stop: Stop
    ) -> list[Execution]:
        """All tests in one process, which nearly every right program passes; else each in its own, and these count.

        So state that one test leaves to the next can fail no program, and a wrong first value needs no second run.
        """
        assert task.entry_point is not None
        program = Program(callable_source(source, task.entry_point), task.language)
        arguments = [list(test.args or ()) for test in task.tests]
        if len(arguments) > 1:
            executions = _noted(sandbox.call_together(program, task.entry_point, arguments, limits), stop, progress)
            if progress.passed == len(arguments) or (self._stop_early and progress.failed_at == 0):
                return executions
            progress.restart()
        return _noted(sandbox.call(program, task.entry_point, arguments, limits, stop), stop, progress)

    def _noting(self, task: Task, progress: _Progress, until: float) -> Stop:
        """Begins anew to note how each test went; the result says when no more need run, or may."""
        progress.restart()

        def stop(index: int, execution: Execution) -> bool:
            status, reason = self._status(task, task.tests[index], execution)
            progress.note(index, status, reason)
            # a program that doesn't compile, or a broken sandbox, has nothing more to say
            over = execution.status in {Status.COMPILE_ERROR, Status.SANDBOX_ERROR}
            if over or (self._stop_early and status != "accepted"):
                return True
            progress.late = index + 1 < len(task.tests) and time.monotonic() > until
            return progress.late

        return stop

    def _status(self, task: Task, test: Test, execution: Execution) -> tuple[str, str]:
        if execution.status is Status.SANDBOX_ERROR:
            return "not_checked", execution.reason or "the sandbox failed"
        if execution.status is not Status.OK:
            return str(execution.status), execution.reason or _last_line(execution.stderr)
        try:
            right = self._meets(task, test, execution)
        except Exception as error:  # noqa: BLE001 - it must be worth no more than an honest mistake
            # The right output shows whose fault it is; where it raises too, the item is not checked.
            self._meets(task, test, replace(execution, value=test.expected, stdout=test.output.encode()))
            return "wrong_answer", f"the output cannot be compared with the expected one ({type(error).__name__})"
        return ("accepted", "") if right else ("wrong_answer", "the output differs from the expected one")

    def _meets(self, task: Task, test: Test, execution: Execution) -> bool:
        comparison = task.comparison or self._comparison
        tolerance = None if task.float_tolerance is None else Tolerance(task.float_tolerance, task.tolerance_kind)
        if task.entry_point is not None:
            any_order = comparison in {"any_order", "tokens_any_order"}
            return same_value(execution.value, test.expected, tolerance, any_order)
        if task.checker is not None:
            return True
        return same_output(execution.stdout.decode(errors="replace"), test.output, comparison, tolerance)

    def _check(self, task: Task, executions: Sequence[Execution], progress: _Progress, until: float) -> None:
        """Puts every output to the problem's own checker, in a sandbox that the judged program never saw."""
        assert task.checker is not None
        program = checker_program(task.checker)
        packed = [
            checker_input(test.input, execution.stdout, test.output)
            for test, execution in zip(task.tests, executions, strict=False)
        ]
        limits = limits_for(max(task.time_limit_s, 5.0), max(task.memory_mb, 512))

        def stop(index: int, execution: Execution) -> bool:
            progress.late = index + 1 < len(packed) and time.monotonic() > until
            return progress.late

        judged = self._checkers.submit(lambda sandbox: sandbox.run(program, packed, limits, stop)).result()
        progress.passed, progress.per_test = 0, []
        for index, test in enumerate(task.tests[: len(judged) if progress.late else len(packed)]):
            execution = judged[min(index, len(judged) - 1)] if judged else Execution(Status.SANDBOX_ERROR)
            says = checker_says(execution)
            taken = says is None and execution.status in _FAULT_OF_A_PROGRAM and time.monotonic() <= until
            if taken and self._takes_answer(program, test, limits):
                # An output that the checker cannot read, though it reads the answer, is the program's fault.
                says = False
            if says is None:
                why = execution.reason or _last_line(execution.stderr) or f"exit code {execution.exit_code}"
                progress.note(index, "not_checked", f"the checker failed ({execution.status}): {why}"[:300])
            else:
                progress.note(index, "accepted" if says else "wrong_answer", "" if says else "the checker refused it")

    def _takes_answer(self, checker: Program, test: Test, limits: Limits) -> bool:
        packed = [checker_input(test.input, test.output.encode(), test.output)]
        executions = self._checkers.submit(lambda sandbox: sandbox.run(checker, packed, limits)).result()
        return len(executions) == 1 and checker_says(executions[0]) is True

    def _verdict(self, task: Task, executions: Sequence[Execution], progress: _Progress, seconds: float) -> Verdict:
        total = len(task.tests)
        details: Mapping[str, Any] = {
            "tests": total,
            "tests_passed": progress.passed,
            "failed_test": progress.failed_at,
            "cpu_s": round(sum(execution.cpu_s for execution in executions), 6),
            "peak_memory_mb": max((execution.peak_memory_mb for execution in executions), default=0.0),
        }
        broken = next((e.reason for e in executions if e.status is Status.SANDBOX_ERROR), None)
        if broken is not None or "not_checked" in progress.per_test:
            reason = broken or progress.reason or "the sandbox failed"
            return Verdict(None, None, "not_checked", reason, details, seconds)
        if progress.passed < total and (progress.failed_at is None or (progress.late and not self._stop_early)):
            few = "the sandbox ran only some of the tests"
            reason = f"its tests take longer than {self._deadline_s:g} s" if progress.late else few
            return Verdict(None, None, "not_checked", reason, details, seconds)
        passed = progress.failed_at is None
        reward = progress.passed / total if self._partial_credit else float(passed)
        reason = "" if passed else f"test {(progress.failed_at or 0) + 1} of {total}: {progress.reason}"[:500]
        return Verdict(passed, reward, progress.status, reason, details, seconds)


def _unusable(task: Task) -> Verdict | None:
    """The verdict where no program can be judged by a task, whatever a completion holds."""
    reason = " ".join(program_fault(task)) if task.tests else "the task has no tests"
    return Verdict(None, None, "not_checked", reason) if reason else None


def _noted(executions: list[Execution], stop: Stop, progress: _Progress) -> list[Execution]:
    """Notes also the executions that a sandbox gave without asking, up to the first that ends the batch."""
    for index in range(progress.seen, len(executions)):
        if stop(index, executions[index]):
            return executions[: index + 1]
    return executions


def _last_line(stderr: bytes) -> str:
    lines = stderr[-2000:].decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""
