"""Combinations a second of the concept sampler against plain renderings of the same distribution, and their memory.

`python -m benchmarks concept_sampler --concepts 100000 --passes 3`. All draw from the same bank: concepts with
frequencies by Zipf's law, in combinations of five, with 384-dimensional vectors in topics. Each arm runs in a process
of its own, whose peak memory is that of the whole process, the bank included.

ours    `ConceptSampler`: rejection from an envelope, many combinations side by side
torch   all weights of 128 combinations at a time: counts by scipy's sparse product, cosines by one matrix product,
        softmax and `multinomial`
numpy   the 1.0 algorithm as one would first write it, one combination at a time over a full matrix of co-occurrences
        (20,000 concepts take 1.6 GB, 100,000 would take 40 GB); both faults of the 1.0 code are left out

`ours_distribution_p` and `torch_distribution_p` say whether the draws of each follow the exact weights: the p-value of
a chi-squared test, which is below 0.01 in one case of a hundred where they do.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from scipy.stats import chi2

from benchmarks._child import Clock, in_child, in_turns, peak_mb
from selfplay.concepts.bank import ConceptBank, bank_of, weights_of_next
from selfplay.concepts.draws import BatchDraws
from selfplay.concepts.sampler import ConceptSampler

SIZE = 5
WIDTH = 384
AT_ONCE = 128
DRAWN = {"ours": 20_000, "torch": 1024, "numpy": 100}
STARTS, COMPARED = 4, 4096
"""Pairs of concepts of each kind after which draws are compared, and how many draws of each."""


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Measures and returns the figures: combinations a second of wall and of processor, megabytes."""
    asked = _parser().parse_args(arguments)
    combinations = asked.combinations or 2 * asked.concepts
    figures: dict[str, Any] = {
        "concepts": asked.concepts,
        "combinations": combinations,
        "cores": len(os.sched_getaffinity(0)),
        "passes": asked.passes,
    }
    for temperature in asked.temperatures:
        what = (asked.concepts, combinations, temperature)
        found = in_turns(asked.arms, asked.passes, lambda arm, what=what: in_child(__name__, arm, *what))
        figures[f"T{temperature:g}"] = found | in_child(__name__, "same_distribution", *what)
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks concept_sampler", description=__doc__)
    parser.add_argument("--concepts", type=int, default=20_000)
    parser.add_argument("--combinations", type=int, help="that the bank is made of; default twice the concepts")
    parser.add_argument("--temperatures", type=float, nargs="*", default=[1.0, 0.2])
    parser.add_argument("--passes", type=int, default=3, help="of which the median is taken")
    parser.add_argument("--arms", nargs="*", default=["ours", "torch"], choices=list(DRAWN))
    return parser


def make_bank(concepts: int, combinations: int, exponent: float = 0.9, seed: int = 0) -> ConceptBank:
    """A bank of random combinations; a concept's frequency falls with its rank to the power of `exponent`."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, concepts + 1) ** exponent
    cumulative = np.cumsum(weights)
    drawn = np.searchsorted(cumulative, rng.random((combinations, SIZE)) * cumulative[-1])
    names = [f"concept {number}" for number in range(concepts)]
    centres = rng.normal(size=(100, WIDTH))
    vectors = centres[rng.integers(0, 100, concepts)] + 1.5 * rng.normal(size=(concepts, WIDTH))
    rows = vectors.astype(np.float32)
    by_name = dict(zip(names, rows, strict=True))
    combined = [tuple(names[place] for place in dict.fromkeys(row)) for row in drawn.tolist()]
    return bank_of(combined, dict.fromkeys(names, 1.0), lambda wanted: {name: by_name[name] for name in wanted})


class TorchSampler:
    """All weights of a batch of combinations, in the plainest way that is batched."""

    def __init__(self, bank: ConceptBank, temperature: float) -> None:
        import torch

        self._bank, self._temperature, self._torch = bank, temperature, torch
        self._unit = torch.from_numpy(bank.vectors.unit)
        self._first = torch.from_numpy(bank.frequency)
        self._chance = torch.Generator().manual_seed(0)

    def sample_many(self, count: int) -> int:
        """How many different combinations came of so many."""
        found = set()
        for start in range(0, count, AT_ONCE):
            chosen = self._torch.multinomial(self._first, min(AT_ONCE, count - start), True, generator=self._chance)
            chosen = chosen[:, None]
            for _ in range(SIZE - 1):
                chosen = self._torch.cat([chosen, self.next(chosen)], dim=1)
            found |= {tuple(row) for row in chosen.sort(dim=1).values.tolist()}
        return len(found)

    def next(self, chosen: Any) -> Any:
        """One more concept for each row of `chosen`, shape [samples, 1]."""
        torch = self._torch
        samples, m = chosen.shape
        ones = np.ones(samples * m, dtype=np.int32)
        has = sparse.csr_array(
            (ones, chosen.numpy().ravel(), np.arange(0, samples * m + 1, m)), shape=(samples, len(self._bank))
        )
        counts = (has @ self._bank.together).tocoo()
        score = torch.nn.functional.normalize(self._unit[chosen].sum(dim=1), dim=1) @ self._unit.T
        place = torch.from_numpy(counts.row.astype(np.int64) * len(self._bank) + counts.col)
        score.view(-1).index_add_(0, place, torch.from_numpy(counts.data).float())
        score = (score / self._temperature).scatter_(1, chosen, -torch.inf)
        return torch.multinomial(torch.softmax(score, dim=1), 1, generator=self._chance)


class PlainSampler:
    """The 1.0 algorithm as one would first write it in numpy."""

    def __init__(self, bank: ConceptBank, temperature: float) -> None:
        self._chances = bank.frequency / bank.frequency.sum()
        self._together = bank.together.toarray().astype(np.float32)
        self._unit = bank.vectors.unit
        self._temperature = temperature
        self._rng = np.random.default_rng(0)

    def sample_many(self, count: int) -> int:
        """How many different combinations came of so many."""
        return len({self._one() for _ in range(count)})

    def _one(self) -> tuple[int, ...]:
        chosen = [int(self._rng.choice(len(self._chances), p=self._chances))]
        while len(chosen) < SIZE:
            mean = self._unit[chosen].mean(axis=0)
            similarity = self._unit @ mean / np.linalg.norm(mean)
            score = (self._together[chosen].sum(axis=0) + similarity).astype(np.float64) / self._temperature
            score[chosen] = -np.inf
            weights = np.exp(score - score.max())
            chosen.append(int(self._rng.choice(len(weights), p=weights / weights.sum())))
        return tuple(sorted(chosen))


def measured(arm: str, bank: ConceptBank, temperature: float) -> dict[str, Any]:
    """One arm in this process; what is made once is not timed, and neither are the first draws."""
    sample_many: Callable[[int], object]
    if arm == "ours":
        sampler = ConceptSampler(bank, temperature)
        rng = random.Random(0)

        def sample_many(count: int) -> object:
            return sampler.sample_many(rng, SIZE, count)
    else:
        sample_many = {"torch": TorchSampler, "numpy": PlainSampler}[arm](bank, temperature).sample_many
    sample_many(DRAWN[arm] // 8)
    clock = Clock()
    with clock:
        sample_many(DRAWN[arm])
    return {
        "per_wall_s": float(f"{DRAWN[arm] / clock.wall:.3g}"),
        "per_cpu_s": float(f"{DRAWN[arm] / clock.cpu:.3g}"),
        "peak_mb": peak_mb(),
    }


def same_distribution(bank: ConceptBank, temperature: float) -> dict[str, Any]:
    """Chi-squared tests of each way of drawing against the exact weights, after a few pairs of concepts.

    Concepts are taken together, by falling weight, into classes of about a fiftieth of all weight each.
    """
    import torch

    draws, plain = BatchDraws(bank, temperature), TorchSampler(bank, temperature)
    rng = np.random.default_rng(1)
    statistics, freedom = {"ours": 0.0, "torch": 0.0}, 0
    # Frequent ones, which occur with many others, and any, which hardly do.
    for start in [*draws.combinations(rng, STARTS, 2), *rng.integers(0, len(bank), size=(STARTS, 2))]:
        weights = weights_of_next(bank, start[None], temperature)[0]
        order = np.argsort(-weights)
        before = np.cumsum(weights[order]) - weights[order]
        number = np.empty(len(bank), dtype=np.int64)
        number[order] = np.minimum(np.floor(50 * before / weights.sum()), 49)
        expected = np.bincount(number, weights) / weights.sum() * COMPARED
        enough = expected >= 5
        rows = torch.from_numpy(np.tile(start, (AT_ONCE, 1)))
        found = {
            "ours": draws.next(np.tile(start, (COMPARED, 1)), rng),
            "torch": np.concatenate([plain.next(rows).numpy()[:, 0] for _ in range(COMPARED // AT_ONCE)]),
        }
        for arm, concepts in found.items():
            counts = np.bincount(number[concepts], minlength=len(expected))[enough]
            statistics[arm] += float(((counts - expected[enough]) ** 2 / expected[enough]).sum())
        freedom += int(enough.sum()) - 1
    return {f"{arm}_distribution_p": float(chi2.sf(value, freedom)) for arm, value in statistics.items()}


def main(arm: str, concepts: int, combinations: int, temperature: float) -> dict[str, Any]:
    """One part, in this process."""
    bank = make_bank(concepts, combinations)
    return same_distribution(bank, temperature) if arm == "same_distribution" else measured(arm, bank, temperature)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))))
