"""What vLLM's prefix cache saves where k completions of each prompt are drawn, as for votes and groups.

vLLM's CPU build, a random model of 256 dimensions and four layers, and the worker's own function: the prompts stand as
stages have them, k times one after the other. Both arms, with the cache and without, open an engine of their own and
take turns; opening is not counted. Needs vLLM: run it with `.venv-vllm/bin/python`, which `make vllm` makes.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks._child import in_turns
from benchmarks._engine_steps import watched
from benchmarks._one_shard import completed
from selfplay.config.compute import EngineSettings
from selfplay.engines.base import ModelRef, Sampling
from selfplay.engines.jobs import GenerateJob

BLOCK = 32
"""Tokens that are found together or not at all; a GPU has 16."""
ARMS = {"with the cache": True, "without": False}


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """The share of prompt tokens that were found, and the time of both arms."""
    parser = argparse.ArgumentParser(prog="prefix_cache", description=__doc__)
    parser.add_argument("--prompts", type=int, default=24, help="of each pass")
    parser.add_argument("--samples", type=int, default=8, help="k, of each prompt")
    parser.add_argument("--words", type=int, default=300, help="of a prompt, a token or so each")
    parser.add_argument("--tokens", type=int, default=16, help="of a completion, at most")
    parser.add_argument("--passes", type=int, default=3, help="of each arm")
    given = parser.parse_args(arguments)
    # vLLM tells of itself where figures are printed.
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(sys.stderr):
        found = in_turns(list(ARMS), given.passes, _arm(Path(name), given))
    ours, theirs = (found[arm] for arm in ARMS)
    return {
        "prompts": given.prompts,
        "samples": given.samples,
        "arms": found,
        "found_share": round(ours["cached_tokens"] / ours["prompt_tokens"], 4),
        "time_ratio": round(ours["seconds"] / theirs["seconds"], 3),
    }


def _arm(folder: Path, given: argparse.Namespace) -> Callable[[str], dict[str, Any]]:
    from selfplay.engines import vllm_engine
    from selfplay.quickstart.tiny_model import build_model, build_tokenizer, save

    tokenizer = build_tokenizer(["xyz uvw"])
    save(tokenizer, build_model(tokenizer, seed=0, hidden=256, layers=4, heads=8), folder / "model")
    model = ModelRef.local(folder / "model", "model", "float32", chat=False)
    rng = random.Random(0)
    texts = ["".join(rng.choices("xyzuvw", k=given.words)) for _ in range(given.prompts)]

    def job(arm: str, prompts: list[str]) -> GenerateJob:
        args = {"max_model_len": 512, "block_size": BLOCK, "enable_prefix_caching": ARMS[arm]}
        return GenerateJob(
            model=model,
            device="cpu",
            settings=EngineSettings(kind="vllm", args=args),
            prompts=prompts,
            sampling=Sampling(1.0, given.tokens),
            seed=0,
        )

    def once(arm: str) -> dict[str, Any]:
        completed(vllm_engine, job(arm, ["z" * given.words]))
        with watched(vllm_engine._open[0].llm) as steps:
            completed(vllm_engine, job(arm, [text for text in texts for _ in range(given.samples)]))
        return {
            "prompt_tokens": steps.prompt_tokens,
            "cached_tokens": steps.cached_tokens,
            "completion_tokens": steps.completion_tokens,
            "seconds": steps.seconds,
        }

    return once
