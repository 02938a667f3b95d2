"""How hard problems are for a weak solver, with what speaks against their being solvable beside it.

A problem that nobody can solve looks as hard as one that takes thought: a weak solver fails on both. So the accuracy
of a weak solver, by the answer of a strong reference, stands in a two-way table with the share of the reference's own
completions that agree with one another, with labels that contradict the reference, and with what a judge says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selfplay.config.errors import UserError
from selfplay.evaluation.evaluation_folder import FILE, EvaluationFolder
from selfplay.evaluation.measuring import MeasuredProblem
from selfplay.run.files import RunError
from selfplay.run.tables import read_rows
from verifiers.answers import AnswerReader

AGREES = 0.75
"""Share of the reference's completions from which on it agrees with itself."""
WEAK_BANDS = ("never", "less than half", "half or more", "always")
"""How often the weak solver gives the reference's answer."""


class NothingMeasured(UserError):
    """Two evaluations that have no problem in common; the message says what to measure."""


@dataclass(frozen=True, slots=True)
class SolvedProblem:
    """A problem that a weak solver and a strong reference were asked."""

    suite: str
    id: str
    problem: str
    weak: float | None
    """Share of the weak solver's completions that give the reference's answer; None where neither can be told."""
    agreement: float | None
    """Share of the reference's completions that give its commonest answer; one without an answer gives none. Of
    programs: the larger of the shares that pass and that fail the tests."""
    tokens: float
    """Mean length of the reference's completions, thinking included."""
    contradicted: bool | None
    """Whether the label says otherwise than the reference: another answer, or tests that no program of its passes;
    None where there is no label, or its answer could not be checked."""
    score: int | None = None
    """Least score of the judge; None where none was asked, or its answer cannot be read."""


def measured_table(given: str, suites: Sequence[str]) -> dict[str, Path]:
    """The tables of a model by suite.

    Args:
        given: the folder of an evaluation with one model, or `FOLDER:MODEL`.
        suites: only these; empty for all.

    Raises:
        RunError: it is no evaluation, has several models, or none of that name, or lacks a suite.
    """
    name, colon, model = (given, "", "") if Path(given).is_dir() else given.rpartition(":")
    folder = Path(name)
    if not (folder / FILE).exists():
        raise RunError(f"{given}: is no evaluation; give the folder that `selfplay evaluate` made, or FOLDER:MODEL")
    evaluation = EvaluationFolder(folder)
    known = evaluation.about
    models, there = list(known["models"]), list(known["suites"])
    if (colon and model not in models) or (not colon and len(models) != 1):
        raise RunError(f"{given}: has the models {', '.join(models)}; name one, as in {folder}:{models[0]}")
    if missing := [suite for suite in suites if suite not in there]:
        raise RunError(f"{given}: has no suite {missing[0]}; it has {', '.join(there)}")
    tables = {suite: evaluation.table(model or models[0], suite) for suite in suites or there}
    return {suite: table for suite, table in tables.items() if table.exists()}


def solved_problems(
    weak: Mapping[str, Path], strong: Mapping[str, Path], readers: Mapping[str, AnswerReader | None]
) -> list[SolvedProblem]:
    """The problems that both were asked.

    Args:
        weak: tables of the weak solver by suite.
        strong: those of the reference.
        readers: what compares answers, by suite; None where programs answer.

    Raises:
        NothingMeasured: no problem is in both.
        RecordError: a table is damaged.
    """
    found: list[SolvedProblem] = []
    for suite in strong:
        if suite in weak:
            other = {row.id: row for row in read_rows(weak[suite], MeasuredProblem)}
            pairs = ((other[row.id], row) for row in read_rows(strong[suite], MeasuredProblem) if row.id in other)
            found += (_solved(suite, first, second, readers[suite]) for first, second in pairs)
    if not found:
        raise NothingMeasured(
            f"the two evaluations share no problem ({', '.join(weak)} and {', '.join(strong)}); measure both models "
            "on the same suite"
        )
    return found


def _solved(suite: str, weak: MeasuredProblem, strong: MeasuredProblem, reader: AnswerReader | None) -> SolvedProblem:
    tokens = sum(strong.tokens) / len(strong.tokens)
    found = SolvedProblem(suite, strong.id, strong.problem, None, None, tokens, None)
    if reader is None:
        return _of_programs(found, weak.passed, strong.passed)
    votes = Counter(one for one in strong.classes if one is not None)
    if not votes:
        return replace(found, agreement=0.0)
    common = min(votes, key=lambda one: (-votes[one], one))
    reference = str(strong.answers[strong.classes.index(common)])
    same = {answer: reader.equal(answer, reference) for answer in set(weak.answers) if answer is not None}
    # Equal answers have one verdict; some may not have been checked.
    verdicts = zip(strong.classes, strong.passed, strict=True)
    known = [passed for one, passed in verdicts if one == common and passed is not None]
    return replace(
        found,
        weak=sum(answer is not None and same[answer] for answer in weak.answers) / len(weak.answers),
        agreement=votes[common] / len(strong.classes),
        contradicted=not any(known) if known else None,
    )


def _of_programs(found: SolvedProblem, weak: Iterable[bool | None], strong: Iterable[bool | None]) -> SolvedProblem:
    """By tests, which are the only reference that programs have."""
    shares = [_share(passed) for passed in (weak, strong)]
    if shares[1] is None:
        return replace(found, weak=shares[0])
    return replace(found, weak=shares[0], agreement=max(shares[1], 1 - shares[1]), contradicted=shares[1] == 0)


def _share(passed: Iterable[bool | None]) -> float | None:
    checked = [one for one in passed if one is not None]
    return sum(checked) / len(checked) if checked else None


def band_of(weak: float | None) -> str | None:
    """The band of a weak solver's accuracy."""
    if weak is None:
        return None
    return WEAK_BANDS[0 if weak == 0 else 3 if weak == 1 else 1 if weak < 0.5 else 2]


def two_way(problems: Sequence[SolvedProblem], threshold: int) -> list[dict[str, Any]]:
    """A row a band of the weak solver's accuracy, with what speaks against solvability in its columns.

    Args:
        problems: those measured; the ones whose band cannot be told come last.
        threshold: score of the judge below which a problem is ill-posed.

    Returns:
        Rows with the counts `problems`, `agrees`, `disagrees` (of the reference with itself), `labelled`,
        `contradicted`, `judged`, `ill_posed` and `doubtful` (disagrees, contradicted or ill-posed), and mean `tokens`.
    """
    rows = []
    for band in (*WEAK_BANDS, None):
        own = [one for one in problems if band_of(one.weak) == band]
        if own or band is not None:
            rows.append({"weak": band or "cannot be told", **_counts(own, threshold)})
    return rows


def _counts(own: Sequence[SolvedProblem], threshold: int) -> dict[str, Any]:
    agreements = [one.agreement for one in own if one.agreement is not None]
    return {
        "problems": len(own),
        "agrees": sum(one >= AGREES for one in agreements),
        "disagrees": sum(one < AGREES for one in agreements),
        "labelled": sum(one.contradicted is not None for one in own),
        "contradicted": sum(one.contradicted is True for one in own),
        "judged": sum(one.score is not None for one in own),
        "ill_posed": sum(_ill_posed(one, threshold) for one in own),
        "doubtful": sum(bool(doubts(one, threshold)) for one in own),
        "tokens": sum(one.tokens for one in own) / len(own) if own else None,
    }


def doubts(one: SolvedProblem, threshold: int) -> list[str]:
    """The reasons against a problem's being solvable, as people should read it."""
    found = []
    if one.agreement is not None and one.agreement < AGREES:
        found.append(f"the reference agrees with itself in {one.agreement:.0%}")
    if one.contradicted:
        found.append("its label contradicts the reference")
    if _ill_posed(one, threshold):
        found.append(f"the judge gives it {one.score}")
    return found


def _ill_posed(one: SolvedProblem, threshold: int) -> bool:
    return one.score is not None and one.score < threshold
