"""The terminal's view of a comparison: figures, sentences, settings, and what went the other way, as plain text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfplay.cli.compare_view import MOST_SETTINGS, comparison_view
from selfplay.evaluation.compared import read_compared
from selfplay.evaluation.comparison import compare
from tests.selfplay.evaluation.folders import write_evaluation

BEFORE = [[True, False]] * 30
AFTER = [[True, True]] * 29 + [[False, False]]


def shown(found: Any, whole: bool = False, width: int = 110) -> str:
    console = Console(width=width, record=True, force_terminal=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(comparison_view(found, whole))
    return capture.get()


def pair(tmp_path: Path, **settings: Any) -> list[Path]:
    first = write_evaluation(tmp_path / "first", {"old": {"sums": BEFORE}}, samples=2)
    return [first, write_evaluation(tmp_path / "second", {"new": {"sums": AFTER}}, samples=2, **settings)]


def test_figures_sentences_and_flips_stand_in_this_order(tmp_path: Path) -> None:
    text = shown(compare(read_compared(pair(tmp_path)), 2))
    order = (
        "percent",
        "50.0 [50.0, 50.0]",
        "96.7 [",
        "new against ",
        "better by 46.7 points",
        "0 won, 1 lost",
        "lost sums",
    )
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "Settings that differ" not in text


def test_models_are_told_apart_beside_many_suites(tmp_path: Path) -> None:
    """All models of a run were called "finish…" at 80 columns."""
    suites = {f"suite-{n}": BEFORE for n in range(7)}
    run = write_evaluation(tmp_path / "run", {"finished-base": suites, "finished-round-1": suites}, samples=2)
    lines = [line.split()[0] for line in shown(compare(read_compared([run]), 0), width=80).splitlines() if line.split()]
    assert {"finished-base", "finished-round-1"} <= set(lines)


def test_completions_are_side_by_side_with_their_reasons(tmp_path: Path) -> None:
    text = shown(compare(read_compared(pair(tmp_path)), 2))
    [line] = [line for line in text.splitlines() if "old 29.0: right" in line]
    assert "new 29.0: wrong" in line, "the first one's right completion beside the second's wrong one"
    assert "it is not the answer" in text
    assert "label 29" in text
    assert "29 <b>&</b> 1?" in text, "markup of a problem stays text"


def test_no_flip_is_shown_where_none_is_wanted(tmp_path: Path) -> None:
    text = shown(compare(read_compared(pair(tmp_path)), 0))
    assert "0 won, 1 lost" in text
    assert "29.0" not in text


def test_settings_that_differ_are_listed(tmp_path: Path) -> None:
    text = shown(compare(read_compared(pair(tmp_path, seed=7)), 0))
    assert "Settings that differ:" in text
    assert "seed" in text


def test_many_settings_are_cut_and_the_rest_is_counted(tmp_path: Path) -> None:
    found = compare(read_compared(pair(tmp_path)), 0)
    [against] = found.against
    object.__setattr__(against, "settings", [f"a.b{n}: 1 -> 2" for n in range(MOST_SETTINGS + 3)])
    text = shown(found)
    assert "a.b11: 1 -> 2" in text
    assert "a.b12" not in text
    assert "and 3 more, which --html shows" in text


def test_long_texts_are_cut_unless_all_is_wanted(tmp_path: Path) -> None:
    found = compare(read_compared(pair(tmp_path)), 1)
    [flip] = found.against[0].flips
    object.__setattr__(flip.first, "problem", "How many? " * 400 + "END")
    assert "END" not in shown(found)
    assert "END" in shown(found, whole=True)


@pytest.mark.parametrize("control", ["\x1b[31m", "\x07"])
def test_control_characters_of_a_problem_reach_no_terminal(tmp_path: Path, control: str) -> None:
    found = compare(read_compared(pair(tmp_path)), 1)
    [flip] = found.against[0].flips
    object.__setattr__(flip.first, "problem", f"What{control} now?")
    assert control not in shown(found)
