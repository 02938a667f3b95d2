"""The card of a data set: its size, and nothing of the people and the machines that made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from selfplay.export.card import write_card
from selfplay.export.layouts import RowSource
from selfplay.run.directory import read_recipe, read_run


def card(run: Path, count: int = 4, **changed: Any) -> str:
    write_card(
        run, RowSource(run, read_recipe(run), None, None), read_run(run) | changed, {"prompts": count}, "jsonl", ""
    )
    return (run / "README.md").read_text()


def test_addresses_of_judges_and_sandboxes_stay_private(run: Path) -> None:
    domains = read_run(run)["domains"]
    domains["math"]["verifier_params"] = {"base_url": "http://10.0.0.9/v1", "criteria": "be kind"}
    said = card(run, domains=domains, sandbox={"backend": "remote", "url": "http://10.0.0.8:8080"})
    assert "be kind" in said
    assert "10.0.0" not in said


@pytest.mark.parametrize(
    ("count", "size"), [(999, "n<1K"), (1000, "1K<n<10K"), (9_999_999, "1M<n<10M"), (10_000_000, "10M<n<100M")]
)
def test_the_size_is_as_the_hub_names_it(run: Path, count: int, size: str) -> None:
    header = yaml.safe_load(card(run, count).split("---\n")[1])
    assert header["size_categories"] == [size]
    assert header["configs"] == [{"config_name": "prompts", "data_files": "prompts/*.jsonl", "default": True}]
    assert "license" not in header
