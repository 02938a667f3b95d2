"""Whether graders of others would have scored as ours do: the same completions, every disagreement listed and classed.

Math: our `math`, the package math-verify, the rules of Qwen2.5-Math's grader and lm-eval's filters for GSM8K
(`_other_math_graders`), on solutions of GSM8K, MATH-500 and AIME 24 (each once with its own answer and once with that
of another problem), on completions of a model, and on labelled cases. Code: our `code`, and checkers in the manner of
EvalPlus and of LiveCodeBench (`_code_harness`), on right and wrong solutions of MBPP, and on the right but unusual
programs and the cheats of `tests/security`. The rows come from the folder that SELFPLAY_SHARED_DATA names; without it
only the programs of `tests/security` are judged.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._code_verdicts import CodeVerdicts, code_cases, code_verdicts
from benchmarks._math_verdicts import MathVerdicts, math_cases, math_verdicts

TAIL = 300
"""Characters of a completion that the list shows, its last ones."""


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Judges, and returns counts; `--differing FILE` writes every disagreement as a JSON line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks grader_agreement", description=__doc__)
    parser.add_argument("--only", choices=("math", "code"), help="one of the two parts")
    parser.add_argument("--limit", type=int, help="most cases of a group")
    parser.add_argument("--workers", type=int, default=2, help="processes of our verifiers")
    parser.add_argument("--differing", type=Path, help="file for the disagreements, a JSON line each")
    given = parser.parse_args(arguments)
    data = Path(os.environ.get("SELFPLAY_SHARED_DATA", "/nonexistent"))
    figures: dict[str, Any] = {}
    listed: list[dict[str, Any]] = []
    if given.only != "code" and data.is_dir():
        verdicts = math_verdicts(list(math_cases(data, given.limit)), given.workers)
        figures["math"] = math_figures(verdicts)
        listed += map(_line, (one for one in verdicts if one.differ or one.faults))
    if given.only != "math":
        programs = list(code_verdicts(list(code_cases(data if data.is_dir() else None, given.limit)), given.workers))
        figures["code"] = code_figures(programs)
        listed += map(_program_line, (one for one in programs if one.differ))
    if given.differing is not None:
        given.differing.write_text(
            "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in listed), encoding="utf-8"
        )
    return figures


def math_figures(verdicts: Sequence[MathVerdicts]) -> dict[str, Any]:
    """Counts by group and grader, and the faults of each grader by their kind."""
    groups: dict[str, dict[str, Any]] = {}
    faults: dict[str, Counter[str]] = {}
    for one in verdicts:
        group = groups.setdefault(one.case.group, {"cases": 0, "disagreements": 0, "graders": {}})
        group["cases"] += 1
        group["disagreements"] += one.differ
        for grader, said in one.said.items():
            counts = group["graders"].setdefault(grader, Counter())
            counts[_outcome(one.case.truth, said.passed)] += 1
        for grader, fault in one.faults.items():
            faults.setdefault(grader, Counter())[fault] += 1
    for group in groups.values():
        group["graders"] = {name: dict(counts) for name, counts in group["graders"].items()}
    return {"groups": groups, "faults": {name: dict(counts.most_common()) for name, counts in faults.items()}}


def _outcome(truth: bool | None, passed: bool | None) -> str:
    if passed is None:
        return "not checked"
    if truth is None:
        return "passed" if passed else "refused"
    return "right" if passed is truth else "passed wrongly" if passed else "refused wrongly"


def _line(one: MathVerdicts) -> dict[str, Any]:
    case = one.case
    return {
        "group": case.group,
        "name": case.name,
        "gold": case.gold,
        "completion": case.completion[-TAIL:],
        "truth": case.truth,
        "said": {name: said.passed for name, said in one.said.items()},
        "answers": {name: said.answer for name, said in one.said.items()},
        "faults": one.faults or ("a convention" if case.truth is None else {}),
    }


def code_figures(verdicts: Sequence[CodeVerdicts]) -> dict[str, Any]:
    """Counts by group and checker, and why each checker is wrong where it is."""
    groups: dict[str, dict[str, Any]] = {}
    faults: dict[str, Counter[str]] = {}
    for one in verdicts:
        group = groups.setdefault(one.case.group, {"programs": 0, "disagreements": 0, "checkers": {}})
        group["programs"] += 1
        group["disagreements"] += len({passed for passed, _ in one.said.values()}) > 1
        for checker, (passed, why) in one.said.items():
            outcome = _outcome(one.case.truth, passed)
            group["checkers"].setdefault(checker, Counter())[outcome] += 1
            if outcome != "right":
                faults.setdefault(checker, Counter())["was deceived" if passed else why] += 1
    for group in groups.values():
        group["checkers"] = {name: dict(counts) for name, counts in group["checkers"].items()}
    return {"groups": groups, "faults": {name: dict(counts.most_common()) for name, counts in faults.items()}}


def _program_line(one: CodeVerdicts) -> dict[str, Any]:
    said = {name: {"passed": passed, "why": why} for name, (passed, why) in one.said.items()}
    return {"group": one.case.group, "name": one.case.name, "truth": one.case.truth, "said": said}
