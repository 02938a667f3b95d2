"""What an evaluation costs besides its generation: 10,000 completions of 512 tokens, four a problem.

The harness is all that `selfplay evaluate` does around a model: prompts, keys of shards, the store, verdicts by one
worker, the table, and the figures with 10,000 resamples; only the model is left out, whose completions were made
before. The generation is a model's of SmolLM2-135M's shape (random weights, which cost the same), and, as the worst
case, the quickstart's of 0.5 million parameters, on one thread each: processor seconds of a token, measured on fewer of
them, times all tokens. Later tokens cost more than earlier ones, so that the ratio is too large rather than too small.
Seconds are those of a processor, so that what else a machine does counts little.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.math_speed import math_like_pairs
from benchmarks.suite_scoring import WORKING, spent
from selfplay.config.compute import EngineSettings
from selfplay.config.domains import ProblemKind
from selfplay.config.evaluation import Measurement
from selfplay.config.sandbox import SandboxSettings
from selfplay.config.section import SamplingSettings
from selfplay.engines.base import ModelRef, Sampling
from selfplay.engines.jobs import GenerateJob, Row
from selfplay.engines.sharded import ShardedEngine
from selfplay.evaluation.evaluation_folder import EvaluationFolder
from selfplay.evaluation.measuring import measured_problems
from selfplay.evaluation.suites_of_run import judge_of
from selfplay.rollouts.completions import Origin, complete
from selfplay.run.records import Seed
from selfplay.run.store import ShardStore
from selfplay.suites.load import Suite
from verifiers.model import Task

PROBLEMS, SAMPLES, TOKENS = 2500, 4, 512
ALLOWED = 0.03
MEASURED, MEASURED_TOKENS = 32, 48
"""Completions and tokens of each by which a model is measured."""


class MadeBefore:
    """Stands in for the workers that hold models: each shard is there at once."""

    count, device, busy_seconds = 1, "cpu", 0.0

    def __init__(self, answers: Iterator[str]) -> None:
        self._answers = answers
        self.seconds = 0.0
        """Processor time of making the completions, which is no part of the harness."""

    def as_done(self, function: Callable[..., Any], jobs: Iterable[GenerateJob]) -> Iterator[tuple[int, list[Row]]]:
        """The rows of each shard, as `Workers.as_done` gives them."""
        for number, job in enumerate(jobs):
            begun = time.process_time()
            rows = [self._row() for _ in job.prompts]
            self.seconds += time.process_time() - begun
            yield number, rows

    def _row(self) -> Row:
        text = f"{WORKING * 3} \\boxed{{{next(self._answers)}}}"
        ids = list(range(TOKENS))
        return {"text": text, "token_ids": ids, "complete": True, "prompt_tokens": 30, "logprobs": []}


def run() -> dict[str, Any]:
    """Seconds of the harness and of each model's generation, and their ratio."""
    harness = harness_seconds()
    whole = PROBLEMS * SAMPLES * TOKENS
    models = {}
    for name, each in (("like SmolLM2-135M", _like_smollm2), ("quickstart, 0.5M", _quickstart)):
        of_token = seconds_of_token(each)
        generation = whole * of_token
        models[name] = {
            "tokens_a_second": round(1 / of_token, 1),
            "generation_s": round(generation, 1),
            "overhead": round(harness / generation, 5),
        }
    return {
        "completions": PROBLEMS * SAMPLES,
        "tokens_each": TOKENS,
        "harness_s": round(harness, 2),
        "models": models,
        # A faster model, on whatever it runs, would make the harness more than 3% of its generation.
        "within_3_percent_up_to_tokens_a_second": round(whole / (harness / ALLOWED)),
    }


def harness_seconds() -> float:
    """Processor seconds of everything but the model."""
    rng, seeds, answers = random.Random(0), [], []
    for number, (gold, other) in enumerate(math_like_pairs(PROBLEMS)):
        seeds.append(Seed(f"p{number}", "math", "heldout", str(number), (), "", "", Task(f"{number}?", gold), "", None))
        for _ in range(SAMPLES):
            answers.append(gold if rng.random() < 0.3 else other if rng.random() < 0.6 else str(rng.randint(0, 9)))
    suite = Suite("math", tuple(seeds), ProblemKind(), "made here", "", None, "")
    workers, settings = MadeBefore(iter(answers)), Measurement(samples=SAMPLES)
    with tempfile.TemporaryDirectory() as name, EvaluationFolder.open(Path(name)) as folder:
        store = ShardStore(folder.path / "store" / "shards")
        engine = ShardedEngine(ModelRef.local(name, "made", "float32", chat=False), settings.engine, workers, store)
        with judge_of([suite], SandboxSettings(workers=1), folder.path / "store") as judge:
            judge.verifiers[suite.name].verify(Task("", "1"), "\\boxed{1}")
            begun = spent()
            known = {"m": {"identity": ["m"], "round": None, "best": False}}
            folder.claim(settings.deciding(), known, [suite], {})
            batches = complete(
                engine,
                suite.problems,
                settings.sampling,
                SAMPLES,
                0,
                domains={suite.name: suite.solving},
                origin=Origin(("evaluate", "m"), 0, suite.name),
            )
            folder.keep("m", suite.name, "key", measured_problems(judge, suite, batches))
            folder.write_figures(settings.bootstrap)
            return spent() - begun - workers.seconds


def seconds_of_token(save_model: Callable[[Path], None]) -> float:
    """Processor seconds of a token, by the engine that runs models here, on one thread."""
    import torch

    from selfplay.engines.hf_engine import generate_shard

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        save_model(Path(name))
        sampling = Sampling.of(SamplingSettings(temperature=1.0, max_new_tokens=MEASURED_TOKENS))
        job = GenerateJob(
            model=ModelRef.local(name, name, "float32", chat=False),
            device="cpu",
            settings=EngineSettings(),
            prompts=["Mia has 14 apples and buys 3 bags of 5. How many has she?"] * MEASURED,
            sampling=sampling,
            seed=0,
        )
        generate_shard(job)
        begun = time.process_time()
        rows = generate_shard(job)
        return (time.process_time() - begun) / sum(len(row["token_ids"]) + 1 for row in rows)


def _quickstart(folder: Path) -> None:
    from selfplay.quickstart.tiny_model import build_model, build_tokenizer, save

    tokenizer = build_tokenizer([WORKING])
    save(tokenizer, build_model(tokenizer, seed=0), folder)


def _like_smollm2(folder: Path) -> None:
    """Llama of 135 million parameters, with the small tokenizer: ids beyond it are never read back."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from selfplay.quickstart.tiny_model import build_tokenizer, save

    tokenizer = build_tokenizer([WORKING])
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    save(tokenizer, LlamaForCausalLM(config), folder)
