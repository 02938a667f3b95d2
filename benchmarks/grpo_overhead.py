"""What self-play adds to a GRPO step of TRL: the same steps by TRL's own trainer and by ours, taken in turns.

All trainers live in one process and hand a baton from step to step, so that whatever else the machine does hits them
alike. A step is timed from its beginning to the beginning of the next one: rollouts, rewards, update and log. All
complete every prompt to the same length. TRL's trainer has a reward that costs nothing; ours judge by the math
verifier, and keep verdicts and rollouts. One more arm has a verifier that takes 200 ms a completion. OVERHEAD_STEPS
sets the number of rounds (default 40).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds, tiny_model
from selfplay.rollouts.reward_function import VerifiedReward
from selfplay.rollouts.rollout_log import RolloutLog
from selfplay.trl_trainers import arguments
from selfplay.trl_trainers.grpo_state import KeepGroups
from selfplay.trl_trainers.rollout_groups import Tally
from verifiers.model import Task

WARM_UP = 3
GROUP, GROUPS, TOKENS = 8, 8, 64
SLOW_S = 0.2


def slow(task: Task, completion: str) -> bool:
    """A verifier that waits for somebody else, such as a judge behind an endpoint."""
    time.sleep(SLOW_S)
    return len(completion) % 2 == 0


def free(completions: list[str], **_: Any) -> list[float]:
    """A reward that costs nothing."""
    return [float(len(text) % 2) for text in completions]


class Baton:
    """Lets the trainers take their steps in turn, and keeps the time of each."""

    def __init__(self, names: list[str]) -> None:
        self._turn, self._left = 0, list(names)
        self._changed = threading.Condition()
        self.seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        """Of each step: on the wall, and of this process's processors."""
        self._begun: dict[str, tuple[float, float]] = {}

    def step(self, name: str, last: bool = False) -> None:
        """A trainer begins a step, or is done: the others take theirs before it goes on."""
        if name in self._begun:
            wall, busy = self._begun[name]
            self.seconds[name].append((time.perf_counter() - wall, time.process_time() - busy))
        with self._changed:
            at = self._left.index(name)
            if name in self._begun or last:
                self._turn = at if last else (at + 1) % len(self._left)
            if last:
                self._left.remove(name)
                self._turn %= max(len(self._left), 1)
                self._changed.notify_all()
                return
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._left[self._turn] == name)
        self._begun[name] = time.perf_counter(), time.process_time()


def _model(folder: Path) -> ModelRef:
    problems = seeds.generate("math", 400, 0)
    tokenizer = tiny_model.build_tokenizer([f"{p.problem} {p.solution}" for p in problems], 800)
    tiny_model.save(tokenizer, tiny_model.build_model(tokenizer, 0), folder)
    return ModelRef.local(folder, "tiny", "float32", chat=False)


def _rows() -> list[dict[str, Any]]:
    return [
        {
            "row": place,
            "prompt": problem.problem,
            "task_id": str(place),
            "domain": "math",
            "problem": problem.problem,
            "answer": problem.answer,
            "tests": [],
        }
        for place, problem in enumerate(seeds.generate("math", 400, 1))
    ]


def _recipe(verifier: str) -> Recipe:
    source = {"kind": "quickstart", "grammar": "math"}
    domains = {"math": {"seeds": source, "verifier": verifier}}
    return Recipe.model_validate({"name": "overhead", "model": {"kind": "scratch"}, "domains": domains})


class _Arms:
    """Makes the trainers, alike but for what is compared."""

    def __init__(self, folder: Path, steps: int, baton: Baton) -> None:
        self._folder = folder
        self._steps = steps
        self._baton = baton
        self._rows = _rows()
        self._model = _model(folder / "model")

    def common(self, name: str) -> dict[str, Any]:
        from datasets import Dataset
        from transformers import TrainerCallback

        from selfplay.engines.loading import load_for_training

        baton = self._baton

        class TakeTurns(TrainerCallback):
            def on_step_begin(self, *_: Any, **__: Any) -> None:
                baton.step(name)

        network, tokenizer = load_for_training(self._model, False)
        args = {
            "max_steps": self._steps,
            "per_device_train_batch_size": GROUP * GROUPS,
            "num_generations": GROUP,
            "max_completion_length": TOKENS,
            "generation_kwargs": {"min_new_tokens": TOKENS},
            "learning_rate": 1e-4,
            "beta": 0.0,
        }
        return {
            "model": network,
            "processing_class": tokenizer,
            "args": arguments.build("grpo", args, str(self._folder / name), 0, "cpu"),
            "train_dataset": Dataset.from_list(self._rows),
            "callbacks": [TakeTurns()],
        }

    def plain(self, name: str) -> Any:
        from trl import GRPOTrainer

        return GRPOTrainer(reward_funcs=free, **self.common(name))

    def selfplay(self, name: str, verifier: str) -> tuple[Any, Any]:
        from selfplay.rollouts.judge import Judge
        from selfplay.rollouts.overlapped import OverlappedJudge
        from selfplay.trl_trainers.grpo_trainer import SelfplayGRPOTrainer

        settings = _recipe(verifier).training.grpo
        judge = OverlappedJudge(
            Judge(_recipe(verifier), self._folder / name / "store", workers=1),
            settings.reward_threads,
            settings.reward_timeout_s,
        )
        reward = VerifiedReward(judge, RolloutLog(self._folder / name / "rollouts.jsonl", 0), 0, 0, False)
        tally = Tally()
        common = self.common(name)
        common["callbacks"].append(KeepGroups(tally, None, 0))
        trainer = SelfplayGRPOTrainer(
            reward_funcs=reward, pool=self._rows, walk=None, top_up=0.0, tally=tally, **common
        )
        return trainer, judge


def run() -> dict[str, Any]:
    """Returns the median seconds of a step of each arm, and what they are of those of TRL's own trainer."""
    import torch

    torch.set_num_threads(1)
    steps = int(os.environ.get("OVERHEAD_STEPS", "40")) + WARM_UP
    kinds = {"math": "math", "slow": f"{__name__}:slow"}
    baton = Baton(["plain", *kinds])
    with tempfile.TemporaryDirectory(prefix="grpo-overhead-") as name:
        arms = _Arms(Path(name), steps, baton)
        made = {kind: arms.selfplay(kind, verifier) for kind, verifier in kinds.items()}
        trainers = {"plain": arms.plain("plain")} | {kind: trainer for kind, (trainer, _) in made.items()}
        faults: list[BaseException] = []
        threads = [threading.Thread(target=_train, args=[kind, t, baton, faults]) for kind, t in trainers.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for _, judge in made.values():
            with closing(judge):
                pass
        if faults:
            raise faults[0]
    return _figures({kind: seconds[WARM_UP:] for kind, seconds in baton.seconds.items()})


def _train(name: str, trainer: Any, baton: Baton, faults: list[BaseException]) -> None:
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    try:
        trainer.train()
    except BaseException as error:  # noqa: BLE001 - raised again by whoever joins this thread
        faults.append(error)
    finally:
        baton.step(name, last=True)


def _figures(seconds: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "steps": len(seconds["plain"]),
        "completions_a_step": GROUP * GROUPS,
        "tokens_a_completion": TOKENS,
    }
    for place, clock in enumerate(("wall", "processor")):
        plain = [step[place] for step in seconds["plain"]]
        figures[clock] = {"plain_step_s": statistics.median(plain)}
        for name, steps in seconds.items():
            if name != "plain":
                figures[clock][name] = _compared([step[place] for step in steps], plain)
    return figures


def _compared(own: list[float], plain: list[float]) -> dict[str, float]:
    return {
        "step_s": statistics.median(own),
        "ratio_of_medians": statistics.median(own) / statistics.median(plain),
        "median_of_paired_ratios": statistics.median(a / b for a, b in zip(own, plain, strict=True)),
        "median_added_s": statistics.median(a - b for a, b in zip(own, plain, strict=True)),
    }
