"""Curation at volume: near duplicates against an index of rensa and one of datasketch, and decontamination.

`python -m benchmarks curation_speed --prompts 100000 --passes 3`. Prompts are made piece by piece and not held, as in a
run; making them is not timed. Each arm runs in a process of its own, whose peak memory is that of the whole process.

ours        as a run does it: all text gates in a stream, then `find_near_duplicates`
rensa       the library as it is: an LSH index, asked for each prompt and given what is kept; exact overlaps of sets
datasketch  the same with another library
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._child import Clock, in_child, in_turns, peak_mb
from benchmarks._synthetic_prompts import overlap_figures, synthetic_prompts
from selfplay.config.curation import Curation
from selfplay.curation.alike_pairs import MINHASH_SEED
from selfplay.curation.decontamination import LeakIndex
from selfplay.curation.text_pass import TextPass
from selfplay.curation.words import words
from selfplay.run.records import Prompt

PIECE = 20_000
SETTINGS = {
    "harsh": Curation(decontamination_ngram=0, min_words=0, near_duplicate_jaccard=0.2, bands=50, band_rows=2),
    "default": Curation(decontamination_ngram=0, min_words=0),
    "mild": Curation(decontamination_ngram=0, min_words=0, near_duplicate_jaccard=0.7, bands=20, band_rows=5),
}
"""Of the near duplicates: one that keeps few, a run's own, and one that keeps nearly all."""


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Measures and returns the figures: seconds of wall and processor, megabytes, what is kept."""
    asked = _parser().parse_args(arguments)
    figures: dict[str, Any] = {"prompts": asked.prompts, "cores": len(os.sched_getaffinity(0)), "passes": asked.passes}
    figures["data"] = overlap_figures(synthetic_prompts(2000))

    def measured(arm: str, option: object) -> dict[str, Any]:
        found = in_child(__name__, arm, asked.prompts, option)
        # As it ends, since one long arm must not lose the others.
        line = json.dumps({"arm": arm, "option": option, "prompts": asked.prompts} | found)
        print(line, file=sys.stderr, flush=True)
        if asked.lines is not None:
            with asked.lines.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        return found

    figures["near_duplicates"] = {
        name: in_turns(asked.arms, asked.passes, lambda arm, name=name: measured(arm, name)) for name in asked.settings
    }
    if asked.benchmark_items:
        figures |= in_turns(["decontamination"], asked.passes, lambda arm: measured(arm, asked.benchmark_items))
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks curation_speed", description=__doc__)
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--passes", type=int, default=3, help="of which the median is taken")
    parser.add_argument("--arms", nargs="*", default=["ours", "rensa"], choices=["ours", "rensa", "datasketch"])
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--benchmark-items", type=int, default=5000, help="problems of the benchmark; 0: no such part")
    parser.add_argument("--lines", type=Path, help="file to which each arm of each pass is added as it ends")
    return parser


def pieces(count: int) -> Iterator[list[Prompt]]:
    """Prompts piece by piece, the same each time."""
    for start in range(0, count, PIECE):
        texts = synthetic_prompts(min(PIECE, count - start), seed=start)
        yield [
            Prompt(f"{_scattered(start + place):016x}", "math", (), "", "", text, "", "", "m", 1.0, 0)
            for place, text in enumerate(texts)
        ]


def _scattered(number: int) -> int:
    """Ids that come in no order, as in a run."""
    return (number * 0x9E3779B97F4A7C15) % 2**64


def ours(count: int, settings: Curation, clock: Clock) -> set[str]:
    """The ids of all duplicates as a run finds them."""
    gates = TextPass(settings, None, [])
    for piece in pieces(count):
        with clock:
            gates.take(piece)
    with clock:
        return set(gates.finish())


def rensa(count: int, settings: Curation, clock: Clock) -> set[str]:
    """The same by rensa's index, one prompt after the other."""
    from rensa import RMinHash, RMinHashLSH

    permutations = settings.bands * settings.band_rows
    index = RMinHashLSH(settings.near_duplicate_jaccard, permutations, settings.bands)

    def sketched(own: frozenset[str]) -> Any:
        sketch = RMinHash(permutations, MINHASH_SEED)
        sketch.update(list(own))
        return sketch

    return _one_by_one(count, settings, clock, sketched, index.query, index.insert)


def datasketch(count: int, settings: Curation, clock: Clock) -> set[str]:
    """The same by datasketch's index; its hash functions are others, and so are some candidates near the threshold."""
    from datasketch import MinHash, MinHashLSH

    permutations = settings.bands * settings.band_rows
    index = MinHashLSH(num_perm=permutations, params=(settings.bands, settings.band_rows))

    def sketched(own: frozenset[str]) -> Any:
        sketch = MinHash(num_perm=permutations)
        sketch.update_batch([word.encode() for word in own])
        return sketch

    return _one_by_one(count, settings, clock, sketched, index.query, index.insert)


def _one_by_one(
    count: int,
    settings: Curation,
    clock: Clock,
    sketched: Callable[[frozenset[str]], Any],
    query: Callable[[Any], Iterable[int]],
    insert: Callable[[int, Any], None],
) -> set[str]:
    texts: dict[str, str] = {}
    for piece in pieces(count):
        with clock:
            texts |= {prompt.id: " ".join(words(prompt.problem)) for prompt in piece}
    found, kept, exact = set(), dict[int, frozenset[str]](), set[str]()
    with clock:
        for place, identifier in enumerate(sorted(texts)):
            text = texts[identifier]
            if text in exact:
                found.add(identifier)
                continue
            exact.add(text)
            own = frozenset(text.split(" "))
            sketch = sketched(own)
            if any(_alike(own, kept[other], settings.near_duplicate_jaccard) for other in query(sketch)):
                found.add(identifier)
            else:
                insert(place, sketch)
                kept[place] = own
    return found


def _alike(first: frozenset[str], second: frozenset[str], threshold: float) -> bool:
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared) > threshold


def decontamination(count: int, items: int) -> dict[str, Any]:
    """Prompts against a benchmark, one in a hundred of which holds one of its problems."""
    benchmark = {f"row {place}": text for place, text in enumerate(synthetic_prompts(items, seed=10**9))}
    leaks = np.random.default_rng(1)
    building, finding = Clock(), Clock()
    with building:
        index = LeakIndex({"benchmark": benchmark}, Curation())
    planted = found = 0
    for piece in pieces(count):
        texts = [prompt.problem for prompt in piece]
        for place in leaks.choice(len(texts), len(texts) // 100, replace=False).tolist():
            texts[place] += " " + benchmark[f"row {int(leaks.integers(items))}"]
            planted += 1
        with finding:
            found += sum(index.find(text) is not None for text in texts)
    return {
        "benchmark_items": items,
        "planted_leaks": planted,
        "found_leaks": found,
        "index_cpu_s": round(building.cpu, 2),
        "wall_s": round(finding.wall, 1),
        "cpu_s": round(finding.cpu, 1),
        "peak_mb": peak_mb(),
    }


def main(arm: str, count: int, option: str) -> dict[str, Any]:
    """One arm, in this process."""
    if arm == "decontamination":
        return decontamination(count, int(option))
    clock = Clock()
    found = {"ours": ours, "rensa": rensa, "datasketch": datasketch}[arm](count, SETTINGS[option], clock)
    return {
        "dropped": len(found),
        "dropped_digest": hashlib.sha256("".join(sorted(found)).encode()).hexdigest()[:16],
        "wall_s": round(clock.wall, 1),
        "cpu_s": round(clock.cpu, 1),
        "peak_mb": peak_mb(),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
