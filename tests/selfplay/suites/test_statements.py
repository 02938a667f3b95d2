"""HumanEval+ and MBPP+ as EvalPlus releases them, in the real sandbox, where there is no numpy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selfplay.suites.asserts import AssertsVerifier
from selfplay.suites.load import load_suite
from selfplay.suites.rows import SuiteError
from selfplay.suites.statements import STAND_IN

COMPARED = """import numpy as np

def is_floats(x) -> bool:
    if isinstance(x, float):
        return True
    if isinstance(x, (list, tuple)):
        return all(isinstance(i, float) for i in x)
    if isinstance(x, np.ndarray):
        return x.dtype == np.float64 or x.dtype == np.float32
    return False

def assertion(out, exp, atol):
    exact_match = out == exp
    if atol == 0 and is_floats(exp):
        atol = 1e-6
    if not exact_match and atol != 0:
        np.testing.assert_allclose(out, exp, atol=atol)
    else:
        assert exact_match
"""
HALVES = {
    "task_id": "HumanEval/0",
    "prompt": "from typing import List\n\n\ndef halves(numbers: List[float]) -> List[float]:\n    '''Halves.'''\n",
    "entry_point": "halves",
    "test": f"{COMPARED}\ndef check(candidate):\n    inputs = [[[1.0, 3.0]], [[]]]\n    results = [[0.5, 1.5], []]\n"
    "    for i, (inp, exp) in enumerate(zip(inputs, results)):\n        assertion(candidate(*inp), exp, 0)\n",
}
ROOT = {
    "task_id": 2,
    "prompt": "Write a function to find a root.",
    "test_imports": ["import math"],
    "test_list": ["assert math.isclose(root(4), 2)"],
    "test": f"{COMPARED}\nfrom math import inf\ninputs = [[4.0], [inf]]\nresults = [2.0, inf]\n"
    "for i, (inp, exp) in enumerate(zip(inputs, results)):\n    assertion(candidate(*inp), exp, 0)\n",
}


def downloaded(folder: Path, name: str, row: dict[str, Any]) -> Path:
    (folder / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    return folder


@pytest.mark.usefixtures("needs_sandbox")
def test_released_inputs_and_outputs_judge_programs(tmp_path: Path) -> None:
    halves, root = (
        load_suite(name, downloaded(tmp_path, alias, row), incomplete=True).problems[0].task
        for name, alias, row in (("humaneval-plus", "humanevalplus", HALVES), ("mbpp-plus", "mbppplus", ROOT))
    )
    assert (halves.entry_point, root.entry_point) == ("halves", "root")
    assert "math.isclose(root(4), 2)" in root.problem
    programs = [
        (halves, "def halves(numbers: List[float]):\n    return [x / 2 for x in numbers]", "accepted"),
        (halves, "def halves(numbers):\n    return [x / 2 + 1e-8 for x in numbers]", "accepted"),
        (halves, "def halves(numbers):\n    return [x / 2 + 1e-3 for x in numbers]", "wrong_answer"),
        (halves, "def halves(numbers):\n    return [x / 2 for x in numbers[:1]]", "wrong_answer"),
        (halves, "def halves(numbers):\n    return 'none'", "runtime_error"),
        (root, "def root(x):\n    return math.sqrt(x)", "accepted"),
        (root, "def root(x):\n    return min(x / 2, 9.0)", "wrong_answer"),
    ]
    verifier = AssertsVerifier(workers=1)
    try:
        found = verifier.verify_many([(task, f"```python\n{program}\n```") for task, program, _ in programs])
    finally:
        verifier.close()
    assert [one.status for one in found] == [status for *_, status in programs]


def test_the_stand_in_means_what_numpy_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Element by element, one for many, nan like nan, infinities only where they are."""
    monkeypatch.setitem(sys.modules, "numpy", None)
    exec(STAND_IN, {})
    ours = sys.modules["numpy"].testing.assert_allclose
    monkeypatch.undo()
    inf, nan = float("inf"), float("nan")
    pairs: list[tuple[Any, Any]] = [
        *((1.0, 1.0 + step) for step in (0.0, 9e-7, 1.05e-6, 1.2e-6, -2e-6)),
        *((one, other) for one in (inf, -inf, nan, 2.0) for other in (inf, -inf, nan, 2.0)),
        ([1.0, 2.0], [1.0, 2.0 + 1e-7]),
        ([1.0, 2.0], [1.0, 2.1]),
        ([1.0, 1.0], 1.0),
        (1.0, [1.0, 2.0]),
        ((1.0, 2.0), [1.0, 2.0]),
        ([[1.0], [2.0]], [[1.0], [2.5]]),
        ([1.0, 2.0], [1.0, 2.0, 3.0]),
        (1e9, 1e9 + 99.0),
        (1e9, 1e9 + 101.0),
        (True, 1),
    ]

    def holds(check: Any, pair: tuple[Any, Any]) -> bool:
        try:
            check(*pair, atol=1e-6)
        except AssertionError:
            return False
        return True

    assert [holds(ours, pair) for pair in pairs] == [holds(np.testing.assert_allclose, pair) for pair in pairs]


@pytest.mark.parametrize(
    ("name", "row", "says"),
    [
        ("humaneval-plus", HALVES | {"test": None}, "line 1: has no text in `test`"),
        ("mbpp-plus", ROOT | {"test": None}, "line 1: has no text in `test`"),
        ("mbpp-plus", ROOT | {"test_list": []}, "line 1: `test_list` must be a list of asserts"),
        ("mbpp-plus", ROOT | {"test_imports": "math"}, "line 1: `test_imports` must be a list of statements"),
    ],
)
def test_a_row_of_another_shape_is_named(tmp_path: Path, name: str, row: dict[str, Any], says: str) -> None:
    with pytest.raises(SuiteError, match=says):
        load_suite(name, downloaded(tmp_path, name, row), incomplete=True)
