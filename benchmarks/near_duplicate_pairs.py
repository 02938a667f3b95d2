"""Which words and which overlap tell near duplicates from other problems: precision and recall on labelled pairs.

`python -m benchmarks near_duplicate_pairs --data FOLDER`, where FOLDER has `math/gsm8k.jsonl`, `math/math500.jsonl` and
`math/aime2024.jsonl`, which are no part of this tree. Pairs are labelled by construction: a problem and a variant of it
are duplicates; two problems are none. The few that the sets' authors wrote in two versions count as false here.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from selfplay.curation.near_duplicates import find_near_duplicates
from selfplay.curation.words import WordSetBuilder, WordSets, long_words, without_common, words
from verifiers.untrusted.files import json_rows

SETS = ("math/gsm8k.jsonl", "math/math500.jsonl", "math/aime2024.jsonl")
THRESHOLDS = (0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8)
BUCKETS = 50, 2
"""The paper's bands and rows, which bring pairs of the lowest of the overlaps to comparison, too."""
NAMES = ("Anna", "Bobby", "Carlos", "Dmitri", "Elena", "Farid")
SENTENCES = (
    "Explain each step of your reasoning.",
    "Give your answer as a whole number.",
    "Round to the nearest integer if needed.",
)
WORDS: dict[str, tuple[Callable[[list[str]], list[str]], Callable[[WordSets], WordSets]]] = {
    "all": (lambda tokens: tokens, lambda sets: sets),
    "long": (long_words, without_common),
}
Variant = Callable[[str, random.Random], str]


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.?!])\s+", text)


def _numbers(text: str, rng: random.Random) -> str:
    return re.sub(r"\d+", lambda found: str(rng.randint(2, 10 ** len(found.group()))), text)


def _names(text: str, rng: random.Random) -> str:
    known = {name: rng.choice(NAMES) for name in sorted(set(re.findall(r"(?<=[a-z,] )[A-Z][a-z]{2,}", text)))}
    return re.sub(r"\b[A-Z][a-z]{2,}\b", lambda found: known.get(found.group(), found.group()), text)


def _shuffled(text: str, rng: random.Random) -> str:
    parts = _sentences(text)
    return " ".join(rng.sample(parts, len(parts)))


def _shortened(text: str, rng: random.Random) -> str:
    parts = _sentences(text)
    gone = rng.randrange(len(parts)) if len(parts) > 1 else None
    return " ".join(part for place, part in enumerate(parts) if place != gone)


def variants(texts: Sequence[str]) -> dict[str, Variant]:
    """The ways in which a problem is written again; a replaced word is one of the sets'."""
    known = [word for text in texts for word in text.split()]

    def replaced(share: float) -> Variant:
        return lambda text, rng: " ".join(rng.choice(known) if rng.random() < share else w for w in text.split())

    return {
        "other numbers": _numbers,
        "other names": _names,
        "a sentence added": lambda text, rng: f"{text} {rng.choice(SENTENCES)}",
        "a sentence left out": _shortened,
        "sentences shuffled": _shuffled,
        "a word in ten replaced": replaced(0.1),
        "a word in four replaced": replaced(0.25),
    }


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Measures and returns the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks near_duplicate_pairs", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with math/")
    asked = parser.parse_args(arguments)
    texts = [str(row["problem"]) for name in SETS for _, row in json_rows(asked.data / name)]
    rows = [row for which in WORDS for row in _rows(which, texts)]
    return {"problems": len(texts), "pairs_of_others": len(texts) * (len(texts) - 1) // 2, "rows": rows}


def _rows(which: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    kinds = variants(texts)
    again = [[make(text, random.Random(n)) for n, text in enumerate(texts)] for make in kinds.values()]
    sets = _sets(which, texts)
    overlaps = _overlaps(_table(sets), _table(sets))
    others = overlaps[np.triu_indices(len(texts), 1)]
    pairs = [_pair_overlaps(which, texts, written) for written in again]
    found = []
    for threshold in THRESHOLDS:
        recalls = {kind: float((own > threshold).mean()) for kind, own in zip(kinds, pairs, strict=True)}
        recall = float(np.mean(list(recalls.values())))
        false = int((others > threshold).sum())
        # One variant of each problem, the kinds in turn.
        precision = recall * len(texts) / (recall * len(texts) + false)
        found.append(
            {
                "words": which,
                "jaccard": threshold,
                "kept": _kept(sets, threshold),
                "false_pairs": false,
                "precision": round(precision, 3),
                "recall": round(recall, 3),
                "f1": round(2 * precision * recall / (precision + recall), 3),
                "recall_of": {kind: round(value, 3) for kind, value in recalls.items()},
            }
        )
    return found


def _sets(which: str, texts: Sequence[str]) -> WordSets:
    builder = WordSetBuilder()
    chosen, last = WORDS[which]
    for text in texts:
        builder.add(chosen(words(text)))
    return last(builder.build())


def _table(sets: WordSets) -> Any:
    ones = np.ones(len(sets.words), dtype=np.int32)
    return sparse.csr_array((ones, sets.words, sets.starts), shape=(len(sets), len(sets.hashes)))


def _overlaps(first: Any, second: Any) -> Any:
    shared = (first @ second.T).toarray().astype(float)
    sizes = first.sum(axis=1)[:, None] + second.sum(axis=1)[None]
    return shared / np.maximum(sizes - shared, 1)


def _pair_overlaps(which: str, texts: Sequence[str], written: Sequence[str]) -> Any:
    """The overlap of each problem with its variant."""
    table = _table(_sets(which, [*texts, *written]))
    shared = table[: len(texts)].multiply(table[len(texts) :]).sum(axis=1)
    sizes = table.sum(axis=1)
    return shared / np.maximum(sizes[: len(texts)] + sizes[len(texts) :] - shared, 1)


def _kept(sets: WordSets, threshold: float) -> int:
    """How many of the problems the gate keeps, one after the other."""
    order = np.arange(len(sets), dtype=np.int64)
    return int((find_near_duplicates(sets, order, threshold, *BUCKETS) < 0).sum())
