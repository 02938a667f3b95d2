"""What it costs to have the workers on a Ray cluster that is started on this machine, beside as many local workers.

- `stages`: the labelling and the first evaluation of the quickstart, run whole by `selfplay run`, in turn with both and
  from the same synthesised problems. `--base RUN` takes these from one by the same code; else they are made
  first, in about 8 minutes. A turn of both takes about 3 minutes on two cores.
- `pieces`: what the smallest works cost. An untrained model of the quickstart's size completes a few prompts at a time,
  those of each turn its own, so that the store has none of them; one minute.

Ratios of a turn stand beside each other in time, so that their median is disturbed least by what else a machine does.
Tables and completions must be the same.
"""

from __future__ import annotations

import argparse
import functools
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from operator import sub, truediv
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks._ray_stages import RECIPE, compare_stages, processor_seconds
from selfplay.compute.workers import Workers
from selfplay.config.compute import ComputeSettings, EngineSettings
from selfplay.config.section import SamplingSettings
from selfplay.engines.base import ModelRef, Sampling
from selfplay.engines.sharded import ShardedEngine
from selfplay.pipeline.crew import crew_of
from selfplay.quickstart import seeds
from selfplay.run.store import ShardStore

ENGINE = EngineSettings(shard=64)
PIECE_TURNS = 9
IDLE_S = 5.0
"""Time in which neither has anything to do, and Ray's own processes go on."""


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Seconds of both, by the clock and of the processor, and their ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks ray_overhead")
    parser.add_argument("--parts", choices=("stages", "pieces", "both"), default="both")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--base", type=Path, help="a run of the recipe that has its curated prompts")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--set", nargs="*", default=[], help="fields of the recipe, as in labelling.samples=2")
    parser.add_argument("--prompts", type=int, nargs="*", default=[16, 64, 512], help="of a turn of pieces")
    parser.add_argument("--tokens", type=int, default=48, help="of each completion of pieces, at most")
    given = parser.parse_args(arguments)
    found: dict[str, Any] = {"workers": given.workers, "cores": os.cpu_count(), "ray": version("ray")}
    with tempfile.TemporaryDirectory() as folder:
        if given.parts != "pieces":
            found["stages"] = compare_stages(given, Path(folder))
        if given.parts != "stages":
            found["pieces"] = _pieces(given, Path(folder))
    return found


def _pieces(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    model = _model(folder / "model")
    with (
        crew_of(ComputeSettings(workers=given.workers, device="cpu")) as local,
        crew_of(ComputeSettings(executor="ray", workers=given.workers, device="cpu")) as cluster,
        local.workers(folder / "pieces-local") as here,
        cluster.workers(folder / "pieces-ray") as there,
    ):
        kinds: dict[str, Workers] = {"local": here, "ray": there}
        startup = {name: _timed(functools.partial(workers.map, _ready, [0])) for name, workers in kinds.items()}
        # The first one loads the model.
        _turns(kinds, model, folder, given, given.workers, 1)
        idle = processor_seconds()
        time.sleep(IDLE_S)
        idle = (processor_seconds() - idle) / IDLE_S
        rows = [_turns(kinds, model, folder, given, prompts, PIECE_TURNS) for prompts in given.prompts]
    return {
        "start_up_seconds": {name: round(value, 1) for name, value in startup.items()},
        "idle_processor_share": round(idle, 3),
        "works": rows,
    }


def _turns(
    kinds: Mapping[str, Workers], model: ModelRef, folder: Path, given: argparse.Namespace, prompts: int, turns: int
) -> dict[str, Any]:
    spent: dict[str, list[float]] = {name: [] for name in kinds}
    texts: dict[str, list[str]] = {name: [] for name in kinds}
    for turn in range(turns):
        for name in sorted(kinds, reverse=bool(turn % 2)):
            seconds, found = _complete(kinds[name], model, folder / f"store-{name}-{prompts}", given, prompts, turn)
            texts[name] += found
            spent[name].append(seconds)
    return {
        "completions": prompts,
        "seconds": {name: [round(value, 3) for value in values] for name, values in spent.items()},
        "ratio_of_medians": round(median(spent["ray"]) / median(spent["local"]), 3),
        "median_ratio_of_turns": round(median(map(truediv, spent["ray"], spent["local"])), 3),
        "median_seconds_more": round(median(map(sub, spent["ray"], spent["local"])), 4),
        "same_completions": texts["local"] == texts["ray"],
    }


def _complete(
    workers: Workers, model: ModelRef, store: Path, given: argparse.Namespace, count: int, turn: int
) -> tuple[float, list[str]]:
    engine = ShardedEngine(model, ENGINE, workers, ShardStore(store / "shards"))
    prompts = [problem.problem for problem in seeds.generate("math", count, turn + 1)]
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
