"""The pages that are made of the code say something of everything; tests/test_house.py holds them to the code."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

import pytest

from handbook.metrics import groups, pattern, unknown
from tests.docs.pages import pages


@pytest.mark.parametrize("name", ["recipe", "commands", "tables"])
def test_nothing_is_without_a_meaning(name: str) -> None:
    """Of the fields `kind`, the section says enough."""
    rows = re.findall(r"^\| (`[^|]*`) \|.*\|  \|$", pages(f"reference/{name}.md"), re.MULTILINE)
    assert {row for row in rows if row != "`kind`"} == set()


def test_names_of_metrics_stand_for_what_is_logged() -> None:
    logged = {"reward/math", "math/avg@4 T=0.6", "rollouts/status/no_answer/code", "prompt-model/loss"}
    assert unknown(logged) == set()
    assert unknown({"reward", "a/new/name", "math/median"}) == {"a/new/name", "math/median"}
    assert pattern("reward/DOMAIN/COMPONENT").fullmatch("reward/math/length")


def test_no_metric_is_listed_twice() -> None:
    names = [metric.name for group in groups() for metric in group.metrics]
    assert len(names) == len(set(names))


def test_what_trls_trainers_log_is_listed() -> None:
    """By their source, since some names come with settings that no run here has; there are no tools to be called."""
    files = [distribution("trl").locate_file(f"trl/trainer/{rule}_trainer.py") for rule in ("grpo", "dpo", "sft")]
    sources = [Path(str(file)).read_text(encoding="utf-8") for file in files]
    names = {name for source in sources for name in re.findall(r'_metrics\[mode\]\["([^"{]+)"\]', source)}
    assert len(names) > 30
    assert {name for name in unknown(names) if not name.startswith("tools/")} == set()
