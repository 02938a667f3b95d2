"""Math completions with known truth, the verdicts of five graders on them, and why a grader is wrong where it is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks._other_math_graders import (
    TOLERANCE,
    Grader,
    Judged,
    as_number,
    bare,
    lm_eval_flexible,
    lm_eval_strict,
    qwen_math,
    rewritten,
)
from verifiers.mathematics import MathVerifier
from verifiers.model import Task

OURS = "math"
GSM8K = "gsm8k"


class MathCase(NamedTuple):
    """A completion, the answer that it is judged against, and whether it should pass."""

    group: str
    suite: str
    name: str
    gold: str
    completion: str
    truth: bool | None
    """None where that is a convention."""


class MathVerdicts(NamedTuple):
    """What each grader says of a case; those that are made for another suite are left out."""

    case: MathCase
    said: dict[str, Judged]
    faults: dict[str, str]
    """Why each grader that is wrong is wrong."""

    @property
    def differ(self) -> bool:
        """Whether the graders do not all say the same."""
        return len({one.passed for one in self.said.values()}) > 1


def math_cases(data: Path, limit: int | None) -> Iterator[MathCase]:
    """The cases of the shared rows; of each group at most so many, spread over it."""
    groups: dict[str, list[MathCase]] = {}
    for case in _all_cases(data / "math"):
        groups.setdefault(case.group, []).append(case)
    for found in groups.values():
        yield from found[:: 1 if limit is None else max(1, len(found) // limit)]


def _all_cases(data: Path) -> Iterator[MathCase]:
    gsm8k, math500 = _rows(data / "gsm8k.jsonl"), _rows(data / "math500.jsonl")
    for place, row in enumerate(gsm8k):
        text, other = f"{row['solution']}\n#### {row['answer']}", gsm8k[place - 1]["answer"]
        yield MathCase("GSM8K solutions", GSM8K, row["id"], row["answer"], text, True)
        same = Fraction(other.replace(",", "")) == Fraction(row["answer"].replace(",", ""))
        yield MathCase("GSM8K solutions of others", GSM8K, row["id"], other, text, same)
    for row in _rows(data / "gsm8k_model_solutions_labelled.jsonl"):
        yield MathCase("GSM8K by a model", GSM8K, row["id"], row["gold"], row["solution"], row["is_correct"])
    for place, row in enumerate(math500):
        other = math500[place - 1]["answer"]
        yield MathCase("MATH-500 solutions", "math500", row["id"], row["answer"], row["solution"], True)
        if rewritten(other) != rewritten(row["answer"]):
            yield MathCase("MATH-500 solutions of others", "math500", row["id"], other, row["solution"], False)
    for row in _rows(data / "aime2024.jsonl"):
        yield MathCase("AIME 24 solutions", "aime24", row["id"], row["answer"], row["solution"], True)
    for row in _rows(data / "verification_cases.jsonl"):
        text = f"\\boxed{{{row['pred'].strip('$ ')}}}" if _stands_alone(row) else row["pred"]
        convention = row["kind"] == "policy"
        group = "conventions" if convention else "labelled cases"
        yield MathCase(group, "cases", row["id"], row["gold"], text, None if convention else row["expected"])


def _stands_alone(row: dict[str, Any]) -> bool:
    """Whether a prediction is an answer without a text around it, for which graders of completions want a box."""
    inner = row["pred"].strip().strip("$")
    whole = row["pred"].strip().startswith("$") and row["pred"].strip().endswith("$") and "$" not in inner
    return row["mode"] == "bare" or (whole and "boxed" not in inner)


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def math_verdicts(cases: Sequence[MathCase], workers: int) -> list[MathVerdicts]:
    """Asks every grader about every case."""
    verifier = MathVerifier(workers=workers)
    try:
        found = verifier.verify_many([(Task(answer=case.gold), case.completion) for case in cases])
        return [
            _judged(verifier, case, Judged(verdict.passed, verdict.details.get("answer")))
            for case, verdict in zip(cases, found, strict=True)
        ]
    finally:
        verifier.close()


OTHERS: dict[str, Grader] = {"Qwen2.5-Math": qwen_math}
ON_GSM8K: dict[str, Grader] = {"lm-eval strict": lm_eval_strict, "lm-eval flexible": lm_eval_flexible}


def _judged(verifier: MathVerifier, case: MathCase, ours: Judged) -> MathVerdicts:
    graders = {"math-verify": math_verify, **OTHERS, **(ON_GSM8K if case.suite == GSM8K else {})}
    said = {OURS: ours}
    said |= {name: grader(case.suite, case.gold, case.completion) for name, grader in graders.items()}
    wrong = {} if case.truth is None else {name: one for name, one in said.items() if one.passed is not case.truth}
    return MathVerdicts(case, said, {name: _why(verifier, case, name, one) for name, one in wrong.items()})


def math_verify(suite: str, gold: str, completion: str) -> Judged:
    """The library, as its own page shows it: both texts are parsed, then compared; it needs the main thread."""
    from math_verify import parse, verify

    whole = "boxed" in gold or "\\(" in gold or gold.count("$") > 1 + gold.count("\\$")
    known, found = parse(gold if whole else f"${gold}$"), parse(completion)
    return Judged(bool(verify(known, found)), str(found[-1]) if found else None)


def _why(verifier: MathVerifier, case: MathCase, grader: str, said: Judged) -> str:
    if said.passed is None:
        return "could not check"
    if said.answer is None:
        return "found no answer"
    if said.passed:
        return _why_passed(case, said.answer)
    if verifier.compare(said.answer, case.gold).equal is False:
        return "took something else for the answer"
    return "compared as text" if grader in ON_GSM8K else "did not see that they are equal"


def _why_passed(case: MathCase, answer: str) -> str:
    found, wanted = as_number(rewritten(answer)), as_number(rewritten(case.gold))
    if found is not None and wanted is not None and found != wanted:
        if math.isclose(found, wanted, rel_tol=TOLERANCE):
            return "took nearly equal for equal"
        if any(math.isclose(found * by, wanted, rel_tol=TOLERANCE) for by in (100, 0.01)):
            return "took 100 times as much for equal"
    if found is not None and found == wanted:
        return "took something else for the answer, or dropped its unit"
    return "dropped brackets" if bare(rewritten(answer), rewritten(case.gold)) else "took different for equal"
