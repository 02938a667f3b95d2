"""Stages of a run by local workers and by those of a Ray cluster, each run a process of its own, in turn.

Both go on from the same run, and end after the first evaluation. A stage's seconds are those of its run, whose workers
have their libraries loaded by then; what a run needs before its first stage is given apart.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from selfplay.run.plan import read_plan
from selfplay.stage.hooks import Callbacks, Figures, StageInfo

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "configs" / "quickstart.yaml"
STAGES = ("labelling", "evaluation_0")
BEFORE = "curation"
"""The last stage that the runs have in common."""
ARMS = ("local", "ray")
TAKEN_OVER_S = 10.0
"""More than it takes to take a stage over."""
SPENT = "stage-seconds.json"


class SpentByStage(Callbacks):
    """Writes what each stage took, by the clock and of the processor, into the folder of the run."""

    def __init__(self) -> None:
        self._begun = time.monotonic(), 0.0
        self._spent: dict[str, dict[str, float]] = {}
        self._folder = Path()

    def run_begins(self, folder: Path) -> None:
        """Keeps where the run is."""
        self._folder = folder

    def stage_begins(self, stage: StageInfo) -> None:
        """Starts both clocks."""
        self._begun = time.monotonic(), processor_seconds()

    def stage_ends(self, stage: StageInfo, figures: Figures) -> None:
        """Reads both clocks."""
        seconds, processor = (
            now - then for now, then in zip((time.monotonic(), processor_seconds()), self._begun, strict=True)
        )
        self._spent[stage.name] = {"seconds": seconds, "processor_seconds": processor}
        (self._folder / SPENT).write_text(json.dumps(self._spent))


def processor_seconds() -> float:
    """Of this process and all below it, with those that have ended and were waited for."""
    own = psutil.Process()
    total = 0.0
    for one in (own, *own.children(recursive=True)):
        try:
            total += sum(one.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def compare_stages(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Medians of both arms, and the medians of the turns' ratios, for each stage and for the whole command."""
    base = _common_run(given, folder)
    spent: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    tables: dict[str, set[str]] = {arm: set() for arm in ARMS}
    load = []
    for turn in range(given.turns):
        for arm in ARMS if turn % 2 == 0 else reversed(ARMS):
            load.append(round(os.getloadavg()[0], 1))
            run = folder / f"{arm}-{turn}"
            began = time.monotonic()
            _selfplay(run, given, f"compute.executor={arm}", "--reuse", base, "--until", STAGES[-1])
            whole = time.monotonic() - began
            found = json.loads((run / SPENT).read_text())
            if again := [name for name, own in found.items() if name not in STAGES and own["seconds"] > TAKEN_OVER_S]:
                sys.exit(f"--base: {again[0]} was made again, as its settings or the code are others; leave it out")
            before = json.loads((run / "clock.json").read_text())["stages"]["start-up"]["seconds"]
            spent[arm].append({**found, "start-up": {"seconds": before}, "whole command": {"seconds": whole}})
            print(f"turn {turn}, {arm}: {json.dumps(spent[arm][-1])}", file=sys.stderr, flush=True)
            tables[arm].add(_tables(run))
            shutil.rmtree(run)
    same = len(tables["local"] | tables["ray"]) == 1
    rows = {name: _compared(spent, name) for name in (*STAGES, "start-up", "whole command")}
    return {"turns": given.turns, "load_before_each": load, "same_tables": same, "stages": rows}


def _compared(spent: Mapping[str, list[dict[str, Any]]], name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in spent["local"][0][name]:
        values = {arm: [turn[name][kind] for turn in turns] for arm, turns in spent.items()}
        ratios = [ray / local for local, ray in zip(values["local"], values["ray"], strict=True)]
        found[kind] = {
            "local": [round(one, 2) for one in values["local"]],
            "ray": [round(one, 2) for one in values["ray"]],
            "ratio_of_medians": round(statistics.median(values["ray"]) / statistics.median(values["local"]), 3),
            "median_ratio_of_turns": round(statistics.median(ratios), 3),
        }
    return found


def _common_run(given: argparse.Namespace, folder: Path) -> Path:
    """A run that has ended with `BEFORE`: made here, or the part of one that is there."""
    made = folder / "common"
    if given.base is None:
        _selfplay(made, given, "compute.executor=local", "--until", BEFORE)
        return made
    names = read_plan(given.base).names
    for name in names[: names.index(BEFORE) + 1]:
        shutil.copytree(given.base / "stages" / name, made / "stages" / name)
    for name in ("recipe.json", "plan.json"):
        shutil.copy(given.base / name, made)
    return made


def _selfplay(run: Path, given: argparse.Namespace, *options: str | Path) -> None:
    common = ["tracking.wandb.mode=disabled", f"compute.workers={given.workers}", *given.set]
    hook = f"hooks.callbacks=[{SpentByStage.__module__}:{SpentByStage.__name__}]"
    command = [sys.executable, "-m", "selfplay", "run", given.recipe, "--run-dir", run, *common, hook, *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, env=environment)


def _tables(run: Path) -> str:
    """A hash of all tables that the stages made."""
    digest = hashlib.sha256()
    for stage in STAGES:
        for file in sorted((run / "stages" / stage).glob("*.parquet")):
            digest.update(str(pq.read_table(file).to_pylist()).encode())
    return digest.hexdigest()
