"""How much of a real vLLM's slots is idle: shards that are drained one by one, or prompts that flow.

`generation_flow` simulates this; here vLLM's CPU build does it, with the quickstart's model (random weights) and the
worker's own function, on completions whose lengths are forced: lognormal with median 16, sigma 1, at most 128 tokens,
a 256th of those that are simulated. Drained, a shard is laid out once the one before is done; flowing, all lie there.
Idle is the share of slots without a token, over all steps of the engine. Both arms use one open engine and take turns.
Needs vLLM: run it with `.venv-vllm/bin/python`, which `make vllm` makes.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks._child import in_turns
from benchmarks._engine_steps import watched
from benchmarks.generation_flow import lengths, simulate
from selfplay.config.compute import EngineSettings
from selfplay.engines.base import ModelRef, Sampling
from selfplay.engines.flow import Feeder, FlowJob, Shard

SCALE = 256
"""By so much completions are shorter than those that are simulated."""
ARMS = ("drained", "flowing")


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Both arms' idle shares, steps and tokens a second, with what is simulated for the same lengths."""
    parser = argparse.ArgumentParser(prog="engine_idle", description=__doc__)
    parser.add_argument("--completions", type=int, default=768, help="of each pass")
    parser.add_argument("--slots", type=int, default=16, help="sequences at a time, and prompts of a shard")
    parser.add_argument("--passes", type=int, default=3, help="of each arm")
    given = parser.parse_args(arguments)
    drawn = [max(tokens // SCALE, 1) for tokens in lengths(given.completions, 0)]
    shards = [drawn[start : start + given.slots] for start in range(0, len(drawn), given.slots)]
    # vLLM tells of itself where figures are printed.
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(sys.stderr):
        arm = _arms(Path(name), shards, given.slots)
        found = in_turns(ARMS, given.passes, arm)
    simulated = {arm: simulate(shards, arm == "flowing", 0.0, 1, given.slots)["idle"] for arm in ARMS}
    drained, flowing = (found[arm] for arm in ARMS)
    return {
        "completions": given.completions,
        "slots": given.slots,
        "shard": given.slots,
        "tokens": sum(drawn),
        "measured": found,
        "simulated_idle": simulated,
        "fewer_steps": round(drained["steps"] / flowing["steps"], 2),
        "faster": round(flowing["tokens_per_s"] / drained["tokens_per_s"], 2),
    }


def _arms(folder: Path, shards: Sequence[Sequence[int]], slots: int) -> Callable[[str], dict[str, Any]]:
    """Opens the engine; a function that runs one arm once."""
    from selfplay.engines import vllm_engine

    model = _tiny_model(folder / "model")
    settings = EngineSettings(kind="vllm", args={"max_model_len": 512, "max_num_seqs": slots})

    def ask(opened: Any, chat: bool, sampling: Sampling) -> Callable[[Shard, int], Any]:
        from vllm import SamplingParams

        def forced(shard: Shard, place: int) -> Any:
            tokens = shards[shard.number][place]
            how = {"max_tokens": tokens, "ignore_eos": True, "logprobs": 0, "detokenize": False}
            return opened.tokenizer(shard.prompts[place])["input_ids"], SamplingParams(**how, seed=place)

        return forced

    def complete(parts: Sequence[Shard]) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as name, mock.patch.object(vllm_engine, "_asking", ask):
            job = FlowJob(
                model=model,
                device="cpu",
                settings=settings,
                sampling=Sampling(1.0, 1),
                queue=Path(name) / "queue",
                replica="0",
                store=Path(name) / "store",
            )
            Feeder(job.queue, iter(parts), len(parts)).fill()
            vllm_engine.flow_shards(job)

    laid = [
        Shard(number, f"{number:04d}key", number, [f"{number}, {place}: how many?" for place in range(len(part))])
        for number, part in enumerate(shards)
    ]
    complete(laid[:1])

    def arm(name: str) -> dict[str, Any]:
        with watched(vllm_engine._open[0].llm) as steps:
            for parts in [laid] if name == "flowing" else [[shard] for shard in laid]:
                complete(parts)
        if steps.completion_tokens != sum(map(sum, shards)):
            raise AssertionError(f"{steps.completion_tokens} tokens were written, not those that were forced")
        return {
            "steps": steps.count,
            "idle": round(1 - steps.completion_tokens / (slots * steps.count), 4),
            "seconds": steps.seconds,
            "tokens_per_s": steps.completion_tokens / steps.seconds,
        }

    return arm


def _tiny_model(folder: Path) -> ModelRef:
    from selfplay.quickstart.tiny_model import build_model, build_tokenizer, save

    tokenizer = build_tokenizer(["How many plums has Tom, who had 5 and eats 1?"])
    save(tokenizer, build_model(tokenizer, seed=0), folder)
    return ModelRef.local(folder, folder.name, "float32", chat=False)
