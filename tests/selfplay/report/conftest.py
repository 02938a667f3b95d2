"""A run directory as a finished, or half-finished, run leaves it; all rows are made here."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.recipe import Recipe
from selfplay.run.files import write_json, write_text
from selfplay.run.records import LabelledTask, Prompt, Rollout, Seed
from selfplay.run.tables import write_table
from tests.selfplay.plans import placed, put_plan
from verifiers.model import Task, Test

DOMAINS = ("math", "code")
METRICS = (("avg@4 T=1.0", 0.0), ("avg@4 T=0.6", 0.02), ("pass@4 T=1.0", 0.2), ("greedy", 0.03))
STAGES = (
    *("seeds", "base", "cold_start", "em_1", "em_2", "synthesis", "curation", "labelling", "evaluation_0"),
    *("selfplay_1", "evaluation_1", "selfplay_2", "evaluation_2"),
)
RATES = {"pass_rate": {"edges": [0.0, 0.25, 0.5, 0.75, 1.0], "counts": [3, 5, 2, 9]}}
PROBLEM = "Mia has 14 apples and buys 3 bags of 5 apples. She gives 7 away. How many are left?"
CODE_PROBLEM = "Read a list of integers on one line. Print the sum of the even ones."


class FakeRun:
    """Writes the files of a run below `path`, up to and including the stage `until`."""

    def __init__(self, path: Path, until: str = STAGES[-1], prompts: int = 300, hostile: str = "") -> None:
        self.path = path
        self.stages = STAGES[: STAGES.index(until) + 1]
        self.count = prompts
        self.hostile = hostile
        self.rng = random.Random(0)

    def write(self) -> Path:
        self._recipe()
        for name in self.stages:
            getattr(self, f"_{name.partition('_')[0]}", lambda _: None)(name)
            self._manifest(name)
        self._metrics()
        if self.stages == STAGES:
            self._summary()
        return self.path

    def _recipe(self) -> None:
        recipe = Recipe.model_validate(
            {
                "name": "example",
                "model": {"kind": "scratch"},
                "domains": {
                    "math": {"seeds": {"kind": "quickstart", "grammar": "math"}},
                    "code": {"seeds": {"kind": "quickstart", "grammar": "code"}, "verifier": "code"},
                },
                "training": {"grpo": {"args": {"note": self.hostile.replace("\0", "")}}},
            }
        )
        write_json(self.path / "recipe.json", recipe.model_dump(mode="json"))
        put_plan(self.path)

    def _manifest(self, name: str) -> None:
        seconds = {"base": 62.0, "selfplay": 41.0, "em": 19.0}.get(name.partition("_")[0], 9.0)
        content = {
            "stage": name,
            "seconds": seconds,
            "recipe_hash": "0",
            "code_version": "0",
            "counts": {"rows": 3},
        }
        write_json(self.path / "stages" / name / "manifest.json", content)

    def _table(self, stage: str, table: str, record: type[Any], rows: Sequence[Any]) -> None:
        write_table(self.path / "stages" / stage / f"{table}.parquet", record, rows)

    def _synthesis(self, name: str) -> None:
        rows = [self._prompt(index) for index in range(self.count)]
        self._table(name, "prompts", Prompt, rows)

    def _curation(self, name: str) -> None:
        rows = []
        for index in range(self.count):
            prompt = self._prompt(index)
            if not prompt.dropped:
                rows.append(self._prompt(index, f"near duplicate (of p{index - 1})" if index % 5 == 1 else ""))
        self._table(name, "prompts", Prompt, rows)

    def _prompt(self, index: int, dropped: str | None = None) -> Prompt:
        if dropped is None:
            dropped = "parse: no problem block" if index % 6 == 0 else ""
        domain = DOMAINS[index % 2]
        problem = CODE_PROBLEM if domain == "code" else PROBLEM
        return Prompt(
            id=f"p{index}",
            domain=domain,
            concepts=("multi-step sums", self.hostile or "giving away"),
            level=self.hostile or "easy",
            rationale=self.hostile or "Start with a stock, add groups of equal size, then take some away.",
            problem=self.hostile or problem,
            completion=self.hostile or problem,
            dropped=dropped,
            model="em_2/p",
            temperature=0.8,
            seed=index,
        )

    def _labelling(self, name: str) -> None:
        tasks, rollouts = [], []
        for index in range(self.count):
            if index % 6 == 0 or index % 5 == 1:
                continue
            tasks.append(self._task(index))
            rollouts += [self._rollout(f"t{index}", index, sample, 0) for sample in range(4)]
        self._table(name, "tasks", LabelledTask, tasks)
        self._table(name, "completions", Rollout, rollouts)

    def _task(self, index: int) -> LabelledTask:
        agreement = self.rng.randint(3, 8) / 8
        code = index % 2 == 1
        return LabelledTask(
            id=f"t{index}",
            prompt_id=f"p{index}",
            domain=DOMAINS[index % 2],
            task=Task(
                problem=self.hostile or (CODE_PROBLEM if code else PROBLEM),
                answer=None if code else (self.hostile or "22"),
                tests=(Test(self.hostile or "1 2 3 4", "6"),) if code else (),
            ),
            agreement=agreement,
            pass_rate=agreement,
            dropped="agreement below 0.5" if agreement < 0.5 else ("always solved" if agreement == 1 else ""),
            label_correct=None if code else self.rng.random() < agreement,
        )

    def _rollout(self, task: str, index: int, sample: int, round_: int, mode: str = "T=1.0") -> Rollout:
        passed = [True, False, None][self.rng.choices((0, 1, 2), (5, 4, 1))[0]]
        return Rollout(
            id=f"{task}-{round_}-{mode}-{sample}",
            task_id=task,
            domain=DOMAINS[index % 2],
            round=round_,
            mode=mode,
            index=sample,
            completion=self.hostile
            or f"14 + 3 * 5 = 29. 29 - 7 = {22 if passed else 21}. \\boxed{{{22 if passed else 21}}}",
            passed=passed,
            reward=None if passed is None else float(passed),
            status={True: "correct", False: "wrong", None: "timed_out"}[passed],
            reason=self.hostile or {True: "", False: "21 is not 22", None: "no verdict within 5 s"}[passed],
        )

    def _selfplay(self, name: str) -> None:
        round_ = int(name[-1])
        tasks = [index for index in range(self.count) if index % 6 and index % 5 != 1]
        rows = [self._rollout(f"t{index}", index, sample, round_) for index in tasks for sample in range(4)]
        self._table(name, "rollouts", Rollout, rows)

    def _evaluation(self, name: str) -> None:
        """Ten held-out problems, each solved in its own rounds."""
        round_, rows = int(name[-1]), []
        for index in range(10):
            passed = bool((0b011, 0b110, 0b110, 0b100, 0b100, 0b001, 0b010, 0b000, 0b111, 0b101)[index] >> round_ & 1)
            for mode in ("T=1.0", "greedy"):
                right = passed if mode == "greedy" else True
                text = self.hostile or f"So {index + right}."
                status = "correct" if right else "wrong"
                rows.append(
                    Rollout(
                        f"{index}-{mode}-{round_}", f"h{index}", "math", round_, mode, 0, text, right, 1.0, status, ""
                    )
                )
        self._table(name, "rollouts", Rollout, rows)

    def _seeds(self, name: str) -> None:
        rows = [
            Seed(
                f"h{n}", "math", "heldout", "x", ("sums",), "easy", "", Task(f"What is {n} + 1?", str(n + 1)), "", None
            )
            for n in range(10)
        ]
        self._table(name, "heldout", Seed, rows)

    def _metrics(self) -> None:
        lines = []
        for name in self.stages:
            if name.startswith("evaluation_"):
                accuracy = {"math/greedy": 0.413, "code/greedy": 0.47}
                lines.append({"time": 1e9, "stage": name, "step": int(name[-1]), "metrics": accuracy})
                figures = {"rollouts/status/wrong/math": 0.587, "rollouts/zero_variance_share": 0.625}
                lines.append({"time": 1e9, "stage": name, "step": None, "metrics": figures, "histograms": RATES})
            if name in ("base", "cold_start", "em_1"):
                model = "" if name == "base" else "prompt-model/"
                losses = [{f"{model}loss": 3.0 / (1 + step)} for step in range(20)]
                lines += [{"time": 1e9, "stage": name, "step": step, "metrics": m} for step, m in enumerate(losses)]
            if name.startswith("selfplay_"):
                base = 0.35 if name == "selfplay_1" else 0.47
                for step in range(60):
                    reward = base + 0.15 * (1 - math.exp(-step / 20)) + self.rng.gauss(0, 0.04)
                    metrics = {
                        "reward": reward,
                        "kl": 0.001 * step,
                        "loss": 0.01 * math.sin(step),
                        "entropy": 1 - step / 90,
                    }
                    metrics |= {"completions/mean_length": 90 + step, "completions/clipped_ratio": step / 900}
                    metrics["groups/with_variance"] = 0.9 - step / 90
                    metrics |= {f"reward/{domain}": reward + 0.1 * place for place, domain in enumerate(DOMAINS)}
                    metrics |= {"reward/math/form": 0.9, "reward/math/math": reward}
                    metrics |= {"time/generation": 2.0, "time/reward": 0.1, "time/update": 1 + step / 60}
                    lines.append({"time": 1e9 + step, "stage": name, "step": step, "metrics": metrics})
                shares = {f"rollouts/status/s{n}/math": n / 100 for n in range(1, 8)}
                shares["rollouts/status/correct/math"] = 0.72
                lines.append({"time": 1e9, "stage": name, "step": None, "metrics": shares, "histograms": RATES})
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(placed(line)) + "\n" for line in lines))

    def _summary(self) -> None:
        evaluation, gains = [], []
        for domain in DOMAINS:
            for metric, offset in METRICS:
                for round_ in range(3):
                    value = (0.38 if domain == "math" else 0.44) + offset + 0.05 * round_
                    row = {"round": round_, "domain": domain, "metric": metric, "n": 400}
                    evaluation.append({**row, "value": value, "low": value - 0.03, "high": value + 0.032})
                    if round_:
                        gain = 0.05 * round_
                        gains.append({**row, "value": gain, "low": gain - 0.021, "high": gain + 0.02})
        em = [
            {
                "round": float(round_),
                "joint_nll": 41.0 - 2.2 * round_,
                "bound": 39.0 - 2.0 * round_,
                "nll_given_rationale": 15.0 - 1.1 * round_,
                "nll_without_rationale": 31.0 - 0.2 * round_,
                "reward": -44.0 + 2.6 * round_,
                "length": 28.0 - 0.8 * round_,
                "copy_rate": 0.12 + 0.01 * round_,
                "parse_rate": 0.8 + 0.05 * round_,
            }
            for round_ in range(3)
        ]
        lost = {
            "parse: no problem block": 50,
            "near duplicate": 48,
            "agreement below 0.5": 34,
            "always solved": 31,
        }
        write_json(
            self.path / "summary.json",
            {
                "name": "example",
                "algorithm": "grpo",
                "evaluation": evaluation,
                "gains": gains,
                "prompts": {"made": self.count, "kept": 137, "lost": lost},
                "labels": {"accuracy": 0.874, "n": 71},
                "em": em,
                "stages": [{"name": name, "seconds": 62.0 if name == "base" else 14.5} for name in STAGES],
                "overhead_share": 0.043,
                "seed": 3,
                "versions": {"promptcot": "0.1.0", "torch": "2.13.0", "trl": "1.16.0", "python": "3.11.7"},
                "total_seconds": 236.0,
                "paths": {
                    "model": "runs/example/stages/selfplay_2/policy",
                    "report": "runs/example/report.html",
                    "metrics": "runs/example/metrics.jsonl",
                },
            },
        )


@pytest.fixture
def fake_run(tmp_path: Path) -> Callable[..., Path]:
    """Makes a run directory; arguments as for FakeRun."""

    def make(**settings: Any) -> Path:
        return FakeRun(tmp_path / "example", **settings).write()

    return make
