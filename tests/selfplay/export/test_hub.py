"""The push to the hub, against a stand-in on loopback that takes a commit as the hub does."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef
from selfplay.export.export import export_prompts
from selfplay.export.hub import HubError, push_folder
from selfplay.export.model import PUSHED, model_card, push_best
from selfplay.trl_trainers.model_folder import write_fingerprint
from tests.selfplay.export.hub_server import Hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    hub = Hub()
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_own")
    yield hub
    hub.close()


def test_a_folder_becomes_a_data_set(hub: Hub, run: Path, tmp_path: Path) -> None:
    where, counts = export_prompts(run, "hub:somebody/own", ("prompts", "sft"))
    assert where == f"{hub.url}/datasets/somebody/own"
    assert counts == {"prompts": 4, "sft": 2}
    made = hub.repositories["somebody/own"]
    assert made.get("visibility") == "private" or made.get("private") is True
    assert hub.repositories["somebody/own"]["type"] == "dataset"
    assert set(hub.files) == {"README.md", "prompts/train-00000.parquet", "sft/train-00000.parquet"}
    assert hub.tokens == {"Bearer hf_own"}
    export_prompts(run, str(tmp_path / "here"), ("prompts", "sft"))
    for name, content in hub.files.items():
        assert (tmp_path / "here" / name).read_bytes() == content


def test_a_refusal_says_what_helps(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("x")
    hub.refuses = 403
    with pytest.raises(HubError, match=r"hub:somebody/own: was not taken .*hf auth login"):
        push_folder(tmp_path, "somebody/own", private=True)
    with pytest.raises(HubError, match="was not taken"):
        push_folder(tmp_path, "no good/name/at all", private=True)


ROW = {"round": 1, "domain": "math", "metric": "greedy", "value": 0.5, "low": 0.25, "high": 0.75, "n": 40}


def ended(folder: Path) -> tuple[Recipe, dict[str, Any]]:
    """A recipe that pushes, and the closing table of a run whose best policy lies in the folder."""
    recipe = Recipe.model_validate(
        {
            "name": "own-run",
            "model": {"kind": "scratch"},
            "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
            "training": {"push_to_hub": "somebody/policy"},
        }
    )
    best = {"round": 1, "chosen_by": "development problems", "score": 0.6, "place": str(folder)}
    return recipe, {"best": best, "evaluation": [ROW | {"round": 0, "value": 0.4}, ROW]}


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_a_figure_that_nobody_could_measure_is_none_in_the_card(nothing: float | None, tmp_path: Path) -> None:
    recipe, summary = ended(tmp_path)
    summary["evaluation"] = [row | dict.fromkeys(("value", "low", "high"), nothing) for row in summary["evaluation"]]
    assert "| math | greedy | not measured | not measured | 40 |" in model_card(recipe, summary)


def test_the_best_policy_becomes_a_model_once(hub: Hub, tiny_model: ModelRef, tmp_path: Path) -> None:
    policy, run = tmp_path / "policy", tmp_path / "run"
    shutil.copytree(tiny_model.path, policy)
    write_fingerprint(policy, "float32")
    recipe, summary = ended(policy)
    run.mkdir()
    hub.refuses = 403
    with pytest.raises(HubError, match=r"hub:somebody/policy: was not taken .*run the same command again"):
        push_best(run, recipe, summary)
    assert not (run / PUSHED).exists()
    hub.refuses = 0
    assert push_best(run, recipe, summary) == f"{hub.url}/somebody/policy"
    made = hub.repositories["somebody/policy"]
    assert made.get("visibility") == "private" or made.get("private") is True
    assert made.get("type", "model") == "model"
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= set(hub.files)
    assert "fingerprint.json" not in hub.files
    assert hub.files["model.safetensors"] == (policy / "model.safetensors").read_bytes()
    card = hub.files["README.md"].decode()
    assert "| math | greedy | 40.0% [25.0%, 75.0%] | 50.0% [25.0%, 75.0%] | 40 |" in card
    hub.files.clear()
    assert push_best(run, recipe, summary) == f"{hub.url}/somebody/policy"
    assert not hub.files, "the same model was pushed twice"
    assert "masters" not in card
    (policy / "model.safetensors").write_bytes(b"other weights")
    (policy / "masters").mkdir()
    (policy / "masters" / "adapter_model.safetensors").write_bytes(b"exact weights")
    settings = {"base_model_name_or_path": str(policy), "r": 8}
    (policy / "masters" / "adapter_config.json").write_text(json.dumps(settings))
    write_fingerprint(policy, "bfloat16")
    push_best(run, recipe, summary)
    assert hub.files["model.safetensors"] == b"other weights"
    assert hub.files["masters/adapter_model.safetensors"] == b"exact weights", "both are exported"
    assert json.loads(hub.files["masters/adapter_config.json"]) == settings | {"base_model_name_or_path": "policy"}
    assert "`masters` has the weights as they were trained" in hub.files["README.md"].decode()


def test_a_base_that_stayed_the_best_is_not_pushed(tiny_model: ModelRef, tmp_path: Path) -> None:
    """A base in a folder has no fingerprint, and the command ended with a sentence on that file."""
    base = tmp_path / "base"
    shutil.copytree(tiny_model.path, base, ignore=shutil.ignore_patterns("fingerprint.json"))
    assert push_best(tmp_path, *ended(base)) is None
