"""The world outside a run as a stage reads it: whatever of it changes is another key, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef
from selfplay.pipeline.outside import CURATING, Outside, demand_same_models, models_of, outside
from selfplay.run.files import RunError
from selfplay.run.plan import Kind

SEEDS = {"kind": "quickstart", "grammar": "math"}


def run_of(tmp_path: Path, model: Any) -> Any:
    recipe = Recipe.model_validate({"name": "outside", "model": model, "domains": {"math": {"seeds": SEEDS}}})
    return SimpleNamespace(recipe=recipe, store_folder=tmp_path / "store", path=tmp_path)


def spec_of(kind: Kind, sections: tuple[str, ...] = (), contents: str = "files") -> Any:
    return SimpleNamespace(kind=kind, sections=sections, contents=lambda: contents, name=str(kind))


SCRATCH = {"kind": "scratch"}


def test_each_part_makes_another_key() -> None:
    whole = Outside("files", {"model": "a"}, {"torch": "2"}, {})
    others = [
        Outside("other files", {"model": "a"}, {"torch": "2"}, {}),
        Outside("files", {"model": "b"}, {"torch": "2"}, {}),
        Outside("files", {"model": "a"}, {"torch": "3"}, {}),
        Outside("files", {"model": "a"}, {"torch": "2"}, {"math": "1"}),
    ]
    assert len({one.key for one in (whole, *others)}) == 5
    assert whole.key == Outside("files", {"model": "a"}, {"torch": "2"}, {}).key


def test_a_stage_depends_on_the_libraries_that_it_uses(tmp_path: Path) -> None:
    run = run_of(tmp_path, SCRATCH)
    assert outside(spec_of(Kind.SEEDS), run, {}).versions == {}
    labelling = outside(spec_of(Kind.LABELLING), run, {"b": "2", "a": "1"})
    assert "torch" in labelling.versions
    assert list(labelling.verifiers) == ["a", "b"], "the order of a mapping makes no other key"
    curation = outside(spec_of(Kind.CURATION), run, {})
    assert set(curation.versions) - set(labelling.versions) == set(CURATING)


def test_models_are_known_by_their_fields_and_other_weights_are_refused(tmp_path: Path, tiny_model: ModelRef) -> None:
    run = run_of(tmp_path, {"kind": "pretrained", "name": tiny_model.path})
    base = spec_of(Kind.BASE, ("model",))
    found = models_of(base, run)
    assert list(found) == ["model"]
    assert models_of(spec_of(Kind.SEEDS), run) == {}
    stages = {"base": SimpleNamespace(done=True, manifest={"models": found})}
    run.stage = lambda name: stages[name]
    demand_same_models(run, {"base": base})
    stages["base"].manifest = {"models": {"model": "of other weights"}}
    with pytest.raises(RunError, match="model"):
        demand_same_models(run, {"base": base})
    stages["base"].done = False
    demand_same_models(run, {"base": base})
