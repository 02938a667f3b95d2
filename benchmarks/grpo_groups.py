"""Which rollouts can teach: GRPO in turn, as TRL does it, against groups topped up and surer labels, by equal tokens.

On three times the quickstart's pool, as it was synthesised and labelled (no difficulty filter), every arm of a seed
starts from the same policy and ends its training once it has generated the same number of completion tokens. Reported
of each arm: the share of those tokens in groups with reward variance, how many groups with variance have a right
label (by the exact solver of the quickstart, which no arm knows), and the held-out accuracy at the end, as a paired
difference to the arm in turn, with a bootstrap interval over problems for each seed and a Student interval over
seeds.

Environment: GROUPS_SEEDS (default 5), GROUPS_TOKENS (default 128000, what two rounds of the quickstart generate),
GROUPS_FOLDER (kept, and gone on with), GROUPS_ARMS (some of them, beside in_turn).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._over_seeds import over_seeds
from selfplay.config.recipe import Recipe
from selfplay.evaluation.evaluate import gain_rows, metric_values, outcomes_of
from selfplay.run.directory import RunDirectory, Stage
from selfplay.run.records import LabelledTask
from selfplay.run.tables import read_table

RECIPE = Path(__file__).resolve().parents[1] / "configs" / "quickstart.yaml"
TURN = "in_turn"
ARMS = {
    TURN: [],
    "topped_up": ["training.grpo.top_up=1"],
    "surest_in_turn": ["training.grpo.min_agreement=0.95"],
}
POOL = ["synthesis.prompts.math=2400", "synthesis.prompts.code=3600"]


def _selfplay(seed: int, run: Path, *arguments: str) -> None:
    common = [f"seed={seed}", *POOL, "labelling.drop=[]", "tracking.wandb.mode=disabled", "--run-dir", str(run)]
    command = [sys.executable, "-m", "selfplay", "run", str(RECIPE), *common, *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _arm(seed: int, run: Path, base: Path, tokens: int, settings: Sequence[str]) -> dict[str, Any]:
    length = [f"training.grpo.token_budget={tokens}", "training.grpo.args.max_steps=100000"]
    whole_pool = ["training.rounds=1", "training.grpo.prompts=0"]
    _selfplay(seed, run, *whole_pool, *length, *settings, "--reuse", str(base))
    summary = json.loads((run / "summary.json").read_text())
    lines = map(json.loads, (run / "metrics.jsonl").open())
    steps = [row["step"] for row in lines if row["stage"] == "selfplay_1" and "step" in row]
    names = ("tokens", "informative_tokens", "informative_share", "groups", "groups_with_variance")
    return {name: summary["rounds"][-1][name] for name in names} | {
        "steps": max(step for step in steps if step is not None),
        "right_labels": _right_labels(run),
        "evaluation": [row for row in summary["evaluation"] if row["round"] == 1],
    }


def _right_labels(run: Path) -> float:
    """Of the groups with reward variance, the share whose label is right."""
    tasks = {task.id: task for task in read_table(run / "stages" / "labelling" / "tasks.parquet", LabelledTask)}
    groups: dict[tuple[int, int, str], set[float]] = {}
    for file in (run / "stages" / "selfplay_1" / "policy-training").glob("rollouts-*.jsonl"):
        for row in map(json.loads, file.open()):
            if row["reward"] is not None:
                groups.setdefault((row["step"], row["call"], row["task_id"]), set()).add(row["reward"])
    right = [tasks[task].label_correct for (_, _, task), rewards in groups.items() if len(rewards) > 1]
    return statistics.mean(map(bool, right))


def _differences(seed: int, before: Path, after: Path) -> list[dict[str, Any]]:
    """What an arm's held-out accuracy is above another's, problem by problem."""
    recipe = Recipe.model_validate(json.loads((after / "recipe.json").read_text()))
    values = [metric_values(outcomes_of(Stage(RunDirectory(run, recipe), "evaluation_1"))) for run in (before, after)]
    return gain_rows(*values, recipe.evaluation, 1, seed)


def run() -> dict[str, Any]:
    """Runs all arms of all seeds and returns what each generated and gained."""
    folder = Path(os.environ.get("GROUPS_FOLDER") or tempfile.mkdtemp(prefix="groups-"))
    tokens, count = int(os.environ.get("GROUPS_TOKENS", "128000")), int(os.environ.get("GROUPS_SEEDS", "5"))
    names = [TURN, *os.environ.get("GROUPS_ARMS", ",".join(name for name in ARMS if name != TURN)).split(",")]
    arms: dict[str, dict[int, Any]] = {name: {} for name in names}
    for seed in range(count):
        base = folder / f"base-{seed}"
        _selfplay(seed, base, "training.rounds=1", "--until", "evaluation_0")
        for name in names:
            own = folder / f"{name}-{seed}"
            arms[name][seed] = _arm(seed, own, base, tokens, ARMS[name])
            if name != TURN:
                arms[name][seed]["above_in_turn"] = _differences(seed, folder / f"{TURN}-{seed}", own)
    return {"tokens": tokens, "seeds": count, "summary": summarise(arms), "arms": arms}


def summarise(arms: dict[str, dict[int, Any]]) -> list[dict[str, Any]]:
    """For each arm: the share of tokens that could teach, its ratio to the arm in turn, and differences over seeds."""
    rows = []
    for name, seeds in arms.items():
        shares = [of_seed["informative_share"] for of_seed in seeds.values()]
        plain = [arms[TURN][seed]["informative_share"] for seed in seeds]
        row: dict[str, Any] = {
            "arm": name,
            "informative_share": over_seeds(shares),
            "ratio_to_in_turn": over_seeds([own / other for own, other in zip(shares, plain, strict=True)]),
            "right_labels": over_seeds([of_seed["right_labels"] for of_seed in seeds.values()]),
            "steps": statistics.mean(of_seed["steps"] for of_seed in seeds.values()),
        }
        if name != TURN:
            row["above_in_turn"] = _over_metrics([of_seed["above_in_turn"] for of_seed in seeds.values()])
        rows.append(row)
    return rows


def _over_metrics(differences: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for of_seed in differences:
        for row in of_seed:
            found.setdefault((row["domain"], row["metric"]), []).append(row)
    return [
        {
            "domain": domain,
            "metric": metric,
            "over_seeds": over_seeds([row["value"] for row in rows]),
            "seeds_above_zero": sum(row["low"] > 0 for row in rows),
            "seeds_below_zero": sum(row["high"] < 0 for row in rows),
        }
        for (domain, metric), rows in found.items()
    ]
