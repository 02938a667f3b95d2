"""How right the quickstart's labels are, by how they are voted on, and what self-play makes of them.

Everything up to the prompts is shared. For each way of voting, the labelled problems are ranked by their agreement, and
the table says how many labels are right among the best of them, at equal shares of all prompts: thresholds of different
ways of voting mean different things, kept shares do not. An exact solver of the grammar tells; training never sees it.

The votes of one run, as rollouts, also say what early stopping saves, and how often it decides otherwise.

`LABELS_FOLDER` keeps the runs; `LABELS_TRAIN=1` goes on to two rounds of grpo for some arms (an hour on two cores). All
of it on development problems.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfplay.config.labelling import Difficulty, Labelling
from selfplay.labelling.difficulty import decide, limits_of
from selfplay.quickstart import list_programs, word_problems
from selfplay.run.records import LabelledTask, Rollout
from selfplay.run.tables import read_table, write_table
from verifiers.model import Test

RECIPE = Path(__file__).resolve().parents[1] / "configs" / "quickstart.yaml"
SHARES = (0.25, 0.5, 0.65, 0.8)
EQUAL = ["labelling.votes=equal", "labelling.min_agreement=0.5"]
LIKELIHOOD = ["labelling.votes=likelihood", "labelling.min_agreement=0.5"]
VOTES = {
    "equal": EQUAL,
    "equal, T=0.6": [*EQUAL, "labelling.sampling.temperature=0.6"],
    "equal, k=32": [*EQUAL, "labelling.samples=32"],
    "likelihood": LIKELIHOOD,
    "likelihood, T=0.6": [*LIKELIHOOD, "labelling.sampling.temperature=0.6"],
    "likelihood, k=32": [*LIKELIHOOD, "labelling.samples=32"],
}
FILTERS: dict[str, dict[str, Any]] = {
    "always_solved": {"drop": ["always_solved"]},
    "at_least_half_solved": {"drop": ["at_least_half_solved"]},
    "above_half_solved": {"drop": ["above_half_solved"]},
    "band 0.2 to 0.8": {"drop": [], "band": {"low": 0.2, "high": 0.8}},
}
LIKELY = ["labelling.votes=likelihood", "labelling.min_agreement=0.75"]
AGAIN = "labelling.relabelling={votes: all, samples: 8, sampling: {temperature: 1.0, max_new_tokens: 80}}"
FAST, GENTLE = (f"training.grpo.args.learning_rate={rate}" for rate in ("3.0e-4", "1.0e-4"))
TRAINED = {
    "equal": [*EQUAL, FAST],
    "likelihood": [*LIKELY, FAST],
    "likelihood, all votes of all rounds": [*LIKELY, AGAIN, FAST],
    "equal, gentle": [*EQUAL, GENTLE],
    "likelihood, gentle": [*LIKELY, GENTLE],
}
RIGHT = {"right labels": [*EQUAL, FAST], "right labels, gentle": [*EQUAL, GENTLE]}
"""Controls: the prompts of `equal`, with the labels that an exact solver gives them."""


def _path(folder: Path, name: str) -> Path:
    return folder / name.replace(",", "").replace(" ", "-").replace("=", "")


def _selfplay(folder: Path, name: str, settings: Sequence[str], until: str | None, reuse: Path | None) -> Path:
    run = _path(folder, name)
    if reuse is not None and not run.exists():
        # What was sampled with the same settings is not sampled again.
        shutil.copytree(reuse / "store" / "shards", run / "store" / "shards")
    where = ["--run-dir", str(run), *(["--reuse", str(reuse)] if reuse else []), *(["--until", until] if until else [])]
    command = [sys.executable, "-m", "selfplay", "run", str(RECIPE), "evaluation.split=dev", *settings, *where]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return run


def run() -> dict[str, Any]:
    """Labels by every way of voting, and, if asked for, trains on some."""
    folder = Path(os.environ.get("LABELS_FOLDER") or tempfile.mkdtemp(prefix="labels-"))
    base = _selfplay(folder, "prompts", [], "curation", None)
    labels = [
        row
        for name, settings in VOTES.items()
        for row in label_rows(name, _selfplay(folder, name, settings, "labelling", base))
    ]
    trained = []
    if os.environ.get("LABELS_TRAIN"):
        for name, settings in (TRAINED | RIGHT).items():
            own = f"trained {name}"
            if name in RIGHT:
                right_labels(folder / "equal", _path(folder, own))
            done = _selfplay(folder, own, settings, None, base)
            summary = json.loads((done / "summary.json").read_text())
            trained.append({"arm": name, "evaluation": summary["evaluation"], "gains": summary["gains"]})
    return {"labels": labels, "early_stop": stop_rows(folder / "likelihood-k32"), "trained": trained}


def right_labels(labelled: Path, target: Path) -> None:
    """A run that has got as far as labels, all of which are right; prompts that have no right label are dropped."""
    if target.exists():
        return
    for name in ("stages", "store"):
        shutil.copytree(labelled / name, target / name)
    file = target / "stages" / "labelling" / "tasks.parquet"
    write_table(file, LabelledTask, [_righted(task) for task in read_table(file, LabelledTask)])


def _righted(task: LabelledTask) -> LabelledTask:
    answer = word_problems.solve(task.problem) if task.domain == "math" else None
    program = list_programs.solve(task.problem) if task.domain == "code" else None
    if task.dropped or (answer is None and program is None):
        return task if task.dropped else dataclasses.replace(task, dropped="label: there is no right one")
    tests = tuple(Test(test.input, program(test.input)) for test in task.task.tests) if program else ()
    right = dataclasses.replace(task.task, answer=answer, tests=tests)
    return dataclasses.replace(task, task=right, label_correct=True)


def label_rows(name: str, run_path: Path) -> list[dict[str, Any]]:
    """Accuracy of the labels of each domain, at equal shares of its prompts; none where fewer have a label."""
    tasks = read_table(run_path / "stages" / "labelling" / "tasks.parquet", LabelledTask)
    rows = []
    for domain in sorted({task.domain for task in tasks}):
        prompts = [task for task in tasks if task.domain == domain]
        ranked = sorted((task for task in prompts if task.has_label), key=lambda t: (-(t.agreement or 0.0), t.id))
        row: dict[str, Any] = {"votes": name, "domain": domain, "prompts": len(prompts), "labelled": len(ranked)}
        for share in SHARES:
            count = round(share * len(prompts))
            best = ranked[:count]
            row[f"right of {share:.0%}"] = (
                round(sum(bool(task.label_correct) for task in best) / count, 3) if len(ranked) >= count else None
            )
        rows.append(row)
    return rows


def stop_rows(run_path: Path) -> list[dict[str, Any]]:
    """Of each filter, k and way to stop: the share of k rollouts that were drawn, and of decisions that differ."""
    completions = read_table(run_path / "stages" / "labelling" / "completions.parquet", Rollout)
    outcomes: dict[str, list[bool]] = {}
    for row in completions:
        if row.passed is not None:
            outcomes.setdefault(row.task_id, []).append(row.passed)
    rows = []
    for name, settings in FILTERS.items():
        limits = limits_of(Labelling.model_validate(settings | {"min_agreement": 0.0}))
        for k in (8, 32):
            whole = [decide(o, limits, Difficulty(rollouts=k, stop="never")) for o in outcomes.values()]
            for stop in ("certain", "likely"):
                how = Difficulty.model_validate({"rollouts": k, "stop": stop})
                early = [decide(found, limits, how) for found in outcomes.values()]
                pairs = list(zip(early, whole, strict=True))
                rows.append(
                    {
                        "filter": name,
                        "k": k,
                        "stop": stop,
                        "drawn": round(sum(e.drawn for e, _ in pairs) / len(pairs) / k, 3),
                        "differs": round(sum(e.reason != w.reason for e, w in pairs) / len(pairs), 3),
                    }
                )
    return rows
