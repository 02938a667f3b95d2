"""Where a run is: how fast it goes, how often that is written, and what it ended with."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.run.progress import FILE, RECENT_S, ProgressFile, note_ending


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that a test sets."""
    found = SimpleNamespace(now=0.0)
    monkeypatch.setattr(
        "selfplay.run.progress.time", SimpleNamespace(monotonic=lambda: found.now, time=lambda: 1000.0 + found.now)
    )
    return found


def content(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / FILE).read_text())
    return found


def test_a_piece_of_work_begins_with_nothing_done(tmp_path: Path, clock: SimpleNamespace) -> None:
    progress = ProgressFile(tmp_path)
    progress.advance(1)
    progress.stage("em_1", 3, 9)
    progress.begin("drawing", 40)
    assert content(tmp_path) == {
        "stage": "em_1",
        "index": 3,
        "stages": 9,
        "stage_began": 1000.0,
        "work": "drawing",
        "total": 40,
        "done": 0,
        "pieces": 0,
        "work_began": 1000.0,
        "rate": None,
        "written": 1000.0,
    }


def test_it_is_written_once_a_second_and_at_the_end(tmp_path: Path, clock: SimpleNamespace) -> None:
    progress = ProgressFile(tmp_path)
    progress.stage("em_1", 3, 9)
    progress.begin("drawing", 40)
    written = []
    for clock.now, count in ((0.5, 10), (1.0, 10), (1.5, 10), (1.6, 10)):
        progress.advance(count)
        written.append(content(tmp_path)["done"])
    assert written == [0, 20, 20, 40]


def test_the_rate_is_that_of_the_last_two_minutes(tmp_path: Path, clock: SimpleNamespace) -> None:
    progress = ProgressFile(tmp_path)
    progress.stage("em_1", 3, 9)
    progress.begin("drawing", 10_000)
    rates = []
    for clock.now, count in ((0.0, 500), (0.5, 1), (10.0, 9), (RECENT_S, 190), (RECENT_S + 5, 100)):
        progress.advance(count)
        rates.append(content(tmp_path)["rate"])
    # What was told of first was done before; then 10 in 10 s, 200 in 120 s, and 290 in the 115 s since second 10.
    assert rates == [None, None, 1.0, pytest.approx(200 / RECENT_S), pytest.approx(290 / (RECENT_S - 5))]


def test_two_reports_far_apart_still_have_a_rate(tmp_path: Path, clock: SimpleNamespace) -> None:
    progress = ProgressFile(tmp_path)
    progress.stage("em_1", 3, 9)
    progress.begin("drawing", 10_000)
    for clock.now, count in ((0.0, 0), (400.0, 100)):
        progress.advance(count)
    assert content(tmp_path)["rate"] == 0.25


@pytest.mark.parametrize("full", [False, True])
def test_an_ending_is_left_beside_what_was_known(tmp_path: Path, full: bool) -> None:
    """Also where no other file can be made, as on a disk that is full."""
    ProgressFile(tmp_path).stage("em_1", 3, 9)
    if full:
        (tmp_path / f".{FILE}.partial").mkdir()
    note_ending(tmp_path, "so it ended")
    found = content(tmp_path)
    assert (found["stage"], found["ended"]) == ("em_1", "so it ended")


def test_an_ending_needs_no_beginning(tmp_path: Path) -> None:
    note_ending(tmp_path, "so it ended")
    assert content(tmp_path)["ended"] == "so it ended"
