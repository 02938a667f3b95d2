"""How often `math` passes an answer that is wrong for certain: gold answers with one thing changed (`_math_mutants`).

Gold answers are those of the files given by --golds (JSON lines with `gold` or `answer`, or folders of such), of the
folder that SELFPLAY_SHARED_DATA names, of the seeds that come with this project, and of the pairs that `math_agreement`
makes. `python -m benchmarks math_false_passes --help` names the arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks._math_mutants import mutants
from benchmarks.math_agreement import NOTATIONS
from verifiers.conformance.report import wilson_interval
from verifiers.mathematics import MathVerifier
from verifiers.model import Task

SHIPPED = Path(__file__).resolve().parents[1] / "configs" / "seeds"
SHARED = Path(os.environ.get("SELFPLAY_SHARED_DATA", "/nonexistent")) / "math"
_LONGEST = 100
_BATCH = 5000
_MADE = 12

Mutant = tuple[str, str, str]
"""Kind of change, gold answer, completion."""


def golds(paths: Iterable[Path], made: int = _MADE, seed: int = 0) -> list[str]:
    """Returns the gold answers of files and folders and `made` of each notation, each once, in a fixed order."""
    found: dict[str, None] = {}
    for path in paths:
        for file in sorted(path.glob("**/*.jsonl")) if path.is_dir() else [path]:
            for line in file.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                found |= dict.fromkeys(_bare(str(row.get("gold") or row.get("answer") or "")))
    for name, make in NOTATIONS.items():
        rng = random.Random(f"{seed}/{name}")
        found |= dict.fromkeys(make(rng)[0] for _ in range(made))
    hours = [(hour, half) for hour in range(1, 13) for half in ("a.m.", "PM")]
    return [*found, *(rf"{hour}:{hour + 31}\text{{ {half}}}" for hour, half in hours), *"ABCDE"]


def _bare(gold: str) -> Iterator[str]:
    """The answer without dollar signs or a box around it; texts that only hold an answer are left out."""
    gold = gold.strip().strip("$").strip()
    boxed = re.fullmatch(r"\\boxed\{([^{}]*)\}", gold)
    gold = boxed[1].strip() if boxed else gold
    if gold and len(gold) <= _LONGEST and "boxed" not in gold and not re.search(r"[A-Za-z]{3,} [a-z]{2,} [a-z]", gold):
        yield gold


def made_mutants(answers: Sequence[str], limit: int, seed: int) -> list[Mutant]:
    """Returns at most `limit` mutants, drawn evenly from all that the answers have."""
    found = [
        (name, gold, completion)
        for gold in answers
        for name, completion in mutants(gold, random.Random(f"{seed}/{gold}"))
    ]
    random.Random(seed).shuffle(found)
    return found[:limit]


def passes(items: Sequence[Mutant], workers: int = 2) -> tuple[list[Mutant], Counter[str]]:
    """Returns the mutants that passed, and how many verdicts there were of each status."""
    verifier = MathVerifier(workers=workers)
    passed: list[Mutant] = []
    statuses: Counter[str] = Counter()
    for begun in range(0, len(items), _BATCH):
        batch = items[begun : begun + _BATCH]
        verdicts = verifier.verify_many([(Task(answer=gold), completion) for _, gold, completion in batch])
        statuses.update(verdict.status for verdict in verdicts)
        passed += [item for item, verdict in zip(batch, verdicts, strict=True) if verdict.passed]
    verifier.close()
    return passed, statuses


def run(arguments: Sequence[str] = ()) -> dict[str, object]:
    """Makes mutants, judges them, and returns the rate of false passes with its 95% Wilson interval."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks math_false_passes")
    parser.add_argument(
        "--golds", type=Path, action="append", default=[], help="a file or folder of JSON lines; repeat"
    )
    parser.add_argument("--limit", type=int, default=120_000, help="mutants at most")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    answers = golds([SHIPPED, *given.golds, *([SHARED] if SHARED.is_dir() else [])], seed=given.seed)
    items = made_mutants(answers, given.limit, given.seed)
    passed, statuses = passes(items)
    low, high = wilson_interval(len(passed), len(items))
    tried, fooled = Counter(name for name, *_ in items), Counter(name for name, *_ in passed)
    return {
        "golds": len(answers),
        "mutants": len(items),
        "false_passes": len(passed),
        "rate": len(passed) / len(items),
        "rate_low": low,
        "rate_high": high,
        "statuses": dict(statuses),
        "by_kind": {name: {"mutants": tried[name], "false_passes": fooled[name]} for name in tried},
        "passed": [list(item) for item in passed[:200]],
    }
