"""Which models a person means by a run, a folder, a hub name or an address."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.annotation import OpenAIEngine
from selfplay.config.evaluation import ModelOptions
from selfplay.config.load import load_recipe
from selfplay.engines.base import ModelRef
from selfplay.engines.named_models import NamedModels
from selfplay.pipeline.policies import MeasuredModel, ModelUnknown, find_models, label_of
from selfplay.pipeline.stages import planned, stage_table
from selfplay.run.files import write_json
from selfplay.run.plan import write_plan
from selfplay.trl_trainers.model_folder import write_fingerprint

SMALL = Path(__file__).parents[2] / "e2e" / "small.yaml"
PLAIN = ModelOptions()
COMMIT = "0123456789" * 4


def found(given: str | Path, options: ModelOptions = PLAIN, template: bool = False) -> list[MeasuredModel]:
    with tempfile.TemporaryDirectory() as store:
        return find_models(str(given), options, NamedModels(Path(store)), lambda ref: template)


def folder(path: Path, weights: bytes = b"w", fingerprint: str = "") -> Path:
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(weights)
    (path / "config.json").write_text("{}")
    if fingerprint:
        write_json(path / "fingerprint.json", {"sha256": fingerprint, "dtype": "float32", "masters": False})
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two rounds, of which the first is the best."""
    recipe, path = load_recipe(SMALL, ["training.rounds=2"]), tmp_path / "run"
    write_json(path / "recipe.json", recipe.model_dump(mode="json"))
    write_plan(path, planned(stage_table(recipe)).stages)
    made = {"base": "model", "selfplay_1": "policy", "selfplay_2": "policy"}
    for stage, name in made.items():
        folder(path / "stages" / stage / name, fingerprint=f"{stage}")
        manifest: dict[str, Any] = {"seconds": 1.0, "counts": {}, "inputs": "", "contents": "", "code_version": ""}
        write_json(path / "stages" / stage / "manifest.json", manifest)
    best = {"place": "", "round": 1, "chosen_by": "development problems", "score": 0.5}
    (path / "summary.json").write_text(json.dumps({"best": best}))
    return path


def test_a_run_is_its_base_and_its_rounds(run: Path) -> None:
    models = found(run)
    assert [(one.label, one.round, one.best) for one in models] == [
        ("base", 0, False),
        ("round-1", 1, True),
        ("round-2", 2, False),
    ]
    assert [one.model.fingerprint for one in models if isinstance(one.model, ModelRef)] == [
        "base",
        "selfplay_1",
        "selfplay_2",
    ]


@pytest.mark.parametrize(
    ("rounds", "labels"),
    [("best", ["round-1"]), ("base,best", ["base", "round-1"]), ("0,2", ["base", "round-2"]), ("2", ["round-2"])],
)
def test_some_rounds_of_a_run(run: Path, rounds: str, labels: list[str]) -> None:
    assert [one.label for one in found(run, replace(PLAIN, rounds=rounds))] == labels


def test_a_model_may_be_stretched(run: Path) -> None:
    models = found(run, replace(PLAIN, yarn=4.0))
    assert {one.model.stretch for one in models if isinstance(one.model, ModelRef)} == {4.0}
    with pytest.raises(ModelUnknown, match="whoever serves a model decides how far it reaches; leave out yarn"):
        found("http://127.0.0.1:9/v1", replace(PLAIN, yarn=4.0, served="m"))


def test_rounds_that_are_not_there_are_named(run: Path) -> None:
    with pytest.raises(ModelUnknown, match=r"--round 5: .* has the rounds 0, 1, 2"):
        found(run, replace(PLAIN, rounds="5"))
    (run / "summary.json").unlink()
    with pytest.raises(ModelUnknown, match="has not ended, so that nothing is its best"):
        found(run, replace(PLAIN, rounds="best"))


def test_a_folder_is_known_by_its_weights(tmp_path: Path) -> None:
    names = {"a/m": b"1", "b/m": b"1", "c/m": b"2"}
    first, same, other = (found(folder(tmp_path / name, weights))[0].identity for name, weights in names.items())
    assert first == same
    assert first != other


def test_a_trained_model_with_other_weights_is_no_longer_that_model(tmp_path: Path) -> None:
    """Such as one that was trained further elsewhere, and saved over the policy of a run."""
    place = folder(tmp_path / "policy")
    write_fingerprint(place, "float32")
    [kept] = found(place)
    (place / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ModelUnknown, match=r"its weights are not those that fingerprint.json .*delete that file"):
        found(place)
    (place / "fingerprint.json").unlink()
    assert found(place)[0].identity != kept.identity


def test_a_chat_template_is_used_where_there_is_one(tmp_path: Path) -> None:
    place = folder(tmp_path / "model")
    assert found(place, template=True)[0].identity[-1] is True
    assert found(place, replace(PLAIN, style="raw"), template=True)[0].identity[-1] is False
    assert found(place, template=False)[0].identity[-1] is False
    with pytest.raises(ModelUnknown, match="has no chat template, which --prompt-style chat needs; take raw"):
        found(place, replace(PLAIN, style="chat"), template=False)


def test_what_a_person_asks_for_goes_before_what_a_run_says(run: Path) -> None:
    """The run's prompts are raw, and its weights in float32."""
    assert [(one.identity[1], one.identity[2]) for one in found(run, template=True)] == [("float32", False)] * 3
    asked = replace(PLAIN, style="chat", dtype="bfloat16")
    policy = run / "stages" / "selfplay_1" / "policy"
    write_fingerprint(policy, "float32")
    for place in (run, policy):
        told = {(one.identity[1], one.identity[2]) for one in found(place, asked, template=True)}
        assert told == {("bfloat16", True)}
    with pytest.raises(ModelUnknown, match="has no chat template, which --prompt-style chat needs; take raw"):
        found(run, asked, template=False)


def test_names_on_the_hub_and_addresses() -> None:
    [hub] = found("Qwen/Qwen3-4B", replace(PLAIN, revision=COMMIT))
    assert (hub.label, hub.identity[0]) == ("Qwen-Qwen3-4B", f"Qwen/Qwen3-4B@{COMMIT}")
    [endpoint] = found("http://127.0.0.1:8000/v1", replace(PLAIN, served="big/model"))
    assert isinstance(endpoint.model, OpenAIEngine)
    assert endpoint.label == "big-model"
    with pytest.raises(ModelUnknown, match="name one with --served"):
        found("http://127.0.0.1:8000/v1")
    with pytest.raises(ModelUnknown, match="is no address of an endpoint"):
        found("http://", replace(PLAIN, served="x"))


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelUnknown, match="is neither a run"):
        found(tmp_path)
    with pytest.raises(ModelUnknown, match="is no run, so that --round names nothing"):
        found(tmp_path, replace(PLAIN, rounds="2"))
    assert label_of("a/b/c") == "b-c"
    assert label_of("..") == "model"
