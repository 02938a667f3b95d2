"""One training or generation with a random Qwen3, for its memory.

`python -m benchmarks._memory_works WORK SIZE [DEVICE]` prints, in bytes, how far memory rose above
what the libraries and a tiny run of the same work had taken: resident memory on a CPU, what torch has given out on a
GPU. The work is the project's own: its trainers and its engine, on a table and a model of their own.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.config.compute import ComputeSettings, EngineSettings
from selfplay.config.domains import Domain
from selfplay.config.rules import CollapseGuard, GRPORule
from selfplay.config.sandbox import SandboxSettings
from selfplay.engines.base import ModelRef, Sampling
from selfplay.planning.architecture import Architecture, of_config
from selfplay.planning.known_models import KNOWN
from selfplay.planning.machine import Machine, named
from selfplay.planning.memory import DecodingBatch, Terms, generation_terms, training_terms
from selfplay.planning.need import Named
from selfplay.planning.needs import Needs
from selfplay.planning.number_formats import WIDTH
from selfplay.planning.rates import CPU, Rates
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
    "0.6B": Shape(of_config(KNOWN["Qwen/Qwen3-0.6B"], "0.6B"), 4, 256, 512),
}
"""The last is for a GPU."""
DTYPE = {"cpu": "float32", "cuda": "bfloat16"}
"""In which the engines open the model; trainings hold all its weights in float32."""
WORKS = ("sft", "dpo", "grpo", "generation")


def ends_on(task: Task, completion: str) -> bool:
    """The verifier: about half of all completions pass."""
    return len(completion) % 2 == 0


def predicted(work: str, shape: Shape, device: str) -> Terms:
    """The terms that `selfplay plan` would give."""
    machine = Machine(CPU, 1, 0) if device == "cpu" else named("1x80")
    needs = Needs(machine, Rates(), EngineSettings(), ComputeSettings())
    model = Named("model", "random", shape.model, DTYPE[device])
    longest = shape.prompt + shape.completion
    if work == "generation":
        made = DecodingBatch(
            model=shape.model,
            weight_bytes=WIDTH[model.dtype],
            sequences=shape.sequences,
            prompt=shape.prompt,
            completion=shape.completion,
        )
        return generation_terms(made)
    how = {"kind": work, "tokens": longest, "mean": longest, "sequences": shape.sequences, "field": "args"}
    how |= {"prompt": shape.prompt, "completion": shape.completion, "lengths": ()}
    args = {"per_device_train_batch_size": shape.sequences}
    steps = [training_terms(needs.step(model, args, how))]
    if work == "grpo":
        steps.append(needs.rolls("grpo", model, args, how).terms)
    return max(steps, key=lambda terms: sum(terms.values()))


def make_model(model: Architecture, folder: Path, tokenizer: Any = None, dtype: str = "float32") -> ModelRef:
    """A random Qwen3 of these sizes, in float32.

    Args:
        model: its sizes.
        folder: where to.
        tokenizer: None for a small one, of letters.
        dtype: in which engines open it.
    """
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from selfplay.quickstart import tiny_model

    tokenizer = tiny_model.build_tokenizer(["a b c d e"], 640) if tokenizer is None else tokenizer
    config = Qwen3Config(
        vocab_size=model.vocabulary,
        hidden_size=model.hidden,
        intermediate_size=model.intermediate,
        num_hidden_layers=model.layers,
        num_attention_heads=model.heads,
        num_key_value_heads=model.kv_heads,
        head_dim=model.head_dim,
        bos_token_id=None,
        max_position_embeddings=model.positions,
        tie_word_embeddings=model.tied,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    network = Qwen3ForCausalLM(config)
    assert network.num_parameters() == model.parameters
    tiny_model.save(tokenizer, network, folder)
    return ModelRef(str(folder), folder.name, dtype=dtype)


def text_of(tokens: int, seed: int) -> str:
    """A text of so many tokens: digits, each of which the tokenizer takes for one."""
    return " ".join(random.Random(seed).choices("xyzuvw", k=tokens // 2))


def run_work(work: str, shape: Shape, model: ModelRef, folder: Path, device: str) -> None:
    """Does one work whole."""
    if work == "generation":
        from selfplay.engines.hf_engine import generate_shard
        from selfplay.engines.jobs import GenerateJob

        budget = shape.sequences * (shape.prompt + shape.completion)
        settings = EngineSettings(batch_tokens=max(budget, 64))
        sampling = Sampling(1.0, shape.completion)
        texts = [text_of(shape.prompt, n) for n in range(shape.sequences)]
        job = GenerateJob(model=model, device=device, settings=settings, prompts=texts, sampling=sampling, seed=0)
        generate_shard(job)
        return
    _train(work, shape, model, folder, device)


def _train(work: str, shape: Shape, model: ModelRef, folder: Path, device: str) -> None:
    from selfplay.trl_trainers.dpo import train_dpo
    from selfplay.trl_trainers.grpo import train_grpo
    from selfplay.trl_trainers.jobs import DPOJob, GRPOJob, Placement, SFTJob
    from selfplay.trl_trainers.sft import train_sft

    place = Placement(device, 0, folder / f"{work}-work", folder / f"{work}-out")
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


def measure(work: str, size: str, device: str = "cpu") -> dict[str, Any]:
    """The rise of memory in one work, after a tiny run of the same."""
    import gc

    import torch

    from selfplay.engines import loading

    torch.set_num_threads(1 if device == "cpu" else torch.get_num_threads())
    with tempfile.TemporaryDirectory(prefix="plan-memory-") as name:
        folder = Path(name)
        for kind in ("tiny", size):
            (folder / kind).mkdir()
            model = make_model(SIZES[kind].model, folder / kind / "model", dtype=DTYPE[device])
            loading.forget_all()
            gc.collect()
            before = _held_now(device)
            run_work(work, SIZES[kind], model, folder / kind, device)
        rise = _held_at_most(device) - before
    shape = SIZES[size]
    return {"parameters": shape.model.parameters, "measured": rise, "terms": predicted(work, shape, device)}


def _held_now(device: str) -> int:
    """Bytes of this process on the device; what it holds at most is counted anew."""
    if device == "cpu":
        before = resident()
        forget_peak()
        return before
    import torch

    torch.cuda.reset_peak_memory_stats()
    return int(torch.cuda.memory_allocated())


def _held_at_most(device: str) -> int:
    if device == "cpu":
        return resident("VmHWM")
    import torch

    return int(torch.cuda.max_memory_allocated())


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    out = sys.stdout
    sys.stdout = sys.stderr
    print(json.dumps(measure(*sys.argv[1:4])), file=out)
