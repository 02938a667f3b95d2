"""What the reward service costs: items a second over loopback, in batches of 64, beside the verifier called directly.

The service runs as a user starts it, in a process of its own; clients send from threads of this one. Pairs are those of
`benchmarks.math_speed`, all different, so that no cache answers; each measurement gets a fresh service and a fresh
verifier. Single items from many connections show what judging together whatever waits is worth. `--attacked` measures
honest latency under attack instead.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from benchmarks._attacked_service import under_attack
from benchmarks.math_speed import Pair, integer_pairs, math_like_pairs
from verifiers.mathematics import MathVerifier
from verifiers.model import Task

ITEMS, BATCH, ROUNDS, CONNECTIONS, WORKERS = 6_400, 64, 3, 4, 2
_END_S = 30.0
SINGLES, SINGLE_CONNECTIONS = 1_600, 16


@contextmanager
def _service(*options: str, verifiers: str = "math") -> Iterator[httpx.Client]:
    command = [sys.executable, "-m", "selfplay", "serve", "--verifiers", verifiers, "--port", "0", "--drain", "2"]
    process = subprocess.Popen(
        [*command, "--workers", str(WORKERS), *options], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        with httpx.Client(base_url=found.group(), timeout=600, trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _completion(pair: Pair) -> str:
    return f"The sum is taken over all terms, so that we get \\boxed{{{pair[1]}}}."


def _batches(pairs: Sequence[Pair], size: int) -> list[list[dict[str, Any]]]:
    items = [{"answer": pair[0], "completion": _completion(pair)} for pair in pairs]
    return [items[at : at + size] for at in range(0, len(items), size)]


def _cpu_s(client: httpx.Client) -> float:
    """Processor seconds of the service's own process, without the workers that do algebra."""
    found = re.search(r"^process_cpu_seconds_total (\S+)", client.get("/metrics").text, re.M)
    assert found is not None
    return float(found.group(1))


def _served(pairs: Sequence[Pair], size: int, connections: int, *options: str) -> tuple[float, float]:
    """Items a second, and microseconds of the service's processor an item."""
    with _service(*options) as client, ThreadPoolExecutor(connections) as senders:

        def send(items: list[dict[str, Any]]) -> int:
            answer = client.post("/v1/score", json={"items": items})
            answer.raise_for_status()
            return len(answer.json()["verdicts"])

        batches = _batches(pairs, size)
        send(batches[0])
        begun, used = time.perf_counter(), _cpu_s(client)
        count = sum(senders.map(send, batches[1:]))
        return count / (time.perf_counter() - begun), 1e6 * (_cpu_s(client) - used) / count


def _direct(pairs: Sequence[Pair]) -> tuple[float, float]:
    """The same without a service."""
    with_tasks = [(Task(answer=pair[0]), _completion(pair)) for pair in pairs]
    math = MathVerifier(workers=WORKERS)
    math.compare(r"\sqrt{2}+x", r"\sqrt{3}+x")
    begun, used = time.perf_counter(), time.process_time()
    for at in range(0, len(with_tasks), BATCH):
        math.verify_many(with_tasks[at : at + BATCH])
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    math.close()
    return len(with_tasks) / seconds, 1e6 * cpu / len(with_tasks)


def run(arguments: Sequence[str] = ()) -> dict[str, object]:
    """Measures and returns medians over rounds: items a second, and the service's share of the direct rate.

    With `--attacked`: the p50 of honest items alone, quiet and under attack by twenty hostile clients, instead.
    """
    if "--attacked" in arguments:
        with _service(verifiers="math,code") as client:
            return dict(under_attack(str(client.base_url)))
    results: dict[str, object] = {"batch": BATCH, "items": ITEMS, "rounds": ROUNDS}
    for name, make in (("integers", integer_pairs), ("math_like", math_like_pairs)):
        found: dict[str, list[tuple[float, float]]] = {}
        for seed in range(ROUNDS):
            pairs = make(ITEMS, seed)
            found.setdefault("direct", []).append(_direct(pairs))
            found.setdefault("served_1_connection", []).append(_served(pairs, BATCH, 1))
            found.setdefault(f"served_{CONNECTIONS}_connections", []).append(_served(pairs, BATCH, CONNECTIONS))
        for kind, rounds in found.items():
            results[f"{name}_{kind}_items_per_s"] = round(statistics.median(rate for rate, _ in rounds))
            results[f"{name}_{kind}_cpu_us_per_item"] = round(statistics.median(cpu for _, cpu in rounds), 1)
        for kind in list(found)[1:]:
            shares = [one / direct for (one, _), (direct, _) in zip(found[kind], found["direct"], strict=True)]
            results[f"{name}_{kind}_share"] = round(statistics.median(shares), 3)
    pairs = math_like_pairs(SINGLES)
    for together in (1, 32):
        rounds = [
            _served(pairs, 1, SINGLE_CONNECTIONS, "--limit", f"batch_items={together}", "--limit", "threads=2")
            for _ in range(ROUNDS)
        ]
        results[f"single_items_at_most_{together}_together_per_s"] = round(statistics.median(r for r, _ in rounds))
        results[f"single_items_at_most_{together}_together_cpu_us"] = round(statistics.median(c for _, c in rounds), 1)
    return results


if __name__ == "__main__":
    import json

    print(json.dumps(run(), indent=2))
