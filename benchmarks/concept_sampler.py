"""Combinations a second of the concept sampler against a plain rendering of the 1.0 algorithm, and its peak memory.

The plain one keeps a full matrix of co-occurrences and, for each next concept, computes all affinities and a softmax
over all concepts; both faults of the 1.0 code are left out, and lengths of vectors are computed once, in its favour.
Both draw from the same bank: concepts with frequencies by Zipf's law, in combinations of five, with 384-dimensional
vectors in topics. `CONCEPTS` sets the size (20,000), `MEMORY_CONCEPTS` that of the memory test (100,000).
"""

from __future__ import annotations

import functools
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from selfplay.concepts.bank import ConceptBank, bank_of
from selfplay.concepts.sampler import ConceptSampler

SIZE = 5
WIDTH = 384
PASSES = 5
DRAWN, PLAIN_DRAWN = 4000, 20


def make_bank(concepts: int, combinations: int, exponent: float, seed: int = 0) -> ConceptBank:
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


class PlainSampler:
    """The 1.0 algorithm as one would first write it in numpy."""

    def __init__(self, bank: ConceptBank, temperature: float, vectors: np.ndarray) -> None:
        self.chances = bank.frequency / bank.frequency.sum()
        self.together = bank.together.toarray().astype(np.float32)
        self.vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        self.temperature = temperature
        self.seen: set[tuple[int, ...]] = set()

    def sample(self, rng: np.random.Generator) -> tuple[int, ...]:
        """One combination that did not come before."""
        while True:
            chosen = [int(rng.choice(len(self.chances), p=self.chances))]
            while len(chosen) < SIZE:
                mean = self.vectors[chosen].mean(axis=0)
                similarity = self.vectors @ mean / np.linalg.norm(mean)
                score = (self.together[chosen].sum(axis=0) + similarity).astype(np.float64) / self.temperature
                score[chosen] = -np.inf
                weights = np.exp(score - score.max())
                chosen.append(int(rng.choice(len(weights), p=weights / weights.sum())))
            combination = tuple(sorted(chosen))
            if combination not in self.seen:
                self.seen.add(combination)
                return combination


def run() -> dict[str, object]:
    """Measures and returns the figures: combinations a second, ratios (ours over plain), megabytes."""
    concepts = int(os.environ.get("CONCEPTS", "20000"))
    figures: dict[str, object] = {"concepts": concepts, "cores": len(os.sched_getaffinity(0))}
    for name, exponent in (("zipf_0.9", 0.9), ("zipf_0.6", 0.6)):
        bank = make_bank(concepts, 2 * concepts, exponent)
        figures[f"{name}_co_occurrences"] = bank.together.nnz
        for temperature in (1.0, 0.2):
            figures |= _compare(bank, temperature, f"{name}_T{temperature}")
    large = int(os.environ.get("MEMORY_CONCEPTS", "100000"))
    for combinations in (large, 4 * large):
        text = subprocess.run(
            [sys.executable, "-m", "benchmarks.concept_sampler", str(large), str(combinations)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        figures[f"memory_{large}_concepts_{combinations}_combinations"] = json.loads(text)
    return figures


def _compare(bank: ConceptBank, temperature: float, name: str) -> dict[str, object]:
    plain = PlainSampler(bank, temperature, bank.vectors.unit)
    begun = time.perf_counter()
    ConceptSampler(bank, temperature)
    set_up = time.perf_counter() - begun
    rng = np.random.default_rng(0)
    plain.sample(rng)

    def ours(number: int) -> int:
        # A new one each time: the more it has drawn, the more often what it draws is not new, as with the plain one.
        return len(ConceptSampler(bank, temperature).sample_many(random.Random(number), SIZE, DRAWN))

    ours(PASSES)
    wall: dict[str, list[float]] = {"plain": [], "ours": []}
    cpu: dict[str, list[float]] = {"plain": [], "ours": []}
    # In turns, so that whatever else the machine does meets both.
    for number in range(PASSES):
        for who, count, work in (
            ("plain", PLAIN_DRAWN, lambda: [plain.sample(rng) for _ in range(PLAIN_DRAWN)]),
            ("ours", DRAWN, functools.partial(ours, number)),
        ):
            seconds, busy = _seconds(work)
            wall[who].append(count / seconds)
            cpu[who].append(count / busy)
    mine, theirs = statistics.median(wall["ours"]), statistics.median(wall["plain"])
    return {
        f"{name}_per_s": round(mine),
        f"{name}_plain_per_s": round(theirs, 1),
        f"{name}_ratio": round(mine / theirs, 1),
        f"{name}_ratio_cpu": round(statistics.median(cpu["ours"]) / statistics.median(cpu["plain"]), 1),
        f"{name}_set_up_s": round(set_up, 3),
    }


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds and processor seconds of some work."""
    begun, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - busy


def memory(concepts: int, combinations: int) -> dict[str, object]:
    """Builds a bank and draws from it; peak memory of the whole process, interpreter and made-up data included."""
    bank = make_bank(concepts, combinations, 0.9)
    sampler = ConceptSampler(bank, 1.0)
    begun = time.perf_counter()
    drawn = sampler.sample_many(random.Random(0), SIZE, 100_000)
    seconds = time.perf_counter() - begun
    return {
        "co_occurrences": bank.together.nnz,
        "drawn": len(drawn),
        "per_s": round(len(drawn) / seconds),
        "peak_mb": peak_mb(),
    }


def peak_mb() -> int:
    """Most memory that this process has held, in megabytes; `getrusage` would count what its parent held."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) // 1024


if __name__ == "__main__":
    print(json.dumps(memory(int(sys.argv[1]), int(sys.argv[2]))))
