"""A run whose models have nearly learnt a small language by heart: problems of two numbers each, of any kind."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.conftest import selfplay

PAIRS = list(itertools.product(range(1, 9), range(1, 9)))
HELDOUT = PAIRS[5::13]
TRAIN = [pair for pair in PAIRS if sum(pair) % 3 and pair not in HELDOUT]
"""The other third is left for new problems to find."""

Row = Callable[[int, int], dict[str, Any]]


def whole_run(folder: Path, row: Row, domain: dict[str, Any], training: dict[str, Any]) -> Path:
    """A finished run from seeds to one round of self-play on new problems.

    Args:
        folder: where it goes.
        row: a seed by its two numbers, with `problem`, its label and `solution`.
        domain: settings of the domain beside its seeds.
        training: settings of the round.
    """
    for split, pairs in (("train", TRAIN), ("heldout", HELDOUT)):
        rows = (row(*pair) | _design(*pair) for pair in pairs)
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    seeds = {"kind": "file", "train": "train.jsonl", "heldout": "heldout.jsonl"}
    sampling = {"temperature": 0.7, "max_new_tokens": 96}
    fit = {"max_steps": 120, "per_device_train_batch_size": 16, "learning_rate": 6.0e-3, "warmup_steps": 10}
    votes = {"samples": 4, "min_agreement": 0.25, "ties": "first", "tests": 2, "min_tests": 1, "drop": []}
    recipe = {
        "name": "kinds",
        "compute": {"device": "cpu", "workers": 1},
        "model": {"kind": "scratch", "hidden_size": 64, "vocabulary": 360, "args": fit | {"max_steps": 240}},
        "domains": {"own": {"seeds": seeds, "solver_template": "{problem}"} | domain},
        "cold_start": {"prompt_model_args": fit, "rationale_model_args": fit | {"max_steps": 10}},
        "em": {"rounds": 0, "heldout_pairs": 2, "bound_samples": 2, "sampling": sampling},
        "synthesis": {"prompts": 32, "sampling": sampling},
        "curation": {"near_duplicate_jaccard": 1, "decontamination_ngram": 0},
        "labelling": votes | {"sampling": sampling},
        "training": {"rounds": 1, "sampling": sampling | {"temperature": 1.0}} | training,
        "tracking": {"wandb": {"mode": "disabled"}},
        "evaluation": {"problems": 4, "samples": 2, "temperatures": [1.0], "max_new_tokens": 96, "bootstrap": 100},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = selfplay("run", folder / "recipe.yaml", "--run-dir", folder / "run", timeout=1500)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def _design(first: int, second: int) -> dict[str, Any]:
    concepts = [f"first {first}", f"second {second}"]
    return {"concepts": concepts, "level": "easy", "rationale": f"Take {first} and {second}."}


def changed(run: Path) -> bool:
    """Whether the round left other weights than the base's."""
    files = [run / "stages" / model / "fingerprint.json" for model in ("base/model", "selfplay_1/policy")]
    before, after = (json.loads(file.read_text())["sha256"] for file in files)
    return bool(before != after)
