"""The rules of other graders, as their authors' files have them, and how disagreements are classed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks._math_verdicts import MathCase, MathVerdicts, math_cases
from benchmarks._other_math_graders import Judged, lm_eval_flexible, lm_eval_strict, qwen_math
from benchmarks.grader_agreement import math_figures


@pytest.mark.parametrize(
    ("gold", "completion", "answer", "passed"),
    [
        ("18", r"\boxed{17}, no, \boxed{18}", "18", True),
        ("5", "The answer is 5 apples.", "5", True),
        ("7", "first 3, then 1,007", "1007", False),
        # Meant for percentages, it takes a hundred times as much.
        ("800", r"\boxed{8}", "8", True),
        ("1.00001", r"\boxed{1}", "1", True),
        # Round brackets go, wherever they stand.
        ("2x+1", r"\boxed{2(x+1)}", "2(x+1)", True),
        ("(1,2]", r"\boxed{(1,2)}", "(1,2)", True),
        (
            r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
            r"\boxed{\begin{bmatrix}1&2\\3&4.0\end{bmatrix}}",
            None,
            True,
        ),
        ("3", "no number", None, False),
    ],
)
def test_rules_of_qwen(gold: str, completion: str, answer: str | None, passed: bool) -> None:
    found = qwen_math("math500", gold, completion)
    assert found.passed is passed
    assert answer is None or found.answer == answer


def test_filters_of_lm_eval() -> None:
    worked = "2 + 2 = <<2+2=4>>4\n#### 1,004"
    assert lm_eval_strict("gsm8k", "1004", worked) == Judged(True, "1,004")
    assert lm_eval_strict("gsm8k", "16", "so 16\nA: 16") == Judged(False, None)
    assert lm_eval_flexible("gsm8k", "16", "so 16\nA: $16.") == Judged(True, "$16.")
    assert lm_eval_flexible("gsm8k", "16", "16 of 20") == Judged(False, "20")


def test_disagreements_are_counted_by_grader_and_fault() -> None:
    case = MathCase("g", "gsm8k", "1", "800", r"\boxed{8}", False)
    said = {"math": Judged(False, "8"), "Qwen2.5-Math": Judged(True, "8")}
    one = MathVerdicts(case, said, {"Qwen2.5-Math": "took 100 times as much for equal"})
    assert one.differ
    found = math_figures([one])
    assert found["groups"]["g"]["disagreements"] == 1
    assert found["groups"]["g"]["graders"]["Qwen2.5-Math"] == {"passed wrongly": 1}
    assert found["faults"] == {"Qwen2.5-Math": {"took 100 times as much for equal": 1}}


def test_cases_are_solutions_with_their_own_answer_and_another(tmp_path: Path) -> None:
    folder = tmp_path / "math"
    folder.mkdir()
    rows = [{"id": str(n), "answer": str(n), "solution": f"\\boxed{{{n}}}"} for n in (1, 2)]
    labelled = [{"id": "m", "solution": "A: 3", "gold": "3", "is_correct": True}]
    pair = {"id": "c", "pred": "$4$", "gold": "4", "expected": True, "kind": "equiv", "mode": "latex"}
    files = {"gsm8k": rows, "math500": rows, "aime2024": rows[:1], "gsm8k_model_solutions_labelled": labelled}
    files["verification_cases"] = [pair, pair | {"kind": "policy"}]
    for name, content in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    found = list(math_cases(tmp_path, None))
    groups = {
        group: [case.truth for case in found if case.group == group] for group in dict.fromkeys(c[0] for c in found)
    }
    assert groups["GSM8K solutions"] == groups["MATH-500 solutions"] == [True, True]
    assert groups["GSM8K solutions of others"] == groups["MATH-500 solutions of others"] == [False, False]
    assert groups["conventions"] == [None]
    # An answer that stands alone gets the box that graders of completions look for.
    assert [case.completion for case in found if case.group == "labelled cases"] == [r"\boxed{4}"]
