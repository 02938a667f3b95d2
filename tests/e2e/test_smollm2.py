"""Synthesis on a small real model, where its weights are: SMOLLM2_FOLDER names what docs/smollm2.md makes."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from selfplay.quickstart import seeds
from tests.e2e.conftest import ROOT, selfplay

FOLDER = os.environ.get("SMOLLM2_FOLDER", "")
RECIPE = ROOT / "configs" / "smollm2-cpu.yaml"


def written(folder: Path, split: seeds.Split, count: int) -> Path:
    """A file of problems without concepts."""
    file = folder / f"{split}.jsonl"
    rows = [
        {"problem": p.problem, "answer": p.answer, "rationale": p.rationale}
        for p in seeds.generate("math", count, 0, split)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.long
@pytest.mark.skipif(not FOLDER, reason="needs SMOLLM2_FOLDER, see docs/smollm2.md")
def test_problems_without_concepts_become_new_ones_on_a_real_model(tmp_path: Path) -> None:
    settings = (
        f"model.name={FOLDER}",
        f"cold_start.annotators.itself.engine.name={FOLDER}",
        f"domains.math.seeds.train={written(tmp_path, 'train', 16)}",
        f"domains.math.seeds.heldout={written(tmp_path, 'heldout', 6)}",
        "em.heldout_pairs=6",
        "synthesis.prompts=8",
    )
    run = tmp_path / "run"
    done = selfplay("synthesize", RECIPE, *settings, "--run-dir", run, timeout=1800)
    assert done.returncode == 0, done.stderr
    triples = pq.read_table(run / "stages" / "annotation" / "math-train.parquet").to_pylist()
    assert triples
    assert all(2 <= len(row["concepts"]) <= 3 and row["rationale"] for row in triples)
    for stage in ("cold_start", "em_1"):
        row = json.loads((run / "stages" / stage / "manifest.json").read_text())["counts"]["row"]
        assert math.isfinite(row["nll_without_rationale"])
        # An untuned model would leave the form of a completion; these were tuned on it.
        assert row["parse_rate"] > 0.3
        assert row["bound"] > 0
    prompts = pq.read_table(run / "stages" / "synthesis" / "prompts.parquet").to_pylist()
    assert len(prompts) == 8
    assert any(row["problem"] for row in prompts)
