"""HumanEval and MBPP, and their variants of EvalPlus: rows whose tests are statements that run behind a program.

Those of EvalPlus hold the inputs and the reference's outputs as lists, and compare them in a loop with a tolerance by
numpy, which programs in the sandbox do not have: behind the program stands what those four names of numpy mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfplay.suites.rows import SuiteError, column_text
from verifiers.model import Task, Test

TIME_S, PLUS_TIME_S = 10.0, 60.0
"""For all statements of a problem; those of EvalPlus are hundreds of calls."""
MEMORY_MB, PLUS_MEMORY_MB = 512, 4096
"""The second as EvalPlus has it."""

STAND_IN = """\
def _stand_in_for_numpy():
    import math, sys, types
    try:
        import numpy
        return
    except ImportError:
        pass
    def close(actual, desired, atol):
        if isinstance(actual, (list, tuple)) or isinstance(desired, (list, tuple)):
            first = actual if isinstance(actual, (list, tuple)) else [actual] * len(desired)
            second = desired if isinstance(desired, (list, tuple)) else [desired] * len(first)
            return len(first) == len(second) and all(close(*pair, atol) for pair in zip(first, second))
        if actual == desired or (actual != actual and desired != desired):
            return True
        return math.isfinite(desired) and abs(actual - desired) <= atol + 1e-7 * abs(desired)
    def assert_allclose(actual, desired, rtol=1e-7, atol=0):
        assert close(actual, desired, atol)
    class ndarray:
        pass
    testing = types.SimpleNamespace(assert_allclose=assert_allclose)
    found = types.ModuleType("numpy")
    found.ndarray, found.float32, found.float64, found.testing = ndarray, float, float, testing
    sys.modules["numpy"] = found
_stand_in_for_numpy()
"""
_AROUND = frozenset(("not", "set", "sorted", "list", "tuple", "str", "round", "abs", "math", "isclose"))
"""Names before that of the function in MBPP's asserts."""

Fields = Mapping[str, Any]


def humaneval_task(where: str, row: Fields) -> Task:
    """The task of a row of HumanEval. Raises SuiteError where a column is missing, or holds something else."""
    prompt, head, behind, entry_point = _humaneval(where, row)
    return _with_statements(prompt, head, behind, entry_point, TIME_S, MEMORY_MB)


def humaneval_plus_task(where: str, row: Fields) -> Task:
    """The task of a row of HumanEval+. Raises SuiteError as `humaneval_task` does."""
    prompt, head, behind, entry_point = _humaneval(where, row)
    return _with_statements(prompt, head, STAND_IN + behind, entry_point, PLUS_TIME_S, PLUS_MEMORY_MB)


def mbpp_task(where: str, row: Fields) -> Task:
    """The task of a row of MBPP. Raises SuiteError where a column is missing, or holds something else."""
    prompt, entry_point, asserts = _mbpp(where, row)
    before = str(row.get("test_setup_code") or "")
    return _with_statements(prompt, before, "\n".join(asserts), entry_point, TIME_S, MEMORY_MB)


def mbpp_plus_task(where: str, row: Fields) -> Task:
    """The task of a row of MBPP+. Raises SuiteError as `mbpp_task` does."""
    prompt, entry_point, _ = _mbpp(where, row)
    imports = row.get("test_imports") or []
    if not _texts(imports):
        raise SuiteError(f"{where}: `test_imports` must be a list of statements")
    behind = f"{STAND_IN}candidate = {entry_point}\n{column_text(where, row, 'test')}"
    return _with_statements(prompt, "\n".join(imports), behind, entry_point, PLUS_TIME_S, PLUS_MEMORY_MB)


def _humaneval(where: str, row: Fields) -> tuple[str, str, str, str]:
    """The prompt, what stands before a program and behind it, and the function's name."""
    entry_point = column_text(where, row, "entry_point")
    prompt, tests = column_text(where, row, "prompt"), column_text(where, row, "test")
    if not entry_point.isidentifier():
        raise SuiteError(f"{where}: `entry_point` is no name of a function")
    # What stands before the function there: imports, and helpers that some tests use.
    head = prompt[: max(0, prompt.rfind(f"def {entry_point}"))]
    return prompt, head, f"{tests}\ncheck({entry_point})", entry_point


def _mbpp(where: str, row: Fields) -> tuple[str, str, list[str]]:
    """The prompt, the function's name, and the asserts."""
    asserts = row.get("test_list")
    if not asserts or not _texts(asserts):
        raise SuiteError(f"{where}: `test_list` must be a list of asserts")
    problem = column_text(where, row, "text", "prompt")
    named = asserts[0].replace("(", " ").split()
    entry_point = next((word for word in named[1:] if word.isidentifier() and word not in _AROUND), None)
    if entry_point is None:
        raise SuiteError(f"{where}: the first assert calls no function: {asserts[0][:80]}")
    shown = f"{problem.strip()}\n\nYour function must pass this test:\n\n```python\n{asserts[0]}\n```"
    return shown, entry_point, asserts


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _with_statements(problem: str, before: str, behind: str, entry_point: str, time_s: float, memory_mb: int) -> Task:
    tests = (Test(input=before), Test(input=behind))
    return Task(problem, tests=tests, entry_point=entry_point, time_limit_s=time_s, memory_mb=memory_mb)
