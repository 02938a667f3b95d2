"""What a driver and a trainer do with rollouts, on synthetic ones: each work in a process of its own, for its memory.

`python -m benchmarks._rollout_works WORK COUNT TOKENS FOLDER` does one and prints its peak of resident memory.
"""

from __future__ import annotations

import itertools
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from selfplay.config.recipe import Recipe
from selfplay.config.rules import CollapseGuard
from selfplay.config.section import SamplingSettings
from selfplay.engines.base import ModelRef, OnProgress, Sample, Sampling
from selfplay.evaluation.evaluate import metric_rows, metric_values, outcomes_of
from selfplay.rollouts.completions import Origin
from selfplay.rollouts.judge import Judge
from selfplay.rollouts.rollout import stream_rollouts
from selfplay.run.directory import RunDirectory, Stage
from selfplay.run.records import TOKENS, Example, LabelledTask, Pair, Rollout
from selfplay.training.pairs import make_pairs, pass_rates, right_completions
from verifiers.model import Task

SHARD = 64
"""Completions of a shard: as many are in memory at a time, however many there are."""
K = 8
VOCABULARY = 4096


def passes(task: Task, completion: str) -> bool:
    """The verifier: half of all completions pass."""
    return len(completion) % 2 == 0


SOURCE = {"kind": "quickstart", "grammar": "math"}
RECIPE = Recipe.model_validate(
    {
        "name": "memory",
        "model": {"kind": "scratch"},
        "domains": {"math": {"seeds": SOURCE, "verifier": "benchmarks._rollout_works:passes"}},
        "evaluation": {"bootstrap": 100},
    }
)


class Writer:
    """A policy without a model: shards of completions of as many random words."""

    model = ModelRef("nowhere", "synthetic")

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens
        self._words = np.array([f"w{number}" for number in range(VOCABULARY)])

    def stream(
        self, prompts: Sequence[str], sampling: Sampling, seed: int, on_progress: OnProgress | None = None
    ) -> Iterator[list[Sample]]:
        """As an engine does."""
        rng = np.random.default_rng(seed)
        for start in range(0, len(prompts), SHARD):
            count = len(prompts[start : start + SHARD])
            ids = rng.integers(0, VOCABULARY, (count, self._tokens))
            logprobs = -rng.random((count, self._tokens), dtype=np.float32)
            yield [
                Sample(" ".join(self._words[own]), tuple(own.tolist()), True, 0, self._tokens, tuple(values.tolist()))
                for own, values in zip(ids, logprobs, strict=True)
            ]


def tasks(count: int) -> list[LabelledTask]:
    """So many that K rollouts of each are `count`."""
    return [
        LabelledTask(f"t{n:07}", f"p{n:07}", "math", Task(f"What is {n} + {n}?", str(2 * n)), 1.0, 0.5, "", None)
        for n in range(count // K)
    ]


def rollouts(stage: Stage, count: int, tokens: int) -> int:
    """Completes, judges, and writes the table."""
    judge = Judge(RECIPE, stage.run.store_folder, workers=1)
    batches = stream_rollouts(
        Writer(tokens),
        tasks(count),
        SamplingSettings(),
        K,
        0,
        judge,
        domains=RECIPE.domains,
        origin=Origin(("rollout", 1), 1, "T=1.0"),
    )
    written = stage.write("rollouts", Rollout, itertools.chain.from_iterable(batches))
    judge.close()
    return written


def _rows(stage: Stage) -> Iterator[Rollout]:
    return stage.stream("rollouts", Rollout, leave_out=TOKENS)


def pairs(stage: Stage, count: int, tokens: int) -> int:
    """Makes dpo's pairs, four a task at most."""
    return stage.write("pairs", Pair, make_pairs(_rows(stage), lambda task: f"Solve {task}.", 4, 0))


def examples(stage: Stage, count: int, tokens: int) -> int:
    """Makes rft's examples, four a task at most."""
    rates = pass_rates(stage.columns("rollouts", Rollout, ("task_id", "passed")))
    chosen = (row for row in right_completions(_rows(stage), 4) if rates[row.task_id] > 0)
    return stage.write("examples", Example, (Example(f"Solve {r.task_id}.", (r.completion,)) for r in chosen))


def metrics(stage: Stage, count: int, tokens: int) -> int:
    """Computes an evaluation's metrics with their intervals."""
    return len(metric_rows(metric_values(outcomes_of(stage)), RECIPE.evaluation, 0, 0))


def training_set(stage: Stage, count: int, tokens: int) -> int:
    """Makes dpo's data set, as a rank of the trainer does."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from selfplay.trl_trainers.dpo import mean_tokens, pair_set
    from selfplay.trl_trainers.jobs import DPOJob

    vocabulary = {f"w{number}": number for number in range(VOCABULARY)} | {"?": VOCABULARY, "</s>": VOCABULARY + 1}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>")
    job = DPOJob(model=Writer.model, args={}, pairs=stage.folder / "pairs.parquet", collapse=CollapseGuard(drop=None))
    found = pair_set(job, tokenizer, stage.folder / "work")
    assert mean_tokens(found) == tokens + 1
    return len(found)


WORKS: dict[str, Callable[[Stage, int, int], int]] = {
    "rollouts": rollouts,
    "pairs": pairs,
    "examples": examples,
    "metrics": metrics,
    "training_set": training_set,
}
"""In their order: all but the first read what an earlier one left in the folder."""


def do(work: str, count: int, tokens: int, folder: Path) -> dict[str, Any]:
    """Does a work in this process; what came out of it, its seconds, and this process's peak of memory so far."""
    stage = Stage(RunDirectory(folder, RECIPE), "work")
    begun = time.perf_counter()
    made = WORKS[work](stage, count, tokens)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"made": made, "seconds": round(time.perf_counter() - begun, 1), "peak_mb": round(peak, 1)}


if __name__ == "__main__":
    print(json.dumps(do(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))))
