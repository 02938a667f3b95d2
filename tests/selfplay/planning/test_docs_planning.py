"""The page on planning: its commands run, its file of rates is one, its tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.planning.rates import CARDS, Rates, read_rates
from selfplay.planning.view import MARK
from tests.docs.pages import pages

ROOT = Path(__file__).resolve().parents[3]
PAGE = pages("how-to/plan.md")
COMMANDS = re.findall(r"^selfplay (plan .*)$", PAGE, re.M)


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(app, command.split())
    # A recipe that does not fit is told with exit code 2, after its plan.
    assert done.exit_code == 0 or "does not fit on" in done.output
    assert "hours" in done.output


def test_its_rates_are_the_defaults(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    file = tmp_path / "rates.yaml"
    file.write_text(block)
    found = read_rates(file)
    assert found.model_copy(update={"measured": ()}) == Rates()
    assert set(Rates.model_fields) <= set(re.findall(r"^(\w+):", block, re.M))


def test_its_cards_are_those_of_the_table() -> None:
    rows = re.findall(r"^\| ([^|]+) \| (\d+) \| ([\d,]+)e12 \| ([\d.]+)e12 \|$", PAGE, re.M)
    there = [(card.name, str(card.gib), f"{card.flops / 1e12:,.0f}", f"{card.bandwidth / 1e12:.2f}") for card in CARDS]
    assert rows == there


def test_its_hours_are_those_of_the_recipes() -> None:
    rows = re.findall(r"^\| `([^`]+).yaml` \|.*\| (\S+) \| ([\d,]+) \|$", PAGE, re.M)
    notes = {}
    for file in (ROOT / "configs").glob("*.yaml"):
        for line in file.read_text().splitlines():
            if line.startswith(MARK):
                machine, hours = re.findall(r"--(?:gpus|nodes) (\S+) .*: ([\d,]+) hours", line)[0]
                notes[file.stem] = (machine, hours)
    assert {name: (machine, hours.replace(",", "")) for name, machine, hours in rows} == notes
