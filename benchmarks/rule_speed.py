"""How fast rules on texts judge where their work can be killed, beside the same rules in the caller's own process.

Ten thousand short completions, all different, in one call, as labelling and rollouts have them, and one at a time. The
caller's processor time is what others of its threads, such as a trainer's or an event loop's, have less of. Rounds of
both kinds alternate.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any

from verifiers.model import Task, Verifier
from verifiers.registry import load, make

ITEMS, SINGLES, ROUNDS = 10_000, 500, 5
_RULES: Mapping[str, tuple[Mapping[str, Any], str | None]] = {
    "choice": ({}, "B"),
    "exact": ({}, "(B)"),
    "regex": ({}, r"\(B\)"),
    "format": ({}, None),
    "length": ({}, None),
}


def _completion(number: int) -> str:
    thinking = f"<think>We add {number} and {number + 1}, so that the sum is odd.</think>"
    return f"{thinking}\nThe sum is taken over all terms. The answer is \\boxed{{({'ABCD'[number % 4]})}}."


def _measured(verifier: Verifier, answer: str | None) -> tuple[float, float, float]:
    """Items a second together and one at a time, and microseconds of the caller's processor an item together."""
    items = [(Task(answer=answer), _completion(number)) for number in range(ITEMS)]
    begun, used = time.perf_counter(), time.process_time()
    verifier.verify_many(items)
    together, cpu = time.perf_counter() - begun, time.process_time() - used
    begun = time.perf_counter()
    for task, completion in items[:SINGLES]:
        verifier.verify(task, completion)
    return ITEMS / together, SINGLES / (time.perf_counter() - begun), 1e6 * cpu / ITEMS


def run() -> dict[str, object]:
    """Measures and returns medians over rounds, by rule and by where it judges."""
    results: dict[str, object] = {"items": ITEMS, "rounds": ROUNDS}
    for name, (params, answer) in _RULES.items():
        verifiers = {"here": make(name, params), "in_workers": load(name, params)}
        found: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in verifiers}
        for verifier in verifiers.values():
            verifier.verify_many([(Task(answer=answer), _completion(number)) for number in range(ITEMS // 10)])
        for _ in range(ROUNDS):
            for kind, verifier in verifiers.items():
                found[kind].append(_measured(verifier, answer))
        for kind, verifier in verifiers.items():
            verifier.close()
            together, singles, cpu = (statistics.median(values) for values in zip(*found[kind], strict=True))
            results[f"{name}_{kind}_items_per_s"] = round(together)
            results[f"{name}_{kind}_one_at_a_time_per_s"] = round(singles)
            results[f"{name}_{kind}_caller_cpu_us_per_item"] = round(cpu, 1)
    return results
