"""How parameters are read from the command line, and how a report looks."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from selfplay.cli.verifiers import ParamsError, read_params, report_view
from verifiers.conformance.report import Check, Failure, Report


@pytest.mark.parametrize(
    ("texts", "params"),
    [
        ([], {}),
        (['{"require_box": true, "workers": 2}'], {"require_box": True, "workers": 2}),
        (["{require_box: true}"], {"require_box": True}),
        (["workers: 2"], {"workers": 2}),
        (["workers=2", "deadline_s=0.5"], {"workers": 2, "deadline_s": 0.5}),
        (["among=[en, de]"], {"among": ["en", "de"]}),
        ([r"pattern=\d{3}=[a-z]"], {"pattern": r"\d{3}=[a-z]"}),
        (["pattern=[unclosed"], {"pattern": "[unclosed"}),
        (["base_url=http://127.0.0.1:8000/v1"], {"base_url": "http://127.0.0.1:8000/v1"}),
        (["{workers: 2}", "workers=3"], {"workers": 3}),
        (["name="], {"name": None}),
    ],
)
def test_parameters(texts: list[str], params: dict[str, Any]) -> None:
    assert read_params(texts) == params


@pytest.mark.parametrize("text", ["", "3", "[1]", "{1: 2}", "{unclosed", "!!python/object:os.system {}"])
def test_what_is_no_parameter(text: str) -> None:
    with pytest.raises(ParamsError, match="--params"):
        read_params([text])


def test_a_plug_ins_text_cannot_paint_the_terminal() -> None:
    failure = Failure("[bold]item[/bold]", "\x1b[31mred\r\n")
    check = Check("huge", True, "failed", 3, "[red]detail[/red]", (failure,) * 7)
    report = Report("a:[b]", "here", {}, "answer", (check,), None, "", 0.0, 1.0, 2.0)
    console = Console(width=100, record=True)
    for view in report_view(report):
        console.print(view)
    text = console.export_text()
    assert "\x1b" not in text
    assert "[bold]item[/bold]" in text
    assert "[red]detail[/red]" in text
    assert "a:[b] does not conform" in text
    assert "and more" in text
