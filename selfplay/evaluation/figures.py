"""The figures of a model on a suite, from its table: accuracies with intervals, cut and unchecked shares, tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selfplay.evaluation.measuring import MeasuredProblem
from selfplay.evaluation.metrics import Estimate, avg_at_k, estimate, maj_at_k, pass_at_k, stratified_estimate
from selfplay.run.seeding import derive
from selfplay.run.tables import read_plain

Row = dict[str, Any]
"""`suite`, `metric`, `value`, `low`, `high`, `n`."""
ALL = "all suites"
"""Stands for the suite where figures are means over all of them."""
COLUMNS = ("id", "passed", "classes", "cut", "tokens", "prompt_tokens", "seconds")


@dataclass(frozen=True, slots=True)
class SuiteOutcome:
    """The outcome of a model on a suite: for each metric a value for each problem."""

    samples: int
    values: dict[str, dict[str, float | None]]

    @property
    def headline(self) -> dict[str, float | None]:
        """The value a problem by which models are compared: the share of its completions that passed."""
        return self.values[f"avg@{self.samples}"]


def outcome_of(table: Path) -> SuiteOutcome:
    """Reads the outcome of a table, of whose texts nothing is read.

    Raises:
        RecordError: it is damaged.
    """
    rows = list(read_plain(table, MeasuredProblem, COLUMNS))
    samples = max(len(row["passed"]) for row in rows)
    voted = samples > 1 and any(one is not None for row in rows for one in row["classes"])
    values: dict[str, dict[str, float | None]] = {f"avg@{samples}": {}}
    for row in rows:
        for metric, value in _of_problem(row, samples, voted):
            values.setdefault(metric, {})[row["id"]] = value
    return SuiteOutcome(samples, values)


def _of_problem(row: Mapping[str, Any], samples: int, voted: bool) -> Iterator[tuple[str, float | None]]:
    passed, count = row["passed"], len(row["passed"])
    yield f"avg@{samples}", avg_at_k(passed)
    for k in _ks(samples):
        yield f"pass@{k}", pass_at_k(passed, k)
    if voted:
        yield f"maj@{samples}", maj_at_k(row["classes"], passed)
    yield "cut share", sum(row["cut"]) / count
    yield "not checked", sum(one is None for one in passed) / count
    yield "tokens", sum(row["tokens"]) / count
    yield "prompt tokens", sum(row["prompt_tokens"]) / count
    yield "seconds of judging", sum(row["seconds"])


def _ks(samples: int) -> list[int]:
    """Powers of 2 from 2 on, and the number of samples."""
    powers = [2**power for power in range(1, samples.bit_length()) if 2**power < samples]
    return [*powers, *([samples] if samples > 1 else [])]


def suite_rows(suite: str, outcome: SuiteOutcome, resamples: int, seed: int) -> list[Row]:
    """The figures of one suite."""
    return [
        _row(suite, metric, estimate(list(values.values()), resamples, derive(seed, "bootstrap", suite)))
        for metric, values in outcome.values.items()
    ]


def overall_rows(outcomes: Mapping[str, SuiteOutcome], resamples: int, seed: int) -> list[Row]:
    """The mean over suites of avg@k, where there are several."""
    if len(outcomes) < 2:
        return []
    strata: Sequence[Sequence[float | None]] = [list(one.headline.values()) for one in outcomes.values()]
    counts = {one.samples for one in outcomes.values()}
    metric = f"avg@{counts.pop()}" if len(counts) == 1 else "avg@k"
    return [_row(ALL, metric, stratified_estimate(strata, resamples, derive(seed, "bootstrap", ALL)))]


def _row(suite: str, metric: str, found: Estimate) -> Row:
    return {"suite": suite, "metric": metric} | asdict(found)
