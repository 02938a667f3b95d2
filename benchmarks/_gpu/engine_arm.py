"""One engine in one number format: greedy completions to compare, then many at speed.

`python -m benchmarks._gpu.engine_arm ENGINE DTYPE SIZE DEVICE MODELS COUNT TOKENS`. The work is a worker's own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks._gpu.models import prompts, random_model
from benchmarks._memory_works import SIZES
from benchmarks._one_shard import completed
from selfplay.config.compute import EngineSettings
from selfplay.engines.base import Sampling
from selfplay.engines.jobs import GenerateJob

COMPARED, COMPARED_TOKENS = 16, 64
"""Greedy completions, and the tokens of each."""
PROMPT = 64
MODULES = {"transformers": "selfplay.engines.hf_engine", "vllm": "selfplay.engines.vllm_engine"}
SHARE = 0.6
"""Of a GPU, for vLLM."""


def measure(engine: Any, dtype: str, size: str, device: str, models: Path, count: int, tokens: int) -> dict[str, Any]:
    """The greedy completions with their log-probabilities, the seconds of opening, and tokens a second at speed."""
    module = importlib.import_module(MODULES[engine])
    longest = PROMPT + max(tokens, COMPARED_TOKENS)
    args = {"max_model_len": longest} | ({"gpu_memory_utilization": SHARE} if device == "cuda" else {})
    settings = (
        EngineSettings(kind="vllm", args=args)
        if engine == "vllm"
        else EngineSettings(batch_tokens=max(count * longest, 64))
    )
    model = random_model(size, dtype, models)
    texts = prompts(max(count, COMPARED), PROMPT, SIZES[size].model.vocabulary)

    def complete(asked: list[str], temperature: float, most: int) -> tuple[float, list[dict[str, Any]]]:
        job = GenerateJob(
            model=model,
            device=device,
            settings=settings,
            prompts=asked,
            sampling=Sampling(temperature, most),
            seed=0,
        )
        begun = time.perf_counter()
        rows = completed(module, job)
        return time.perf_counter() - begun, rows

    opening, _ = complete(texts[:1], 0.0, 1)
    greedy, rows = complete(texts[:COMPARED], 0.0, COMPARED_TOKENS)
    complete(texts[:count], 1.0, 2)
    seconds, drawn = complete(texts[:count], 1.0, tokens)
    made = sum(len(row["token_ids"]) for row in drawn)
    return {
        "opening_s": opening,
        "greedy_s": greedy,
        "completions": [row["token_ids"] for row in rows],
        "logprobs": [[round(value, 7) for value in row["logprobs"]] for row in rows],
        "at_once": count,
        "tokens": made,
        "seconds": seconds,
        "tokens_per_s": made / seconds,
    }


def compared(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """How far two arms' greedy completions agree, and how far their log-probabilities are apart while they do."""
    pairs = list(zip(one["completions"], other["completions"], strict=True))
    common = [_common(left, right) for left, right in pairs]
    apart = [
        abs(left - right)
        for mine, theirs, length in zip(one["logprobs"], other["logprobs"], common, strict=True)
        for left, right in zip(mine[:length], theirs[:length], strict=True)
    ]
    return {
        "completions": len(pairs),
        "equal": sum(left == right for left, right in pairs),
        "tokens": sum(len(left) for left, _ in pairs),
        "tokens_before_they_part": sum(common),
        "nats_apart_mean": sum(apart) / len(apart) if apart else None,
        "nats_apart_max": max(apart, default=None),
    }


def _common(left: list[int], right: list[int]) -> int:
    return next((place for place, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), len(left))


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        found = measure(*sys.argv[1:5], Path(sys.argv[5]), *map(int, sys.argv[6:8]))
    print(json.dumps(found))
