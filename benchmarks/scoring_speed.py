"""Likelihoods: the engine's `score` beside a naive loop (one forward pass a candidate, full log-softmax).

quickstart: the quickstart's model (untrained, which costs the same) and formats, 8 rationales a pair, under p (c, then
z and x) and under q (c and x, then z), once all different and once repeating as those of a real E-step do.
large: a random Qwen3 of 0.1B parameters with a vocabulary of 151,936 tokens, 4 candidates of one pair, 2,048 tokens
each; every way runs in processes of its own, whose greatest resident memory while it scores counts, libraries and
weights included.
prefix: what sharing the prefix between candidates brings.
All in processes like the workers of a run, on one thread, in processor time, so that other work counts little.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfplay.compute.workers import WORKER_ENVIRONMENT

RECIPE = Path(__file__).resolve().parents[1] / "configs" / "quickstart.yaml"
PAIRS, CANDIDATES = 48, 8
REPEATING = 4
"""Of so many the 8 are drawn with replacement, which leaves 45% different; in an E-step of the quickstart it is 42%."""
REPEATS, LARGE_REPEATS = 5, 3
LARGE_VOCABULARY, LARGE_LENGTH, LARGE_PREFIX, LARGE_CANDIDATES = 151_936, 2048, 512, 4
PREFIX_VOCABULARY = 4096
"""Small, so that the output layer, which sharing leaves alone, does not hide what it brings."""
BATCH_TOKENS = 32768


def naive(network: Any, encoded: Any) -> list[list[float]]:
    """One forward pass a sequence, and the log-softmax of all its logits."""
    import torch

    sums = []
    for ids, spans in encoded:
        with torch.inference_mode():
            logits = network(torch.tensor([ids])).logits[0, :-1]
            logprobs = torch.log_softmax(logits.float(), dim=-1)
            chosen = logprobs.gather(1, torch.tensor(ids[1:])[:, None]).squeeze(1)
        sums.append([float(chosen[start - 1 : end - 1].double().sum()) for start, end in spans])
    return sums


def ours(network: Any, encoded: Any) -> list[list[float]]:
    """The engine's."""
    from selfplay.engines.hf_scoring import score_sequences

    return score_sequences(network, encoded, BATCH_TOKENS)


def small_case(different: int = CANDIDATES) -> tuple[Any, dict[str, Any]]:
    """The quickstart's model, and the encoded requests of p and of q; each pair has so many different rationales."""
    from selfplay import formats
    from selfplay.config.load import load_recipe
    from selfplay.config.section import ScratchModel
    from selfplay.engines.base import ScoringRequest
    from selfplay.engines.hf_engine import encode_request
    from selfplay.quickstart import tiny_model
    from selfplay.seeds.stage import load_seeds
    from selfplay.synthesis.likelihood import for_prompt_model, for_rationale_model
    from selfplay.training.base_model import texts_of

    recipe = load_recipe(RECIPE)
    assert isinstance(recipe.model, ScratchModel)
    seeds = [s for name, domain in recipe.domains.items() for s in load_seeds(0, name, domain, "train")]
    tokenizer = tiny_model.build_tokenizer(texts_of(recipe, seeds), recipe.model.vocabulary)
    network = tiny_model.build_model(tokenizer, 0, recipe.model.hidden_size, recipe.model.layers).eval()
    rng = random.Random(0)
    of_p, of_q = [], []
    for seed in rng.sample(seeds, PAIRS):
        same = [other for other in seeds if other.domain == seed.domain]
        pool = rng.sample(same, different)
        for other in pool if different == CANDIDATES else rng.choices(pool, k=CANDIDATES):
            z, x = formats.rationale_block(other.rationale), formats.problem_block(seed.problem)
            of_p.append(encode_request(tokenizer, ScoringRequest(for_prompt_model(recipe, seed), (z, x))))
            of_q.append(encode_request(tokenizer, ScoringRequest(for_rationale_model(recipe, seed), (z,), ends=False)))
    return network, {"p": of_p, "q": of_q}


def large_model(vocabulary: int) -> Any:
    """A random Qwen3, which has 0.1B parameters at the full vocabulary."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=512,
        intermediate_size=1536,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=64,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    return Qwen3ForCausalLM(config).eval()


def large_requests(prefix: int, vocabulary: int) -> Any:
    """Candidates of one pair, with random ids."""
    rng = random.Random(0)
    shared = [rng.randrange(vocabulary) for _ in range(prefix)]
    middle = prefix + (LARGE_LENGTH - prefix) // 2
    spans = [(prefix, middle), (middle, LARGE_LENGTH)]
    own = [[rng.randrange(vocabulary) for _ in range(LARGE_LENGTH - prefix)] for _ in range(LARGE_CANDIDATES)]
    return [(shared + ids, spans) for ids in own]


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of this process, which has one thread, and what the function returns."""
    started = time.process_time()
    result = function()
    return time.process_time() - started, result


def difference(a: list[list[float]], b: list[list[float]]) -> float:
    """The greatest difference between two tables of sums, nats."""
    return max(abs(x - y) for left, right in zip(a, b, strict=True) for x, y in zip(left, right, strict=True))


def quickstart() -> dict[str, Any]:
    """Both ways in turn, on requests of p and of q."""
    figures = {}
    for case, different in (("different", CANDIDATES), ("repeating", REPEATING)):
        network, requests = small_case(different)
        figures |= {f"{name}, {case}": _both_ways(network, encoded) for name, encoded in requests.items()}
    return figures


def _both_ways(network: Any, encoded: Any) -> dict[str, Any]:
    times: dict[str, list[float]] = {"naive": [], "ours": []}
    sums = {}
    ours(network, encoded[:CANDIDATES])
    for _ in range(REPEATS):
        for way, function in (("naive", naive), ("ours", ours)):
            seconds, sums[way] = timed(functools.partial(function, network, encoded))
            times[way].append(seconds)
    middle = {way: statistics.median(seconds) for way, seconds in times.items()}
    return {
        "sequences": len(encoded),
        "different": len({tuple(ids) for ids, _ in encoded}),
        "mean_tokens": statistics.fmean(len(ids) for ids, _ in encoded),
        "mean_prefix_tokens": statistics.fmean(spans[0][0] for _, spans in encoded),
        "naive_s": middle["naive"],
        "ours_s": middle["ours"],
        "speedup": middle["naive"] / middle["ours"],
        "greatest_difference_nats": difference(sums["naive"], sums["ours"]),
    }


def large_child(way: str, folder: str) -> dict[str, Any]:
    """One way, in this process: seconds, sums, and the greatest resident memory while it scored."""
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    encoded = large_requests(LARGE_PREFIX, LARGE_VOCABULARY)
    gc.collect()
    loaded = forget_peak()
    seconds, sums = timed(lambda: {"naive": naive, "ours": ours}[way](network, encoded))
    return {"seconds": seconds, "sums": sums, "peak_bytes": peak_bytes(), "loaded_bytes": loaded}


def forget_peak() -> int:
    """Makes the kernel count the greatest resident memory anew, so that loading does not count; returns what it is."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def peak_bytes() -> int:
    """The greatest resident memory of this process since it was last forgotten."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def large() -> dict[str, Any]:
    """Both ways, each in processes of their own."""
    runs: dict[str, list[dict[str, Any]]] = {"naive": [], "ours": []}
    with tempfile.TemporaryDirectory(prefix="scoring-speed-") as folder:
        network = large_model(LARGE_VOCABULARY)
        network.save_pretrained(folder)
        parameters = network.num_parameters()
        del network
        for _ in range(LARGE_REPEATS):
            for way, found in runs.items():
                found.append(in_child(way, folder))
    seconds = {way: statistics.median(run["seconds"] for run in found) for way, found in runs.items()}
    peaks = {way: max(run["peak_bytes"] for run in found) for way, found in runs.items()}
    return {
        "parameters": parameters,
        "vocabulary": LARGE_VOCABULARY,
        "sequences": LARGE_CANDIDATES,
        "tokens": LARGE_LENGTH,
        "prefix_tokens": LARGE_PREFIX,
        "naive_s": seconds["naive"],
        "ours_s": seconds["ours"],
        "speedup": seconds["naive"] / seconds["ours"],
        "loaded_bytes": max(run["loaded_bytes"] for found in runs.values() for run in found),
        "naive_peak_bytes": peaks["naive"],
        "ours_peak_bytes": peaks["ours"],
        "share_of_peak": peaks["ours"] / peaks["naive"],
        "greatest_difference_nats": difference(runs["naive"][0]["sums"], runs["ours"][0]["sums"]),
    }


def prefix() -> list[dict[str, Any]]:
    """Sharing forced on and off: p and q of the quickstart, and long sequences by the length of their prefix."""
    small, requests = small_case()
    cases = [(f"quickstart {name}", small, encoded) for name, encoded in requests.items()]
    long = large_model(PREFIX_VOCABULARY)
    for length in (128, 512, 1024):
        cases.append((f"{LARGE_LENGTH} tokens, prefix {length}", long, large_requests(length, PREFIX_VOCABULARY)))
    return [_shared_and_alone(*case) for case in cases]


def _shared_and_alone(name: str, network: Any, encoded: Any) -> dict[str, Any]:
    from selfplay.engines import hf_scoring

    times: dict[float, list[float]] = {0.0: [], 1.0: []}
    sums = {}
    kept = hf_scoring.SHARED_SAVING
    for saving in (1.0, 0.0) * REPEATS:
        hf_scoring.SHARED_SAVING = saving
        seconds, sums[saving] = timed(lambda: ours(network, encoded))
        times[saving].append(seconds)
    hf_scoring.SHARED_SAVING = kept
    shared, alone = (statistics.median(times[saving]) for saving in (0.0, 1.0))
    return {
        "case": name,
        "alone_s": alone,
        "shared_s": shared,
        "speedup": alone / shared,
        "greatest_difference_nats": difference(sums[0.0], sums[1.0]),
    }


def in_child(*arguments: str) -> Any:
    """A part of the benchmark in a process like the workers of a run, with one thread."""
    command = [sys.executable, "-m", "benchmarks.scoring_speed", *arguments]
    environment = os.environ | WORKER_ENVIRONMENT | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def run() -> dict[str, Any]:
    """All three parts."""
    return {"quickstart": in_child("quickstart"), "large": large(), "prefix": in_child("prefix")}


def child(part: str, *arguments: str) -> Any:
    """What a process of its own is asked for."""
    if part in ("naive", "ours"):
        return large_child(part, *arguments)
    return {"quickstart": quickstart, "prefix": prefix}[part]()


if __name__ == "__main__":
    print(json.dumps(child(*sys.argv[1:])))
