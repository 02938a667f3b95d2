"""Trained models on disk: what tells them apart, and where an adapter finds its base."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from selfplay.engines.base import ModelRef
from selfplay.trl_trainers.model_folder import trained_model, write_fingerprint


def written(folder: Path, base: ModelRef | None = None, weights: bytes = b"weights") -> ModelRef:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(weights)
    write_fingerprint(folder, "bfloat16", base)
    return trained_model(folder)


def test_a_fingerprint_is_that_of_the_weights_and_of_the_base(tmp_path: Path) -> None:
    first = written(tmp_path / "a")
    assert (first.path, first.dtype, first.base, first.masters) == (str(tmp_path / "a"), "bfloat16", None, None)
    assert written(tmp_path / "b").fingerprint == first.fingerprint
    assert written(tmp_path / "b", weights=b"others").fingerprint != first.fingerprint
    on_one, on_two = (written(tmp_path / "c", ModelRef("hub/name", base)) for base in ("one", "two"))
    assert len({first.fingerprint, on_one.fingerprint, on_two.fingerprint}) == 3


def test_an_adapter_finds_its_base_also_when_the_run_was_moved(tmp_path: Path) -> None:
    stages = tmp_path / "run" / "stages"
    base = dataclasses.replace(written(stages / "base" / "model"), revision="main")
    assert written(stages / "em_1" / "model", base).base == base
    (tmp_path / "run").rename(tmp_path / "moved")
    moved = trained_model(tmp_path / "moved" / "stages" / "em_1" / "model").base
    assert moved == dataclasses.replace(base, path=str(tmp_path / "moved" / "stages" / "base" / "model"))


def test_a_base_from_elsewhere_stays_where_it_is(tmp_path: Path) -> None:
    elsewhere = written(tmp_path / "models" / "base")
    for folder in (tmp_path / "run" / "stages" / "em_1" / "model", tmp_path / "no-run"):
        assert written(folder, elsewhere).base == elsewhere
    named = ModelRef("hub/name", "print", "commit", "float16")
    assert written(tmp_path / "run" / "stages" / "em_2" / "model", named).base == named
