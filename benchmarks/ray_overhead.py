"""What it costs to have the workers on a Ray cluster: a labelling's completions, beside as many local workers.

An untrained model of the quickstart's size completes the same prompts, in turn by local workers and by those of a
cluster that is started on this machine; each turn has prompts of its own, so that the store has none of them. The
ratios are those of the sums over the turns, and the median of those of each turn, which a busy machine disturbs less;
start-up is measured apart. Completions must be the same.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from operator import truediv
from pathlib import Path
from statistics import median
from typing import Any

from selfplay.compute.workers import Workers
from selfplay.config.recipe import ComputeSettings, EngineSettings
from selfplay.config.section import SamplingSettings
from selfplay.engines.base import ModelRef, Sampling
from selfplay.engines.sharded import ShardedEngine
from selfplay.pipeline.crew import crew_of
from selfplay.quickstart import seeds
from selfplay.run.store import ShardStore

ENGINE = EngineSettings(shard=64)


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Seconds of both, and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks ray_overhead")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--prompts", type=int, default=512, help="of each turn")
    parser.add_argument("--tokens", type=int, default=48, help="of each completion, at most")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        model = _model(Path(folder) / "model")
        spent: dict[str, list[float]] = {"local": [], "ray": []}
        texts: dict[str, list[str]] = {"local": [], "ray": []}
        with (
            crew_of(ComputeSettings(workers=given.workers, device="cpu")) as local,
            crew_of(ComputeSettings(executor="ray", workers=given.workers, device="cpu")) as cluster,
            local.workers(Path(folder) / "local") as here,
            cluster.workers(Path(folder) / "ray") as there,
        ):
            kinds = {"local": here, "ray": there}
            startup = {name: _timed(lambda: workers.map(_ready, [0])) for name, workers in kinds.items()}  # noqa: B023
            for turn in range(-1, given.turns):
                # The first turn loads the model.
                for name in sorted(kinds, reverse=bool(turn % 2)):
                    seconds, found = _complete(kinds[name], model, Path(folder) / name / "store", given, turn)
                    texts[name] += found
                    spent[name] += [seconds] * (turn >= 0)
    return {
        "workers": given.workers,
        "completions": given.turns * given.prompts,
        "seconds": {name: [round(value, 2) for value in values] for name, values in spent.items()},
        "ratio": round(sum(spent["ray"]) / sum(spent["local"]), 3),
        "median_ratio_of_turns": round(median(map(truediv, spent["ray"], spent["local"])), 3),
        "start_up_seconds": {name: round(value, 1) for name, value in startup.items()},
        "same_completions": texts["local"] == texts["ray"],
    }


def _complete(
    workers: Workers, model: ModelRef, store: Path, given: argparse.Namespace, turn: int
) -> tuple[float, list[str]]:
    engine = ShardedEngine(model, ENGINE, workers, ShardStore(store / "shards"))
    prompts = [problem.problem for problem in seeds.generate("math", given.prompts, turn + 1)]
    sampling = Sampling.of(SamplingSettings(temperature=1.0, max_new_tokens=given.tokens))
    started = time.monotonic()
    found = [sample.text for sample in engine.generate(prompts, sampling, turn + 1)]
    return time.monotonic() - started, found


def _timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _ready(job: int) -> int:
    from selfplay.compute.worker_main import import_libraries

    import_libraries()
    return job


def _model(folder: Path) -> ModelRef:
    from selfplay.quickstart import tiny_model

    problems = seeds.generate("math", 200, 0)
    tokenizer = tiny_model.build_tokenizer([f"{p.problem} {p.rationale} {p.solution}" for p in problems], 640)
    tiny_model.save(tokenizer, tiny_model.build_model(tokenizer, 0, hidden=128, layers=2, heads=4), folder)
    return ModelRef.local(folder, "tiny", "float32", chat=False)
