"""One training or generation with a random Qwen3, for its memory: `python -m benchmarks._memory_works WORK SIZE`.

Prints, in bytes, how far resident memory rose above what the libraries and a tiny run of the same work had taken. The
work is the project's own: its trainers and its engine, on a table and a model of their own.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selfplay.config.recipe import Domain, EngineSettings
from selfplay.config.sandbox import SandboxSettings
from selfplay.config.training import CollapseGuard, GRPORule
from selfplay.engines.base import ModelRef, Sampling
from selfplay.planning.architecture import Architecture
from selfplay.planning.memory import (
    FLOAT,
    DecodingBatch,
    Terms,
    TrainingStep,
    generation_terms,
    training_terms,
)
from selfplay.run.records import Example, Pair, PolicyTask
from selfplay.run.tables import write_table
from verifiers.model import Task


@dataclass(frozen=True)
class Shape:
    """A model, and how much of it is asked at once."""

    model: Architecture
    sequences: int
    prompt: int
    completion: int


def _model(hidden: int, layers: int, heads: int, kv: int, wide: int, vocabulary: int, tied: bool) -> Architecture:
    return Architecture(
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv,
        head_dim=64,
        intermediate=wide,
        vocabulary=vocabulary,
        positions=2048,
        tied=tied,
        qk_norm=True,
    )


SIZES = {
    "tiny": Shape(_model(64, 1, 1, 1, 64, 1024, False), 4, 8, 8),
    "5M": Shape(_model(256, 4, 4, 2, 768, 4096, False), 8, 64, 192),
    "30M": Shape(_model(512, 8, 8, 4, 1536, 8192, False), 8, 64, 192),
    "135M": Shape(_model(576, 30, 9, 3, 1536, 49152, True), 4, 32, 96),
}
WORKS = ("sft", "dpo", "grpo", "generation")


def ends_on(task: Task, completion: str) -> bool:
    """The verifier: about half of all completions pass."""
    return len(completion) % 2 == 0


def predicted(work: str, shape: Shape) -> Terms:
    """The terms that `selfplay plan` would give."""
    model, tokens = shape.model, shape.prompt + shape.completion
    step = TrainingStep(model=model, trained=model.parameters, device="cpu", sequences=shape.sequences, tokens=tokens)
    if work == "sft":
        return training_terms(step)
    if work == "dpo":
        return training_terms(replace(step, sequences=2 * shape.sequences, reference=True))
    made = DecodingBatch(
        model=model,
        weight_bytes=FLOAT,
        sequences=shape.sequences,
        prompt=shape.prompt,
        completion=shape.completion,
    )
    if work == "generation":
        return generation_terms(made)
    beside = {"optimiser": 8 * model.parameters}
    both = [training_terms(step), generation_terms(replace(made, beside=beside))]
    return max(both, key=lambda terms: sum(terms.values()))


def make_model(model: Architecture, folder: Path) -> ModelRef:
    """A random Qwen3 of these sizes, in float32."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from selfplay.quickstart import tiny_model

    tokenizer = tiny_model.build_tokenizer(["a b c d e"], 640)
    config = Qwen3Config(
        vocab_size=model.vocabulary,
        hidden_size=model.hidden,
        intermediate_size=model.intermediate,
        num_hidden_layers=model.layers,
        num_attention_heads=model.heads,
        num_key_value_heads=model.kv_heads,
        head_dim=model.head_dim,
        max_position_embeddings=model.positions,
        tie_word_embeddings=model.tied,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    network = Qwen3ForCausalLM(config)
    assert network.num_parameters() == model.parameters
    tiny_model.save(tokenizer, network, folder)
    return ModelRef(str(folder), folder.name, dtype="float32")


def text_of(tokens: int, seed: int) -> str:
    """A text of so many tokens: digits, each of which the tokenizer takes for one."""
    return " ".join(random.Random(seed).choices("xyzuvw", k=tokens // 2))


def run_work(work: str, shape: Shape, model: ModelRef, folder: Path) -> None:
    """Does one work whole."""
    if work == "generation":
        from selfplay.engines.hf_engine import generate_shard
        from selfplay.engines.jobs import GenerateJob

        budget = shape.sequences * (shape.prompt + shape.completion)
        settings = EngineSettings(batch_tokens=max(budget, 64))
        sampling = Sampling(1.0, shape.completion)
        texts = [text_of(shape.prompt, n) for n in range(shape.sequences)]
        job = GenerateJob(model=model, device="cpu", settings=settings, prompts=texts, sampling=sampling, seed=0)
        generate_shard(job)
        return
    _train(work, shape, model, folder)


def _train(work: str, shape: Shape, model: ModelRef, folder: Path) -> None:
    from selfplay.trl_trainers.dpo import train_dpo
    from selfplay.trl_trainers.grpo import train_grpo
    from selfplay.trl_trainers.jobs import DPOJob, GRPOJob, Placement, SFTJob
    from selfplay.trl_trainers.sft import train_sft

    place = Placement("cpu", 0, folder / f"{work}-work", folder / f"{work}-out")
    args: dict[str, Any] = {"max_steps": 2, "per_device_train_batch_size": shape.sequences, "learning_rate": 1e-4}
    rows = range(4 * shape.sequences)
    prompts = [text_of(shape.prompt, n) for n in rows]
    answers = [text_of(shape.completion, n + 1000) for n in rows]
    table = folder / f"{work}.parquet"
    if work == "sft":
        write_table(table, Example, (Example(p, (a,)) for p, a in zip(prompts, answers, strict=True)))
        train_sft(SFTJob(model=model, args=args, examples=table), place)
    elif work == "dpo":
        pairs = zip(rows, prompts, answers, reversed(answers), strict=True)
        write_table(table, Pair, (Pair(str(n), "t", p, a, b, "test") for n, p, a, b in pairs))
        train_dpo(DPOJob(model=model, args=args, pairs=table, collapse=CollapseGuard(drop=None)), place)
    else:
        write_table(table, PolicyTask, (PolicyTask(str(n), "m", p, Task(p, "1")) for n, p in enumerate(prompts)))
        source = {"kind": "quickstart", "grammar": "math"}
        domain = Domain.model_validate({"seeds": source, "verifier": "benchmarks._memory_works:ends_on"})
        more = {"num_generations": 4, "max_completion_length": shape.completion, "beta": 0.0}
        job = GRPOJob(
            model=model,
            args=args | more,
            tasks=table,
            rule=GRPORule(),
            domains={"m": domain},
            sandbox=SandboxSettings(),
            store=folder / "store",
        )
        train_grpo(job, place)


def resident(name: str = "VmRSS") -> int:
    """Bytes of this process: VmRSS, or VmHWM, the most since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {name}")


def forget_peak() -> None:
    """Has VmHWM begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def measure(work: str, size: str) -> dict[str, Any]:
    """The rise of resident memory in one work, after a tiny run of the same."""
    import gc

    import torch

    from selfplay.engines import loading

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="plan-memory-") as name:
        folder = Path(name)
        for kind in ("tiny", size):
            (folder / kind).mkdir()
            model = make_model(SIZES[kind].model, folder / kind / "model")
            loading.forget_all()
            gc.collect()
            before = resident()
            forget_peak()
            run_work(work, SIZES[kind], model, folder / kind)
        rise = resident("VmHWM") - before
    return {"parameters": SIZES[size].model.parameters, "measured": rise, "terms": predicted(work, SIZES[size])}


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    out = sys.stdout
    sys.stdout = sys.stderr
    print(json.dumps(measure(sys.argv[1], sys.argv[2])), file=out)
