"""One SFT over several ranks: what each of them holds and how long its steps take; started by `fsdp2_ranks`.

`python -m benchmarks._rank_works SHARDING RANKS SIZE SEQUENCES TOKENS DEVICE [CUT]`; SEQUENCES are of the whole batch,
and each is cut over CUT ranks.
"""

from __future__ import annotations

import dataclasses
import gc
import importlib
import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.compute.workers import Workers
from selfplay.config.compute import ComputeSettings, EngineSettings, Sharding
from selfplay.engines.base import ModelRef
from selfplay.planning.architecture import Architecture, of_config
from selfplay.planning.known_models import KNOWN
from selfplay.planning.machine import Machine, named
from selfplay.planning.memory import Terms, training_terms
from selfplay.planning.need import Named
from selfplay.planning.needs import Needs
from selfplay.planning.rates import CPU, Rates

MODELS = {
    "59M": {
        "model_type": "qwen3",
        "hidden_size": 512,
        "num_hidden_layers": 16,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 64,
        "intermediate_size": 1536,
        "vocab_size": 8192,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
    },
    "0.6B": KNOWN["Qwen/Qwen3-0.6B"],
}
STEPS = 6
"""The first is not counted."""


@dataclass(frozen=True, slots=True)
class RankedTraining:
    """What all ranks are told."""

    sharding: Sharding
    ranks: int
    sequences: int
    """Of each rank."""
    cut: int
    """Ranks over which each of them is cut."""
    tokens: int
    """Of each sequence."""
    device: str
    model: ModelRef
    tiny: ModelRef
    folder: Path


def sizes(size: str) -> Architecture:
    """The sizes of one of the models."""
    return of_config(MODELS[size], size)


def train_rank(work: RankedTraining) -> None:
    """Trains as one of the ranks, and leaves what this one held in the folder."""
    from benchmarks._steps import Stopwatch, watch_steps

    # A tiny training first, so that libraries and their buffers are there.
    _train(work, work.tiny, "tiny")
    gc.collect()
    before = _resident(work.device)
    loading: list[int] = []

    def loaded() -> None:
        loading.append(_most(work.device) - before)
        _forget_most(work.device)

    _forget_most(work.device)
    watch = Stopwatch(loaded)
    watch_steps(watch)
    held: dict[str, Any] = {}
    _after_last_step(watch, lambda: held.update(_states(watch.trainer), peak=_most(work.device) - before))
    _train(work, work.model, "own")
    found = held | {"while_loading": loading[0]}
    found |= {"step_s": statistics.median(watch.seconds[1:]), "step_cpu_s": statistics.median(watch.cpu[1:])}
    (work.folder / f"rank-{_rank()}.json").write_text(json.dumps(found))


def _train(work: RankedTraining, model: ModelRef, name: str) -> None:
    from benchmarks._memory_works import text_of
    from selfplay.run.records import Example
    from selfplay.run.tables import write_table
    from selfplay.trl_trainers.jobs import Placement, SFTJob
    from selfplay.trl_trainers.sft import train_sft

    prompt, folder = work.tokens // 4, work.folder / name
    table = folder / f"examples-{_rank()}.parquet"
    pairs = [(text_of(prompt, n), text_of(work.tokens - prompt, n + 10**6)) for n in range(4 * work.sequences)]
    write_table(table, Example, [Example(asked, (answer,)) for asked, answer in pairs] * work.ranks)
    args = {"max_steps": STEPS, "per_device_train_batch_size": work.sequences, "learning_rate": 1e-5}
    place = Placement(work.device, 0, folder / "work", folder / "out", sharding=work.sharding, sequence_ranks=work.cut)
    train_sft(SFTJob(model=model, args=args, examples=table), place)


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))


def _after_last_step(watch: Any, call: Any) -> None:
    """Before the model is gathered, which is not a step."""
    ended = watch.on_step_end

    def then(args: Any, state: Any, control: Any, **others: Any) -> None:
        ended(args, state, control, **others)
        if state.global_step == STEPS:
            call()

    watch.on_step_end = then


def _states(trainer: Any) -> dict[str, int]:
    """Bytes of weights and of the optimiser's states that this rank holds; gradients are as large as weights."""
    optimiser = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
    states = [value for state in optimiser.state.values() for value in state.values() if hasattr(value, "numel")]
    return {
        "weights": sum(_bytes(parameter) for parameter in trainer.model.parameters()),
        "optimiser": sum(_bytes(value) for value in states),
    }


def _bytes(tensor: Any) -> int:
    own = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return int(own.numel() * own.element_size())


def _resident(device: str) -> int:
    from benchmarks._memory_works import resident

    if device == "cpu":
        return resident()
    import torch

    return int(torch.cuda.memory_allocated())


def _most(device: str) -> int:
    from benchmarks._memory_works import resident

    if device == "cpu":
        return resident("VmHWM")
    import torch

    return int(torch.cuda.max_memory_allocated())


def _forget_most(device: str) -> None:
    from benchmarks._memory_works import forget_peak

    if device == "cpu":
        forget_peak()
        return
    import torch

    torch.cuda.reset_peak_memory_stats()


def predicted(
    sharding: Sharding, ranks: int, size: str, sequences: int, tokens: int, device: str, cut: int = 1
) -> Terms:
    """The terms of one rank that `selfplay plan` would give; `sequences` are of one rank."""
    machine = Machine(CPU, ranks, 0) if device == "cpu" else named(f"{ranks}x80")
    needs = Needs(machine, Rates(), EngineSettings(), ComputeSettings(sharding=sharding, sequence_parallel=cut))
    how = {"kind": "sft", "tokens": tokens, "mean": tokens, "sequences": sequences, "field": "args"}
    model = Named("model", "random", sizes(size), "float32")
    return training_terms(needs.step(model, {"per_device_train_batch_size": sequences}, how))


def measure(
    sharding: Any, ranks: int, size: str, sequences: int, tokens: int, device: str, cut: int = 1
) -> dict[str, Any]:
    """What the ranks held at most, and the first one's seconds of a step."""
    from benchmarks._memory_works import SIZES, make_model

    with tempfile.TemporaryDirectory(prefix="ranks-") as name:
        folder = Path(name)
        model = make_model(sizes(size), folder / "model")
        # Each rank takes as many heads.
        shape = dataclasses.replace(SIZES["tiny"].model, heads=cut, kv_heads=cut)
        tiny = make_model(shape, folder / "tiny-model")
        each = sequences * cut // ranks
        work = RankedTraining(sharding, ranks, each, cut, tokens, device, model, tiny, folder)
        workers = Workers(ranks, 1, device, folder / "workers.log")
        try:
            workers.together(train_rank, work)
        finally:
            workers.stop()
            sys.stderr.write((folder / "workers.log").read_text(errors="replace"))
        found = [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(ranks)]
    terms = predicted(sharding, ranks, size, each, tokens, device, cut)
    most = {name: max(one[name] for one in found) for name in ("weights", "optimiser", "peak", "while_loading")}
    return {
        "sharding": sharding,
        "ranks": ranks,
        "parameters": sizes(size).parameters,
        "sequences": sequences,
        "tokens": tokens,
        **most,
        "states": 2 * most["weights"] + most["optimiser"],
        "predicted": sum(terms.values()),
        "step_s": found[0]["step_s"],
        "step_cpu_s": sum(one["step_cpu_s"] for one in found),
        "tokens_per_s": sequences * tokens / found[0]["step_s"],
    }


def main() -> None:
    """Measures what the command line says."""
    sharding, ranks, size, sequences, tokens, device, *cut = sys.argv[1:8]
    print(json.dumps(measure(sharding, int(ranks), size, int(sequences), int(tokens), device, *map(int, cut))))


if __name__ == "__main__":
    # By its own name, since ranks are told a function by its module.
    importlib.import_module("benchmarks._rank_works").main()
