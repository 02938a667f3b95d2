"""Programs with statements before and behind them, in the real sandbox."""

from __future__ import annotations

from selfplay.suites.asserts import AssertsVerifier
from verifiers.model import Task, Test


def test_a_program_may_begin_with_an_import_from_the_future() -> None:
    """Python takes it only at the very beginning, where the suite's own imports would stand."""
    tests = (Test(input="from typing import List\n"), Test(input="assert total([1, 2]) == 3"))
    task = Task("Add numbers.", tests=tests, entry_point="total", time_limit_s=10.0)
    function = "def total(numbers: List[int]) -> int:\n    return sum(numbers)\n"
    heads = ("from __future__ import annotations\n\n", "from __future__ import annotations  # late\nimport os\n")
    wrong = f"```python\n{heads[0]}{function.replace('sum', 'max')}```"
    verifier = AssertsVerifier(workers=1)
    try:
        found = verifier.verify_many([*((task, f"```python\n{head}{function}```") for head in heads), (task, wrong)])
    finally:
        verifier.close()
    assert [one.status for one in found] == ["accepted", "accepted", "wrong_answer"]
