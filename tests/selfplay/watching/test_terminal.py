"""The terminal's views: what they say, how wide they are, and that no text turns into markup or codes."""

from __future__ import annotations

import io
import re
import time
from typing import Any

import pytest

from selfplay.watching.terminal import Progress, closing_table, duration, sparkline
from tests.selfplay.watching.shown import shown


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.03, "high": value + 0.03, "n": 400}


@pytest.fixture
def summary() -> dict[str, Any]:
    metrics = ("avg@4 T=1.0", "greedy")
    rounds = (0, 1, 2)
    return {
        "name": "example",
        "algorithm": "grpo",
        "evaluation": [
            {"round": r, "domain": "math", "metric": m, **interval(0.4 + 0.05 * r)} for m in metrics for r in rounds
        ],
        "gains": [{"round": r, "domain": "math", "metric": m, **interval(0.05 * r)} for m in metrics for r in (1, 2)],
        "prompts": {
            "made": 300,
            "kept": 137,
            "lost": {"parse: no problem block": 100, "[red]near[/red]\x1b[2J": 63},
        },
        "labels": {"accuracy": 0.874, "n": 71},
        "stages": [{"name": "seeds", "seconds": 0.4}, {"name": "base", "seconds": 62.0}],
        "overhead_share": 0.043,
        "total_seconds": 62.4,
        "paths": {"model": "/somewhere/" + "long/" * 25 + "model", "report": "report.html"},
    }


def test_the_closing_table_says_what_a_run_gained_and_cost(summary: dict[str, Any]) -> None:
    text = shown(closing_table(summary))
    assert "40.0 [37.0, 43.0]" in text
    assert "50.0 [47.0, 53.0]" in text
    assert "+10.0 [+7.0, +13.0]" in text
    assert "held-out problems: math 400" in text
    for part in ("300", "137", "-100", "87.4% of 71", "1 min 02 s", "4.3%", "report.html"):
        assert part in text
    assert "[red]near[/red]\N{REPLACEMENT CHARACTER}[2J" in text, "markup in a reason is text"
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100
    assert summary["paths"]["model"] in "".join(line[7:].strip() for line in text.splitlines()[-4:])


def test_the_closing_table_fits_a_terminal_of_80_columns(summary: dict[str, Any]) -> None:
    wide = {"domain": "arithmetic", "low": 0.123, "high": 0.456}
    renamed = {name: [row | wide for row in summary[name]] for name in ("evaluation", "gains")}
    text = shown(closing_table(summary | {"paths": {}} | renamed), 80)
    assert "…" not in text
    row = next(line for line in text.splitlines() if "avg@4" in line)
    assert row.split()[:4] == ["arithmetic", "avg@4", "T=1.0", "40.0"]
    assert row.rstrip().endswith("+10.0 [+12.3, +45.6]")


def test_the_closing_table_of_a_run_with_little_to_say() -> None:
    text = shown(closing_table({"name": "bare", "labels": {"accuracy": None, "n": 0}}))
    assert "not evaluated" in text
    assert "none made" in text
    assert "label accuracy" not in text
    unsolved = {"prompts": {"made": 2, "kept": 2}, "labels": {"accuracy": None, "n": 0}}
    assert "not measurable" in shown(closing_table({"name": "bare"} | unsolved))


def test_what_ended_em_is_said(summary: dict[str, Any]) -> None:
    summary["em_outcome"] = {"kept": 1, "rounds": 2, "stopped": "EM ended after round 2: it\x1b[2J collapsed"}
    text = shown(closing_table(summary))
    assert "EM ended after round 2: it\N{REPLACEMENT CHARACTER}[2J collapsed" in text
    summary["em_outcome"]["stopped"] = None
    assert "EM ended" not in shown(closing_table(summary))


def test_a_run_that_never_trained_has_no_after(summary: dict[str, Any]) -> None:
    summary["evaluation"] = [row for row in summary["evaluation"] if row["round"] == 0]
    summary["gains"] = []
    row = next(line for line in shown(closing_table(summary)).splitlines() if "avg@4" in line)
    assert row.split() == ["math", "avg@4", "T=1.0", "40.0", "[37.0,", "43.0]", "-", "-"]


def test_progress_without_a_terminal_is_one_plain_line_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.prepare("loading torch")
        progress.stage("seeds", 1, 12, already_done=True)
        progress.stage("em_1", 2, 12)
        progress.begin("candidates", 10)
        progress.advance(4)
        progress.stage("synthesis", 3, 12)
    lines = [line.partition(" after ")[0] for line in stream.getvalue().splitlines()]
    assert lines == [
        "loading torch",
        "[ 1/12] seeds  already done",
        "[ 2/12] em_1  started",
        "[ 3/12] synthesis  started",
    ]


def test_a_log_hears_of_a_run_now_and_then() -> None:
    """As batch systems need, which end what is silent; and what is done is told of no more."""
    stream = io.StringIO()

    def said(part: str) -> bool:
        limit = time.monotonic() + 60
        while part not in stream.getvalue() and time.monotonic() < limit:
            time.sleep(0.005)
        return part in stream.getvalue()

    with Progress(stream, every_s=0.01) as progress:
        progress.stage("selfplay_1", 1, 2)
        assert said("[1/2] selfplay_1  goes on\n")
        progress.begin("training", 40)
        progress.advance(10)
        progress.hear({"lr": 1.0, "training/loss": 0.5, "training/reward": 0.25}, 10)
        assert said("[1/2] selfplay_1  training, 10 of 40 (about 0 s left), step 10, reward 0.25\n")
    ended = stream.getvalue()
    time.sleep(0.1)
    assert stream.getvalue() == ended


def test_progress_says_where_a_run_stopped() -> None:
    def interrupted() -> None:
        with Progress(stream) as progress:
            progress.stage("em_1", 2, 3)
            raise KeyboardInterrupt

    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert re.fullmatch(r"\[2/3\] em_1  stopped after \d+\.\d s", stream.getvalue().splitlines()[-1])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_keeps_a_line_of_each_stage_and_no_markup() -> None:
    stream = Terminal()
    with Progress(stream) as progress:
        progress.stage("em_1", 1, 1)
        progress.begin("of [red]this[/red]", 3)
        progress.advance(3)
        progress._bars.refresh()
    assert "[red]this[/red]" in stream.getvalue()
    assert re.search(r"\[1/1\] em_1  \d+\.\d s", stream.getvalue())


def test_small_things() -> None:
    assert sparkline([1.0, 2.0, 3.0]) == "▁▅█"
    assert sparkline([1.0]) == "▁"
    assert len(sparkline([float(i) for i in range(1000)])) <= 60
    assert [duration(s) for s in (0.04, 59.9, 61, 3599, 7325)] == [
        *("0.0 s", "59.9 s", "1 min 01 s", "59 min 59 s", "2 h 02 min"),
    ]
