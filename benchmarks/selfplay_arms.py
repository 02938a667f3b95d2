"""The quickstart's gains over five seeds: each update rule, and what each would gain without what self-play is about.

For every rule of `grpo`, `dpo` and `rft`:

RULE            the recipe: synthesised problems, labels by vote, two rounds
RULE_external   (a) the same updates on the seed problems alone, with their true answers and tests
RULE_shuffled   (b) random rewards: those of a batch, permuted

and for grpo (c), with new problems in round 2:

grpo_again      no feedback: p and q stay as they were
grpo_feedback   what the policy found learnable in round 1 goes back to p and q
grpo_any        as many pairs whatever their pass rate: is it what is learnable that helps, or merely more?

and, in the environment of `make vllm` and only where ARMS_NAMES asks for them, one round on the seed problems:

grpo_served     rollouts by a vLLM server, each batch drawn with the newest weights
grpo_ahead      the same, one batch ahead (`max_staleness: 1`)

What the arms of a seed have in common is made once, by the first of them. Beside the figures a plot is written,
`arms.svg`. Takes about an hour and a half on two cores. Environment: ARMS_SEEDS (default 5), ARMS_FOLDER (kept, and
gone on with), ARMS_NAMES (some of them, as in grpo,dpo).
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._arms_plot import draw_arms
from benchmarks._over_seeds import over_seeds

RECIPE = Path(__file__).resolve().parents[1] / "configs" / "quickstart.yaml"
RULES = ("grpo", "dpo", "rft")
AGAIN = "training.pool.each_round=resynthesise"
FEEDBACK = "synthesis.feedback={low: 0.2, high: 0.8, prompts: 200"
SERVED = [
    "training.pool.arm=external",
    "training.rounds=1",
    "training.grpo.rollouts=server",
    "training.grpo.args.vllm_max_model_length=512",
]
NEED_VLLM = ("grpo_served", "grpo_ahead")
ARMS: dict[str, list[str]] = {
    **{rule: [f"training.algorithm={rule}"] for rule in RULES},
    **{f"{rule}_external": [f"training.algorithm={rule}", "training.pool.arm=external"] for rule in RULES},
    **{f"{rule}_shuffled": [f"training.algorithm={rule}", "training.rewards=shuffled"] for rule in RULES},
    "grpo_again": [AGAIN],
    "grpo_feedback": [AGAIN, FEEDBACK + "}"],
    "grpo_any": [AGAIN, FEEDBACK + ", choice: any}"],
    "grpo_served": SERVED,
    "grpo_ahead": [*SERVED, "training.grpo.max_staleness=1"],
}
AGAINST = [
    *((rule, f"{rule}_external") for rule in RULES),
    *((rule, f"{rule}_shuffled") for rule in RULES),
    ("grpo_again", "grpo"),
    ("grpo_feedback", "grpo_again"),
    ("grpo_feedback", "grpo_any"),
    ("grpo_ahead", "grpo_served"),
]
"""Pairs of arms whose difference is reported, seed by seed."""

Row = dict[str, Any]


def run() -> dict[str, Any]:
    """Runs all arms of all seeds, and returns their gains in the last round, by seed and over seeds."""
    if importlib.util.find_spec("matplotlib") is None:
        sys.exit("matplotlib draws the plot at the end: pip install matplotlib")
    folder = Path(os.environ.get("ARMS_FOLDER") or tempfile.mkdtemp(prefix="arms-"))
    count = int(os.environ.get("ARMS_SEEDS", "5"))
    names = os.environ.get("ARMS_NAMES", ",".join(arm for arm in ARMS if arm not in NEED_VLLM)).split(",")
    gains: dict[str, list[list[Row]]] = {arm: [] for arm in names}
    details: list[Row] = []
    for seed in range(count):
        whole = folder / f"{names[0]}-{seed}"
        for arm in names:
            own = folder / f"{arm}-{seed}"
            reuse = [] if own == whole else ["--reuse", str(whole)]
            _selfplay(f"seed={seed}", *ARMS[arm], "--run-dir", str(own), *reuse)
            gains[arm].append(_last_round(own))
        summary = json.loads((whole / "summary.json").read_text())
        details.append({name: summary[name] for name in ("prompts", "labels", "overhead_share", "total_seconds")})
        details[-1]["base"] = [row for row in summary["evaluation"] if row["round"] == 0]
    arms = {arm: _over_seeds(rows) for arm, rows in gains.items()}
    differences = [
        {"arm": arm, "above": other, "metrics": _differences(gains[arm], gains[other])}
        for arm, other in AGAINST
        if {arm, other} <= gains.keys()
    ]
    plot = folder / "arms.svg"
    draw_arms(arms, plot, f"{RECIPE.stem}: gains in held-out accuracy after two rounds")
    return {"seeds": count, "arms": arms, "differences": differences, "runs": details, "plot": str(plot)}


def _selfplay(*arguments: str) -> None:
    common = ["tracking.wandb.mode=disabled", "evaluation.temperatures=[1.0]"]
    command = [sys.executable, "-m", "selfplay", "run", str(RECIPE), *common, *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _last_round(run: Path) -> list[Row]:
    summary = json.loads((run / "summary.json").read_text())
    last = max(row["round"] for row in summary["gains"])
    return [row for row in summary["gains"] if row["round"] == last]


def _by_metric(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {f"{row['domain']} {row['metric']}": row for row in rows}


def _over_seeds(seeds: Sequence[Sequence[Row]]) -> dict[str, Row]:
    """For each domain and metric the gain over seeds, of each seed, and how many seeds' own intervals exclude 0."""
    found = [_by_metric(rows) for rows in seeds]
    return {
        name: {
            **over_seeds([rows[name]["value"] for rows in found]),
            "seeds": [rows[name]["value"] for rows in found],
            "above_zero": sum(rows[name]["low"] > 0 for rows in found),
            "below_zero": sum(rows[name]["high"] < 0 for rows in found),
        }
        for name in found[0]
    }


def _differences(arm: Sequence[Sequence[Row]], other: Sequence[Sequence[Row]]) -> dict[str, Row]:
    pairs = [(_by_metric(own), _by_metric(theirs)) for own, theirs in zip(arm, other, strict=True)]
    return {
        name: over_seeds([own[name]["value"] - theirs[name]["value"] for own, theirs in pairs]) for name in pairs[0][0]
    }
