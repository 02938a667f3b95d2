"""From verdicts to a TRL reward function. A verdict that could not be reached is no reward (None), never a zero."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selfplay.judging import Item, Judge
from selfplay.run import repair_lines
from selfplay.seeding import derive
from verifiers.composite import component_rewards, mean_component_rewards
from verifiers.model import Task, Test, Verdict

Reward = float | None


def text_of(completion: Any) -> str:
    """The text of a completion as TRL gives it: a string, or a list of messages."""
    if isinstance(completion, str):
        return completion
    return "".join(str(message.get("content", "")) for message in completion)


class VerifiedReward:
    """Judges each completion by its domain's verifier; logs the mean of each domain, and every rollout to a file.

    With `shuffled`, the rewards of a batch are permuted by a seeded generator: a control that must not teach.
    """

    __name__ = "verified"

    def __init__(self, judge: Judge, rollouts: Path, rank: int, seed: int, shuffled: bool) -> None:
        self._judge = judge
        repair_lines(rollouts)
        self._rollouts = rollouts
        self._rank = rank
        self._seed = seed
        self._shuffled = shuffled
        self.seconds = 0.0
        self._calls: Counter[int] = Counter()

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        task_id: Sequence[str],
        domain: Sequence[str],
        task: Sequence[str],
        trainer_state: Any,
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[Reward]:
        """One reward a completion, in order."""
        started = time.monotonic()
        texts = [text_of(completion) for completion in completions]
        items: list[Item] = [
            (name, task_from_json(text), completion) for name, text, completion in zip(domain, task, texts, strict=True)
        ]
        verdicts = self._judge.judge(items)
        step = int(trainer_state.global_step)
        self._log(verdicts, domain, log_metric)
        self._keep(step, task_id, domain, texts, verdicts)
        rewards: list[Reward] = [verdict.reward for verdict in verdicts]
        if self._shuffled:
            random.Random(derive(self._seed, "shuffle", step, self._rank)).shuffle(rewards)
        self.seconds += time.monotonic() - started
        return rewards

    def _log(
        self, verdicts: Sequence[Verdict], domains: Sequence[str], log_metric: Callable[[str, float], None]
    ) -> None:
        for name in sorted(set(domains)):
            mine = [v for v, domain in zip(verdicts, domains, strict=True) if domain == name]
            reached = [v.reward for v in mine if v.reward is not None]
            if reached:
                log_metric(f"reward/{name}", sum(reached) / len(reached))
            log_metric(f"not_checked/{name}", 1 - len(reached) / len(mine))
            for component, mean in mean_component_rewards(mine).items():
                log_metric(f"reward/{name}/{component}", mean)

    def _keep(
        self,
        step: int,
        task_ids: Sequence[str],
        domains: Sequence[str],
        texts: Sequence[str],
        verdicts: Sequence[Verdict],
    ) -> None:
        self._calls[step] += 1
        with self._rollouts.open("a", encoding="utf-8") as file:
            for place, (task_id, domain, text, verdict) in enumerate(
                zip(task_ids, domains, texts, verdicts, strict=True)
            ):
                row = {
                    "step": step,
                    "rank": self._rank,
                    "call": self._calls[step],
                    "place": place,
                    "task_id": task_id,
                    "domain": domain,
                    "completion": text,
                    "passed": verdict.passed,
                    "reward": verdict.reward,
                    "status": verdict.status,
                    "reason": verdict.reason,
                    "components": component_rewards(verdict),
                }
                file.write(json.dumps(row) + "\n")


def task_to_json(task: Task) -> str:
    """A task as one column of a training table."""
    tests = [[test.input, test.output] for test in task.tests]
    return json.dumps({"answer": task.answer, "tests": tests, "prompt": task.prompt})


def task_from_json(text: str) -> Task:
    """The task that `task_to_json` wrote."""
    row = json.loads(text)
    tests = tuple(Test(input=i, output=o) for i, o in row["tests"])
    return Task(answer=row["answer"], tests=tests, prompt=row["prompt"])
