"""What analyses read: files, what a run has kept, its seeds, and the concepts that they name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selfplay.evaluation.concept_coverage import concept_coverage
from selfplay.evaluation.data_sets import is_run, read_set, seeds_of
from selfplay.run.files import write_json
from selfplay.run.plan import Kind, PlannedStage, write_plan
from selfplay.run.records import Prompt, Seed
from selfplay.run.tables import write_table
from selfplay.suites.rows import SuiteError
from tests.selfplay.suites.test_load import lines
from verifiers.model import Task


def run_with(path: Path, *stages: PlannedStage) -> Path:
    write_json(path / "recipe.json", {})
    write_plan(path, list(stages))
    return path


def write_seeds(run: Path, stage: str, split: str, concepts: tuple[str, ...]) -> None:
    seed = Seed("0", "math", split, "", concepts, "", "", Task(f"{stage} {split}", "1"), "", None)
    write_table(run / "stages" / stage / f"math-{split}.parquet", Seed, [seed])


def test_of_a_run_the_prompts_that_were_kept_count(tmp_path: Path) -> None:
    run = run_with(tmp_path, PlannedStage(Kind.CURATION, 1), PlannedStage(Kind.CURATION, 2))
    assert is_run(run)
    with pytest.raises(SuiteError, match="has kept no prompts yet"):
        read_set(run, "problem", "concepts")
    for stage, dropped in (("curation", ("", "near duplicate")), ("curation_2", ("",))):
        rows = [
            Prompt(f"{n}", "math", ("adding", stage), "", "", f"{stage} {n}", "", why, "", 1.0, 0)
            for n, why in enumerate(dropped)
        ]
        write_table(run / "stages" / stage / "prompts.parquet", Prompt, rows)
    found = read_set(run, "problem", "concepts")
    assert found.texts == ["curation 0", "curation_2 0"]
    assert found.concepts == [("adding", "curation"), ("adding", "curation_2")]


def test_a_run_of_given_problems_will_never_keep_any(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"makes no prompts of its own: .*; give their file"):
        read_set(run_with(tmp_path, PlannedStage(Kind.SEEDS, 0)), "problem", "concepts")


def test_seeds_are_those_of_training_as_annotated(tmp_path: Path) -> None:
    run = run_with(tmp_path, PlannedStage(Kind.SEEDS, 0), PlannedStage(Kind.ANNOTATION, 0))
    with pytest.raises(SuiteError, match=r"has no seeds yet; .* leave out --seeds"):
        seeds_of(run)
    for split in ("train", "heldout"):
        write_seeds(run, "seeds", split, ())
    assert seeds_of(run).texts == ["seeds train"]
    write_seeds(run, "annotation", "train", ("halving",))
    assert seeds_of(run).concepts == [("halving",)]


def test_a_file_may_name_concepts(tmp_path: Path) -> None:
    rows = [{"q": "a", "tags": ["adding"]}, {"q": "b", "tags": []}, {"q": "c"}]
    found = read_set(lines(tmp_path / "rows.jsonl", rows), "q", "tags")
    assert found.concepts == [("adding",), (), ()]
    with pytest.raises(SuiteError, match=r"line 1: `tags` must be a list of texts; name another column"):
        read_set(lines(tmp_path / "rows.jsonl", [{"q": "a", "tags": "adding"}]), "q", "tags")


def test_what_has_no_problems_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(SuiteError, match="has 0 rows"):
        read_set(tmp_path / "empty.jsonl", "problem", "concepts")
    assert not is_run(tmp_path)


def test_concepts_are_counted_by_hand() -> None:
    """Four uses of two kinds, two each, are as varied as two; one of four and one of three are shared."""
    first = [("Adding", "halves"), ("adding  ", "halves"), ()]
    other = [("adding", "adding", "primes", "areas")]
    found = concept_coverage([first, other, [(), ()]])
    one, two, none = found.figures
    assert (one.named, one.distinct, one.effective, one.once) == (2, 2, pytest.approx(2), 0.0)
    assert (two.named, two.distinct, two.effective, two.once) == (1, 3, pytest.approx(3), 1.0)
    assert (none.named, none.distinct, none.effective, none.once) == (0, 0, 0.0, 0.0)
    assert found.covered[:2, :2].tolist() == [[1.0, 0.5], [pytest.approx(1 / 3), 1.0]]
    assert np.isnan(found.covered[2]).all(), "no share of nothing"
