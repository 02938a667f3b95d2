"""Curation at volume: near duplicates by the paper's setting against datasketch, and decontamination.

`COUNT` sets how many prompts (100,000), `PEER_COUNT` how many the peer gets (10,000; ours gets the same for the ratio),
`BENCHMARK_ITEMS` the size of the benchmark (5,000). Prompts are made piece by piece and not held, as in a run; making
them is not timed. The peer is the usual way: a MinHash of 128 permutations a prompt, an LSH of 50 bands of 2 rows, and
the word-set Jaccard overlap of what it brings, one prompt after the other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import numpy as np

from benchmarks._synthetic_prompts import overlap_figures, synthetic_prompts
from benchmarks.concept_sampler import peak_mb
from selfplay.config.curation import Curation
from selfplay.curation.decontamination import NgramIndex
from selfplay.curation.duplicates import near_duplicates
from selfplay.curation.text_pass import TextPass
from selfplay.curation.words import words
from selfplay.run.records import Prompt

PIECE = 20_000


def pieces(count: int) -> Iterator[list[Prompt]]:
    """Prompts piece by piece, the same each time."""
    for start in range(0, count, PIECE):
        texts = synthetic_prompts(min(PIECE, count - start), seed=start)
        yield [
            Prompt(f"{hash_of(start + place):016x}", "math", (), "", "", text, "", "", "m", 1.0, 0)
            for place, text in enumerate(texts)
        ]


def hash_of(number: int) -> int:
    """Scatters numbers, so that ids come in no order, as in a run."""
    return (number * 0x9E3779B97F4A7C15) % 2**64


def run() -> dict[str, object]:
    """Measures and returns the figures: seconds, prompts a second, megabytes, ratios of rates (ours over the peer)."""
    count = int(os.environ.get("COUNT", "100000"))
    figures: dict[str, object] = {"prompts": count, "cores": len(os.sched_getaffinity(0))}
    figures |= {f"data_{name}": value for name, value in overlap_figures(synthetic_prompts(2000)).items()}
    figures |= _against_datasketch(int(os.environ.get("PEER_COUNT", "10000")))
    figures |= _decontamination(count, int(os.environ.get("BENCHMARK_ITEMS", "5000")))
    figures |= _duplicates(count)
    return figures


def _against_datasketch(count: int) -> dict[str, object]:
    texts = {prompt.id: prompt.problem for piece in pieces(count) for prompt in piece}
    settings = Curation()
    begun = time.perf_counter()
    ours = near_duplicates(texts, settings)
    mine = time.perf_counter() - begun
    begun = time.perf_counter()
    theirs = _datasketch(texts, settings)
    peer = time.perf_counter() - begun
    return {
        "peer_prompts": count,
        "peer_near_duplicates_s": round(peer, 2),
        "ours_near_duplicates_s": round(mine, 2),
        "near_duplicates_ratio": round(peer / mine, 1),
        # Another hash function proposes other pairs; what differs is near the threshold.
        "kept_by_both": sum(key not in ours and key not in theirs for key in texts),
        "kept_by_ours": len(texts) - len(ours),
        "kept_by_peer": len(texts) - len(theirs),
    }


def _datasketch(texts: dict[str, str], settings: Curation) -> set[str]:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=128, params=(settings.bands, settings.band_rows))
    kept: dict[str, frozenset[str]] = {}
    found = set()
    for key in sorted(texts):
        own = frozenset(words(texts[key]))
        sketch = MinHash(num_perm=128)
        sketch.update_batch([word.encode() for word in own])
        like = any(
            len(own & kept[other]) > settings.near_duplicate_jaccard * len(own | kept[other])
            for other in index.query(sketch)
        )
        if like:
            found.add(key)
        else:
            index.insert(key, sketch)
            kept[key] = own
    return found


def _decontamination(count: int, items: int) -> dict[str, object]:
    benchmark = {f"row {place}": text for place, text in enumerate(synthetic_prompts(items, seed=10**9))}
    leaks = np.random.default_rng(1)
    figures: dict[str, object] = {"benchmark_items": items}
    begun = time.perf_counter()
    index = NgramIndex({"benchmark": benchmark}, 13)
    lcs = NgramIndex({"benchmark": benchmark}, 13, (), 0.6)
    figures["index_s"] = round(time.perf_counter() - begun, 2)
    planted = found = confirmed = 0
    seconds = with_lcs = 0.0
    for piece in pieces(count):
        texts = [prompt.problem for prompt in piece]
        for place in leaks.choice(len(texts), len(texts) // 100, replace=False).tolist():
            texts[place] += " " + benchmark[f"row {int(leaks.integers(items))}"]
            planted += 1
        begun = time.perf_counter()
        found += sum(leak is not None for leak in index.find([words(text) for text in texts]))
        seconds += time.perf_counter() - begun
        begun = time.perf_counter()
        confirmed += sum(leak is not None for leak in lcs.find([words(text) for text in texts]))
        with_lcs += time.perf_counter() - begun
    return figures | {
        "planted_leaks": planted,
        "found_leaks": found,
        "found_leaks_lcs": confirmed,
        "decontamination_s": round(seconds, 1),
        "decontamination_lcs_s": round(with_lcs, 1),
        "decontamination_per_s": round(count / seconds),
    }


def _duplicates(count: int) -> dict[str, object]:
    """Length, exact and near duplicates, as a run does them; decontamination is left out."""
    all_gates = TextPass(Curation(decontamination_ngram=0), {}, [])
    seconds = 0.0
    for piece in pieces(count):
        begun = time.perf_counter()
        all_gates.take(piece)
        seconds += time.perf_counter() - begun
    begun = time.perf_counter()
    dropped = all_gates.finish()
    search = time.perf_counter() - begun
    exact = sum(reason.startswith("exact") for reason in dropped.values())
    return {
        "exact_duplicates": exact,
        "near_duplicates": sum(reason.startswith("near") for reason in dropped.values()),
        "kept": count - len(dropped),
        "reading_s": round(seconds, 1),
        "search_s": round(search, 1),
        "duplicates_s": round(seconds + search, 1),
        "duplicates_per_s": round(count / (seconds + search)),
        "peak_mb": peak_mb(),
    }
