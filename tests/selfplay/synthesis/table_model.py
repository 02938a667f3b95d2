"""EM in closed form, the reference: p(z|c) and p(x|z) as tables, posteriors exact, M-steps maximal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]


@dataclass(frozen=True)
class TableModel:
    """p(z, x | c) = p(z|c) p(x|z); that x depends on c through z alone ties the concepts together."""

    prior: Table
    """p(z|c), shape [concepts, rationales]."""
    likelihood: Table
    """p(x|z), shape [rationales, problems]."""

    def joint(self) -> Table:
        """p(z, x | c), shape [concepts, rationales, problems]."""
        found: Table = self.prior[:, :, None] * self.likelihood[None]
        return found

    def marginal(self) -> Table:
        """p(x|c), shape [concepts, problems]."""
        found: Table = self.joint().sum(axis=1)
        return found

    def posterior(self) -> Table:
        """p(z | c, x), shape [concepts, rationales, problems]."""
        found: Table = self.joint() / self.marginal()[:, None]
        return found

    def log_likelihood(self, counts: Table) -> float:
        """Sum of log p(x|c) over observed pairs; counts have shape [concepts, problems]."""
        return float((counts * np.log(self.marginal())).sum())

    def best_joint(self, counts: Table) -> float:
        """Sum over observed pairs of the greatest log p(z, x | c): what hard EM climbs."""
        return float((counts * np.log(self.joint().max(axis=1))).sum())

    def bound(self, counts: Table, q: Table) -> float:
        """Sum over observed pairs of E_q[log p(z, x | c)] + H(q)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(q > 0, q * (np.log(self.joint()) - np.log(q)), 0.0)
        return float((counts[:, None] * terms).sum())


def maximised(counts: Table, q: Table) -> TableModel:
    """The M-step: the tables that maximise E_q[log p(z, x | c)] over observed pairs, by relative frequencies."""
    weights = counts[:, None] * q
    of_concept, of_rationale = weights.sum(axis=2), weights.sum(axis=0)
    return TableModel(_rows(of_concept), _rows(of_rationale))


def hard(posterior: Table) -> Table:
    """All weight on the likeliest rationale, the lowest index among equals."""
    q: Table = np.zeros_like(posterior)
    np.put_along_axis(q, posterior.argmax(axis=1)[:, None], 1.0, axis=1)
    return q


def random_case(seed: int, concepts: int = 3, rationales: int = 4, problems: int = 5) -> tuple[TableModel, Table]:
    """A model and observed counts, all positive."""
    rng = np.random.default_rng(seed)
    model = TableModel(
        _rows(rng.random((concepts, rationales)) + 0.01), _rows(rng.random((rationales, problems)) + 0.01)
    )
    return model, rng.integers(1, 10, (concepts, problems)).astype(np.float64)


def _rows(weights: Any) -> Table:
    """Rows that add up to 1; a row of nothing becomes uniform."""
    totals = weights.sum(axis=1, keepdims=True)
    found: Table = np.where(totals > 0, weights / np.where(totals > 0, totals, 1.0), 1.0 / weights.shape[1])
    return found
