"""Steps of one GRPO training in a process of its own, and where their seconds went; started by `grpo_rollouts`.

`python -m benchmarks._rollout_steps ROLLOUTS MODEL COMPLETIONS TOKENS STEPS [DEVICE [DTYPE]]`.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._child import peak_mb
from benchmarks._gpu.models import random_model
from benchmarks._memory_works import SIZES
from benchmarks._steps import Stopwatch, watch_steps
from selfplay.config.domains import Domain
from selfplay.config.rules import GRPORule
from selfplay.config.sandbox import SandboxSettings
from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds, tiny_model
from selfplay.rollouts.reward_function import VerifiedReward
from selfplay.run.records import PolicyTask
from selfplay.run.tables import write_table
from selfplay.trl_trainers.grpo import train_grpo
from selfplay.trl_trainers.grpo_trainer import SelfplayGRPOTrainer
from selfplay.trl_trainers.jobs import GRPOJob, Placement
from verifiers.model import Task

GROUP = 8
LEAST = {"vllm": "min_tokens", "server": "min_tokens", "transformers": "min_new_tokens"}
"""The argument by which every completion has the same length, in each engine's words."""
SAMPLING = (
    *("sampling/sync_s", "sampling/probe_s", "sampling/probe/max"),
    *("sampling/sampling_logp_difference/max", "sampling/staleness", "sampling/clip_share"),
)
"""Of what is logged, when vLLM rolls out."""


def main(
    rule: GRPORule, model: str, completions: int, tokens: int, steps: int, device: str = "cpu", dtype: str = "float32"
) -> dict[str, Any]:
    """Trains, and gives the median seconds of all steps but the first.

    Args:
        rule: with the engine of the rollouts.
        model: a folder in float32; `tiny` makes one, `FOLDER:SIZE` one of `_memory_works.SIZES` in that folder.
        completions: of a step.
        tokens: of each completion.
        steps: in all.
        device: `cpu` or `cuda`.
        dtype: in which an engine opens the model.
    """
    folder = Path(tempfile.mkdtemp(prefix="rollouts-"))
    problems = seeds.generate("math", completions // GROUP * steps, 0)
    models, _, size = model.rpartition(":")
    place = folder / "model" if model == "tiny" else Path(model)
    if model == "tiny":
        tokenizer = tiny_model.build_tokenizer([f"{p.problem} {p.solution}" for p in problems], 800)
        tiny_model.save(tokenizer, tiny_model.build_model(tokenizer, 0), place)
    elif size in SIZES:
        place = Path(random_model(size, dtype, Path(models)).path)
    rows = [PolicyTask(f"t{n}", "math", p.problem, Task(answer=p.answer)) for n, p in enumerate(problems)]
    write_table(folder / "tasks.parquet", PolicyTask, rows)
    job = GRPOJob(
        model=ModelRef.local(place, place.name, dtype, chat=False),
        tasks=folder / "tasks.parquet",
        args={
            "max_steps": steps,
            "per_device_train_batch_size": GROUP,
            "gradient_accumulation_steps": completions // GROUP,
            "num_generations": GROUP,
            "max_completion_length": tokens,
            "generation_kwargs": {LEAST[rule.rollouts]: tokens},
            "learning_rate": 1e-6,
            "beta": 0.0,
        },
        rule=rule,
        domains={"math": Domain.model_validate({"seeds": {"kind": "quickstart", "grammar": "math"}})},
        sandbox=SandboxSettings(),
        store=folder / "store",
    )
    watch = Stopwatch()
    watch_steps(watch)
    generation, reward, correction = _timed_generation(), _timed_reward(), _timed_correction()
    with contextlib.redirect_stdout(sys.stderr):
        train_grpo(job, Placement(device, 3, folder / "work", folder / "out"))
    lines = [json.loads(line)["metrics"] for line in (folder / "work/log.jsonl").read_text().splitlines()]
    taken = [line for line in lines if "step_time" in line]
    found = {"step_s": [line["step_time"] for line in taken], "generation_s": generation, "reward_s": reward}
    found["whole_s"], found["whole_cpu_s"] = watch.seconds, watch.cpu
    parts = zip(watch.seconds, generation, reward, strict=True)
    found["update_s"] = [whole - made - judged for whole, made, judged in parts]
    if correction:
        found["correction_s"] = correction
    for name in SAMPLING:
        if name in taken[0]:
            found[name] = [line[name] for line in taken]
    medians = {name: statistics.median(values[1:]) for name, values in found.items()}
    return medians | {"peak_mb": _peak_mb(device), "completions": completions, "tokens": tokens}


def _peak_mb(device: str) -> int:
    """Megabytes that torch has given out at most; of a CPU what was resident."""
    if device == "cpu":
        return peak_mb()
    import torch

    return int(torch.cuda.max_memory_allocated()) // 2**20


def _timed_generation() -> list[float]:
    """Has the trainer keep the seconds of each generation, its sync and probe included."""
    seconds: list[float] = []
    generate = SelfplayGRPOTrainer._generate_single_turn

    def timed(self: Any, *asked: Any, **others: Any) -> Any:
        with _added(seconds):
            return generate(self, *asked, **others)

    SelfplayGRPOTrainer._generate_single_turn = timed  # type: ignore[method-assign]
    return seconds


def _timed_correction() -> list[float]:
    """Has the trainer keep the seconds of the pass by which TRL weighs what another engine has sampled."""
    seconds: list[float] = []
    score = SelfplayGRPOTrainer._get_per_token_logps_and_entropies

    def timed(self: Any, *asked: Any, **others: Any) -> Any:
        import torch

        # The update's own passes keep gradients.
        with contextlib.nullcontext() if torch.is_grad_enabled() else _added(seconds):
            return score(self, *asked, **others)

    SelfplayGRPOTrainer._get_per_token_logps_and_entropies = timed  # type: ignore[method-assign]
    return seconds


def _timed_reward() -> list[float]:
    """Has the reward function keep the seconds of each batch of verdicts."""
    seconds: list[float] = []
    judge = VerifiedReward.judge

    async def timed(self: Any, *asked: Any) -> Any:
        with _added(seconds):
            return await judge(self, *asked)

    VerifiedReward.judge = timed  # type: ignore[method-assign]
    return seconds


@contextlib.contextmanager
def _added(seconds: list[float]) -> Iterator[None]:
    begun = time.monotonic()
    try:
        yield
    finally:
        seconds.append(time.monotonic() - begun)


if __name__ == "__main__":
    engine: Any = sys.argv[1]
    print(json.dumps(main(GRPORule(rollouts=engine), sys.argv[2], *map(int, sys.argv[3:6]), *sys.argv[6:8])))
