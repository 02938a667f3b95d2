"""The quickstart's gains over five seeds, for each update rule and its controls. Takes most of an hour on two cores.

Arms: grpo, dpo, rft; shuffled (grpo on permuted rewards: must not gain); continued_sft (the same number of updates on
the seeds' own solutions); frozen (EM with q as it came from the cold start, for the EM measures).
Everything before self-play is shared by the arms of a seed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SEEDS = 5
RECIPE = Path(__file__).resolve().parents[1] / "configs" / "quickstart.yaml"
ARMS = {
    "dpo": ["training.algorithm=dpo"],
    "rft": ["training.algorithm=rft"],
    "shuffled": ["training.rewards=shuffled"],
    "continued_sft": ["training.algorithm=continued_sft"],
}


def _selfplay(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "selfplay", "run", str(RECIPE), *arguments], check=True)


def _last_round(run: Path) -> list[dict[str, Any]]:
    summary = json.loads((run / "summary.json").read_text())
    last = max(row["round"] for row in summary["gains"])
    return [row for row in summary["gains"] if row["round"] == last]


def run() -> dict[str, Any]:
    """Runs all arms of all seeds and returns their gains in the last round, and the EM measures by round."""
    folder = Path(os.environ.get("ARMS_FOLDER") or tempfile.mkdtemp(prefix="arms-"))
    gains: dict[str, dict[int, Any]] = {}
    em: dict[str, dict[int, Any]] = {"trained": {}, "frozen": {}}
    details: dict[int, Any] = {}
    for seed in range(SEEDS):
        whole = folder / f"grpo-{seed}"
        _selfplay(f"seed={seed}", "--run-dir", str(whole))
        summary = json.loads((whole / "summary.json").read_text())
        gains.setdefault("grpo", {})[seed] = _last_round(whole)
        em["trained"][seed] = summary["em"]
        details[seed] = {name: summary[name] for name in ("prompts", "labels", "overhead_share", "total_seconds")}
        details[seed]["base"] = [row for row in summary["evaluation"] if row["round"] == 0]
        for arm, settings in ARMS.items():
            own = folder / f"{arm}-{seed}"
            _selfplay(f"seed={seed}", *settings, "--run-dir", str(own), "--reuse", str(whole))
            gains.setdefault(arm, {})[seed] = _last_round(own)
        frozen = folder / f"frozen-{seed}"
        where = ["--run-dir", str(frozen), "--reuse", str(whole)]
        _selfplay(f"seed={seed}", "em.e_step=frozen", "--until", "em_2", *where)
        stages = ["cold_start", "em_1", "em_2"]
        manifests = [json.loads((frozen / "stages" / name / "manifest.json").read_text()) for name in stages]
        em["frozen"][seed] = [manifest["counts"]["row"] for manifest in manifests]
    return {"gains": gains, "em": em, "runs": details, "summary": _summary(gains)}


def _summary(gains: dict[str, dict[int, Any]]) -> list[dict[str, Any]]:
    """For each arm, domain and metric: the median gain, and on how many seeds its interval lies above or below 0."""
    rows = []
    for arm, seeds in gains.items():
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for of_seed in seeds.values():
            for row in of_seed:
                found.setdefault((row["domain"], row["metric"]), []).append(row)
        for (domain, metric), same in found.items():
            rows.append(
                {
                    "arm": arm,
                    "domain": domain,
                    "metric": metric,
                    "median_gain": statistics.median(row["value"] for row in same),
                    "least": min(row["value"] for row in same),
                    "most": max(row["value"] for row in same),
                    "above_zero": sum(row["low"] > 0 for row in same),
                    "below_zero": sum(row["high"] < 0 for row in same),
                    "seeds": len(same),
                }
            )
    return rows
