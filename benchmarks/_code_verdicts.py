"""Programs with known truth, and the verdicts of three checkers on them."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sandbox.model import Execution, Program, Status
from verifiers.model import Task, Test
from verifiers.programs import CodeVerifier
from verifiers.programs.runner import ProgramRunner, limits_for

ROOT = Path(__file__).resolve().parents[1]
SECURITY = ROOT / "tests" / "security"
OURS = "code"
TIME_S = 15.0
"""Of a test, for all checkers: some of the right solutions take seconds."""
MANNERS = {"EvalPlus-like": "evalplus", "LCB-like": "livecodebench"}


class CodeCase(NamedTuple):
    """A program for a task, and whether it deserves to pass."""

    group: str
    name: str
    task: Task
    source: str
    truth: bool


class CodeVerdicts(NamedTuple):
    """What each checker says of a program, by its name: whether it passed, None for no verdict, and why not."""

    case: CodeCase
    said: dict[str, tuple[bool | None, str]]

    @property
    def differ(self) -> bool:
        """Whether some checker is wrong."""
        return any(passed is not self.case.truth for passed, _ in self.said.values())


def code_cases(data: Path | None, limit: int | None) -> Iterator[CodeCase]:
    """Right and wrong solutions of MBPP where the shared rows are, and the programs of `tests/security`."""
    groups: dict[str, list[CodeCase]] = {}
    found = [*_honest_and_fake(), *(_of_rows(data / "code") if data is not None else ())]
    for case in found:
        groups.setdefault(case.group, []).append(case)
    for own in groups.values():
        yield from own[:: 1 if limit is None else max(1, len(own) // limit)]


def _of_rows(data: Path) -> Iterator[CodeCase]:
    for file, group in (("mbpp_func.jsonl", "MBPP functions"), ("mbpp_stdio.jsonl", "MBPP by input and output")):
        for line in (data / file).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            entry_point = row.get("entry_point")
            task = Task(row["statement"], tests=tuple(row["tests"]), entry_point=entry_point, time_limit_s=TIME_S)
            yield CodeCase(f"{group}, right", row["task_id"], task, row["solution"], True)
            for number, wrong in enumerate(row["wrong_solutions"]):
                yield CodeCase(f"{group}, wrong", f"{row['task_id']}/{number}", task, wrong["code"], False)


def _honest_and_fake() -> Iterator[CodeCase]:
    """Those in Python that are judged by plain tests, which all three checkers can do."""
    sys.path.insert(0, str(SECURITY))
    import fakes_function  # type: ignore[import-not-found]
    import fakes_output  # type: ignore[import-not-found]
    import honest_programs  # type: ignore[import-not-found]
    import honest_streams  # type: ignore[import-not-found]

    for one in (*honest_streams.HONEST, *honest_programs.HONEST):
        if one.language == "python" and one.given.isascii() and one.wanted.isascii() and len(one.given) < 1000:
            tests = (Test(one.given.decode(), one.wanted.decode()),)
            task = Task(one.name, tests=tests, time_limit_s=TIME_S, comparison="lines")
            yield CodeCase("unusual, right", one.name, task, one.source, True)
    for fake in (*fakes_function.FAKES, *fakes_output.FAKES):
        if fake.task.language == "python" and fake.task.checker is None:
            group = "cheating functions" if fake.task.entry_point else "cheating programs"
            yield CodeCase(group, fake.name, fake.task, fake.source, False)


def code_verdicts(cases: Sequence[CodeCase], workers: int) -> Iterator[CodeVerdicts]:
    """Asks every checker about every program; those of others run in a sandbox, too, beside the program."""
    ours, runner = CodeVerifier(workers=workers), ProgramRunner(workers=workers)
    try:
        for case in cases:
            verdict = ours.verify_source(case.task, case.source)
            said: dict[str, tuple[bool | None, str]] = {OURS: (verdict.passed, verdict.status)}
            for name, manner in MANNERS.items():
                if manner != "evalplus" or case.task.entry_point is not None:
                    said[name] = _asked(runner, case, manner)
            yield CodeVerdicts(case, said)
    finally:
        ours.close()
        runner.close()


def _asked(runner: ProgramRunner, case: CodeCase, manner: str) -> tuple[bool | None, str]:
    word = secrets.token_hex(16)
    tests = [
        {"args": list(test.args or ()), "expected": test.expected, "input": test.input, "output": test.output}
        for test in case.task.tests
    ]
    payload = json.dumps(
        {
            "word": word,
            "manner": manner,
            "source": case.source,
            "entry_point": case.task.entry_point,
            "tests": tests,
        }
    )
    harness = Path(__file__).with_name("_code_harness.py").read_text(encoding="utf-8")
    program = Program(f"{harness}\njudge({payload!r})\n", "python")
    limits = limits_for(case.task.time_limit_s * len(tests), case.task.memory_mb)
    [execution] = runner.submit(lambda sandbox: sandbox.run(program, [b""], limits)).result()
    return _said(execution, word)


def _said(execution: Execution, word: str) -> tuple[bool | None, str]:
    if execution.status is Status.SANDBOX_ERROR:
        return None, execution.reason
    lines = execution.stdout.decode(errors="replace").splitlines()
    own = [line.removeprefix(word).strip() for line in lines if line.startswith(word)]
    if not own:
        return False, f"ended without a verdict ({execution.status})"
    return own[-1] == "passed", own[-1]
