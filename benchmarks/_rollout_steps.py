"""Steps of one GRPO training in a process of its own, and where their seconds went; started by `grpo_rollouts`."""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from selfplay.config.recipe import Domain
from selfplay.config.sandbox import SandboxSettings
from selfplay.config.training import GRPORule
from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds, tiny_model
from selfplay.run.records import PolicyTask
from selfplay.run.tables import write_table
from selfplay.trl_trainers.grpo import train_grpo
from selfplay.trl_trainers.grpo_trainer import SelfplayGRPOTrainer
from selfplay.trl_trainers.jobs import GRPOJob, Placement
from verifiers.model import Task

GROUP = 8
LEAST = {"vllm": "min_tokens", "transformers": "min_new_tokens"}
"""The argument by which every completion has the same length, in each engine's words."""


def main(rollouts: Any, model: str, completions: int, tokens: int, steps: int) -> dict[str, Any]:
    """Trains, and gives the median seconds of all steps but the first.

    Args:
        rollouts: `vllm` or `transformers`.
        model: a folder in float32; `tiny` makes one.
        completions: of a step.
        tokens: of each completion.
        steps: in all.
    """
    folder = Path(tempfile.mkdtemp(prefix="rollouts-"))
    problems = seeds.generate("math", completions // GROUP * steps, 0)
    place = folder / "model" if model == "tiny" else Path(model)
    if model == "tiny":
        tokenizer = tiny_model.build_tokenizer([f"{p.problem} {p.solution}" for p in problems], 800)
        tiny_model.save(tokenizer, tiny_model.build_model(tokenizer, 0), place)
    rows = [PolicyTask(f"t{n}", "math", p.problem, Task(answer=p.answer)) for n, p in enumerate(problems)]
    write_table(folder / "tasks.parquet", PolicyTask, rows)
    job = GRPOJob(
        model=ModelRef.local(place, place.name, "float32", chat=False),
        tasks=folder / "tasks.parquet",
        args={
            "max_steps": steps,
            "per_device_train_batch_size": GROUP,
            "gradient_accumulation_steps": completions // GROUP,
            "num_generations": GROUP,
            "max_completion_length": tokens,
            "generation_kwargs": {LEAST[rollouts]: tokens},
            "learning_rate": 1e-6,
            "beta": 0.0,
        },
        rule=GRPORule(rollouts=rollouts),
        domains={"math": Domain.model_validate({"seeds": {"kind": "quickstart", "grammar": "math"}})},
        sandbox=SandboxSettings(),
        store=folder / "store",
    )
    seconds = _timed_generation()
    with contextlib.redirect_stdout(sys.stderr):
        train_grpo(job, Placement("cpu", 3, folder / "work", folder / "out"))
    lines = [json.loads(line)["metrics"] for line in (folder / "work/log.jsonl").read_text().splitlines()]
    taken = [line for line in lines if "step_time" in line]
    found = {"step_s": [line["step_time"] for line in taken], "generation_s": seconds}
    for name in ("sampling/sync_s", "sampling/probe_s", "sampling/sampling_logp_difference/max", "sampling/probe/max"):
        if name in taken[0]:
            found[name] = [line[name] for line in taken]
    return {name: statistics.median(values[1:]) for name, values in found.items()}


def _timed_generation() -> list[float]:
    """Has the trainer keep the seconds of each generation, its sync and probe included."""
    seconds: list[float] = []
    generate = SelfplayGRPOTrainer._generate_single_turn

    def timed(self: Any, *asked: Any, **others: Any) -> Any:
        begun = time.monotonic()
        try:
            return generate(self, *asked, **others)
        finally:
            seconds.append(time.monotonic() - begun)

    SelfplayGRPOTrainer._generate_single_turn = timed  # type: ignore[method-assign]
    return seconds


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))))
