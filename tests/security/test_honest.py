"""Right but unusual programs are accepted, by the sandbox and by the verifier, before and after an attack."""

from __future__ import annotations

from collections.abc import Iterator

import honest_programs
import honest_streams
import pytest
from attack_kit import attack
from honest_kit import Honest

from sandbox.model import Limits, Program, Status
from sandbox.warm.sandbox import WarmSandbox
from verifiers.model import Task, Test
from verifiers.programs import CodeVerifier

HONEST: list[Honest] = [*honest_streams.HONEST, *honest_programs.HONEST]
LIMITS = Limits(cpu_s=5, wall_s=20, memory_mb=256)


@pytest.fixture(scope="module")
def verifier(needs_sandbox: None) -> Iterator[CodeVerifier]:
    code = CodeVerifier(comparison="lines")
    yield code
    code.close()


def test_names_are_distinct() -> None:
    assert len({program.name for program in HONEST}) == len(HONEST)


@pytest.mark.parametrize("program", [pytest.param(program, id=program.name) for program in HONEST])
def test_honest_program_is_accepted(sandbox: WarmSandbox, program: Honest) -> None:
    execution = sandbox.run(Program(program.source, program.language), [program.given], LIMITS)[0]
    assert execution.status is Status.OK, (execution.reason, execution.stderr[-500:].decode(errors="replace"))
    assert execution.stdout == program.wanted
    assert execution.exit_code == 0


def test_verifier_accepts_them_too(verifier: CodeVerifier) -> None:
    text = [p for p in HONEST if p.language == "python" and p.given.isascii() and len(p.given) < 1000]
    items = [
        (Task(p.name, tests=(Test(p.given.decode(), p.wanted.decode()),)), f"Here:\n```python\n{p.source}\n```")
        for p in text
    ]
    verdicts = verifier.verify_many(items)
    refused = [(task.problem, v.status, v.reason) for (task, _), v in zip(items, verdicts, strict=True) if not v.passed]
    assert refused == []


FUNCTIONS = {
    "method_of_solution": "class Solution:\n    def f(self, a, b): return a + b",
    "global_state": "cache = {}\ndef f(a, b):\n    cache[a] = b\n    return a + b",
    "prints_too": "def f(a, b):\n    print('a note')\n    return a + b",
    "reads_stdin": "import sys\ndef f(a, b): return a + b + len(sys.stdin.read())",
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor as T\n"
        "def f(a, b):\n    with T(2) as t: return sum(t.map(int, [a, b]))"
    ),
    "exits_in_a_child": "import os\ndef f(a, b):\n    if os.fork() == 0: os._exit(1)\n    os.wait()\n    return a + b",
    "async_inside": "import asyncio\nasync def g(a, b): return a + b\ndef f(a, b): return asyncio.run(g(a, b))",
    "lambda": "f = lambda a, b: a + b",
    "partial": "import functools, operator\nf = functools.partial(lambda x, a, b: x + a + b, 0)",
    "callable_object": "class F:\n    def __call__(self, a, b): return a + b\nf = F()",
    "tuple_for_a_list": "def f(a, b): return a + b if isinstance(a, int) else (*a, *b)",
    "late_main_guard": "def f(a, b): return a + b\nif __name__ == '__main__': raise SystemExit(1)",
    "exit_handler_that_fails": "import atexit\natexit.register(print, 1)\ndef f(a, b): return a + b",
    "numpy_left_out": "try:\n    import numpy\nexcept ImportError: pass\ndef f(a, b): return a + b",
}
SUM = Task("sum", entry_point="f", tests=(Test(args=(1, 2), expected=3), Test(args=(4, 5), expected=9)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_honest_function_is_accepted(verifier: CodeVerifier, name: str) -> None:
    verdict = verifier.verify_source(SUM, FUNCTIONS[name])
    assert verdict.passed is True, verdict


def test_function_that_only_fails_together_is_accepted(verifier: CodeVerifier) -> None:
    """State that one call leaves to the next is the judge's doing, when each test is said to be one run."""
    source = "seen = []\ndef f(a, b):\n    seen.append(1)\n    assert len(seen) == 1\n    return a + b"
    assert verifier.verify_source(SUM, source).passed is True


def test_honest_programs_pass_between_attacks(sandbox: WarmSandbox) -> None:
    bomb = attack("bomb", Status.TIME_LIMIT, "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass")
    for program in HONEST[:6]:
        sandbox.run(bomb.program(), [b""], Limits(cpu_s=0.1, wall_s=0.2, processes=8))
        execution = sandbox.run(Program(program.source), [program.given], LIMITS)[0]
        assert (execution.status, execution.stdout) == (Status.OK, program.wanted)
