"""Judges programs by statements that run after them, as HumanEval and MBPP are published.

Their tests call the function in ways that no table of arguments holds (loops over random inputs, helpers of their
own), so the statements run in the sandbox behind the program, in its process. A program that was written to deceive
could look for them there: this verifier measures models, and is not one to train by. Of a program that ends before the
statements have run, nothing passes: the last of them prints a word that the program cannot know.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

from sandbox.model import Execution, Program, Sandbox, Status
from verifiers.model import Task, Verdict
from verifiers.programs.runner import OpenSandbox, ProgramRunner, limits_for, open_default
from verifiers.programs.verifier import Unread, program_in


class AssertsVerifier:
    """Runs a completion's program between Python statements: the inputs of a task's two tests are what stands before
    it, and what stands behind and raises where it is wrong.

    Statuses: accepted, wrong_answer (an assert failed), runtime_error, time_limit, memory_limit, output_limit,
    no_answer, and, without a reward, not_checked.
    """

    name = "asserts"
    fingerprint = "asserts/2"
    overlaps = True
    in_process = True
    """It is ours, and what it judges runs in a sandbox: a process of its own would only stand between them."""

    def __init__(self, *, workers: int = 2, open_sandbox: OpenSandbox = open_default) -> None:
        """`workers` sandboxes judge at a time."""
        self._runner = ProgramRunner(workers=workers, open_sandbox=open_sandbox)

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one completion, which holds its program in its last fenced block."""
        return self.verify_many([(task, completion)])[0]

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, in order, with as many at a time as there are workers."""
        pending = [self._runner.on_worker(lambda item=item: self._judge(*item)) for item in items]  # type: ignore[misc]
        return [future.result() for future in pending]

    def close(self) -> None:
        """Closes every sandbox."""
        self._runner.close()

    def _judge(self, task: Task, completion: str) -> Verdict:
        begun = time.monotonic()
        try:
            found = program_in(completion)
        except Unread as error:
            return Verdict(None, None, "not_checked", str(error), seconds=time.monotonic() - begun)
        if found.text is None:
            return Verdict(False, 0.0, "no_answer", found.reason, seconds=time.monotonic() - begun)
        if len(task.tests) != 2:
            return Verdict(None, None, "not_checked", "the task has no statements to run before and behind a program")
        before, behind = (test.input for test in task.tests)
        word = hashlib.sha256(f"{task.problem}\0{completion}".encode("utf-8", "replace")).hexdigest()
        first, rest = _future_first(found.text)
        program = Program(f"{first}{before}\n{rest}\n\n{behind}\nprint({word!r})\n", "python")
        limits = limits_for(task.time_limit_s, task.memory_mb)

        def run(sandbox: Sandbox) -> list[Execution]:
            return sandbox.run(program, [b""], limits)

        executions = self._runner.execute(run)
        status, reason = _outcome(executions[0], word) if executions else ("not_checked", "the sandbox gave no result")
        seconds = time.monotonic() - begun
        if status == "not_checked":
            return Verdict(None, None, status, reason, seconds=seconds)
        passed = status == "accepted"
        return Verdict(passed, float(passed), status, reason, seconds=seconds)


def _future_first(program: str) -> tuple[str, str]:
    """The lines of a program that Python takes only before all others, and the rest of it."""
    lines = program.splitlines(keepends=True)
    first = [line for line in lines if line.startswith("from __future__ import ")]
    return "".join(f"{line.rstrip()}\n" for line in first), "".join(line for line in lines if line not in first)


def _outcome(execution: Execution, word: str) -> tuple[str, str]:
    if execution.status is Status.SANDBOX_ERROR:
        return "not_checked", execution.reason or "the sandbox failed"
    said = execution.stderr[-2000:].decode(errors="replace").strip().splitlines()
    last = said[-1][:300] if said else ""
    if execution.status is not Status.OK:
        failed = execution.status is Status.RUNTIME_ERROR and last.startswith("AssertionError")
        return ("wrong_answer", f"an assert failed: {last}") if failed else (str(execution.status), last)
    lines = execution.stdout[-1000:].decode(errors="replace").split()
    return ("accepted", "") if lines[-1:] == [word] else ("wrong_answer", "it ended before the tests had run")
