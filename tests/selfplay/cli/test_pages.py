"""Pages on the terminal: what they show, in which order, and that texts of others stay texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console, RenderableType

from selfplay.cli.compare_view import MOST_SETTINGS, comparison_view
from selfplay.cli.doctor import doctor_view
from selfplay.evaluation.compared import Answers, Compared
from selfplay.evaluation.comparison import Against, Flip, ModelComparison, compare
from selfplay.evaluation.metrics import Estimate
from selfplay.preflight.doctor.finding import fail, ok, warn

HOSTILE = "[red]a\x1b[2Jname[/]"


def shown(page: RenderableType) -> str:
    with (console := Console(width=100)).capture() as found:
        console.print(page)
    return found.get()


def test_the_doctor_shows_each_finding_and_the_remedy_below_it() -> None:
    lines = shown(
        doctor_view([ok("torch", "2.9"), warn("GPU", HOSTILE, "buy one"), fail("disk", "full", "")])
    ).splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "warn", "buy", "fail"]
    assert "[red]a�[2Jname[/]" in lines[1]


def model(name: str, values: dict[str, float], **more: Any) -> Compared:
    def answers(suite: str, ids: Sequence[str]) -> dict[str, Answers]:
        said = (f"{name} says {HOSTILE}",)
        return {one: Answers(f"problem {one}", "4", said, (values[one] > 0.5,), ("so it is",)) for one in ids}

    return Compared(name, {"suite": values}, {}, answers, "source", **more)


def test_a_comparison_shows_figures_then_what_went_the_other_way() -> None:
    first = model("first", {str(n): 0.0 for n in range(20)})
    second = model("second", {str(n): 1.0 for n in range(20)}, best=True)
    text = shown(comparison_view(compare([first, second], flips=1)))
    assert text.index("second (best)") < text.index("second against first") < text.index("Went the other way")
    assert "20 won, 0 lost" in text
    assert "0.0 [0.0, 0.0]" in text
    assert "\x1b[2J" not in text


def test_many_settings_are_cut_and_what_was_not_measured_is_left_open() -> None:
    settings = [f"seed {n}: 0 -> 1" for n in range(MOST_SETTINGS + 3)]
    first, second = model("first", {"1": 0.0}), model("second", {"1": 0.0})
    figures = {("first", "suite"): Estimate(0.5, 0.25, 0.75, 4)}
    found = ModelComparison([first, second], ["suite"], figures, [Against("second", {}, 0, 0, list[Flip](), settings)])
    text = shown(comparison_view(found))
    assert "and 3 more, which --html shows" in text
    assert "50.0 [25.0, 75.0]" in text
    assert text.count("seed ") == MOST_SETTINGS
