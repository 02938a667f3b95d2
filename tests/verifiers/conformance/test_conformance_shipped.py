"""Every shipped verifier passes the conformance kit on labelled cases of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.verifiers.judge.judge_server import judge_server
from verifiers import registry
from verifiers.conformance.cases import read_cases
from verifiers.conformance.kit import Settings, examine
from verifiers.conformance.report import Report

CASES = Path(__file__).with_name("cases")
PARTS = {
    "right": {"verifier": "math"},
    "form": {"verifier": "format"},
    "length": {"verifier": "length", "params": {"limit": 631, "buffer": 200}},
}
PARAMS: dict[str, dict[str, Any]] = {
    "length": {"limit": 100, "buffer": 40},
    "composite": {"components": PARTS, "combine": "product"},
}
OFFLINE = sorted(registry._BUILT_IN.keys() - {"judge"})
SLOW = dict.fromkeys(("composite", "math_verify"), pytest.mark.long)
"""They run what `math` runs, once more."""


@pytest.fixture(autouse=True)
def _sandbox(request: pytest.FixtureRequest) -> None:
    """The code verifier needs one."""
    if "[code]" in request.node.name:
        request.getfixturevalue("needs_sandbox")


def examined(name: str, params: dict[str, Any], huge_chars: int) -> Report:
    return examine(name, params, read_cases(CASES / f"{name}.jsonl", name), Settings(huge_chars=huge_chars))


def faults(report: Report) -> list[str]:
    """All that is not well but unsteadiness: a verifier's own deadline may strike once on a busy machine."""
    asked = [check for check in report.checks if check.name != "steadiness"]
    return [f"{check.name}: {check.detail} {check.failures}" for check in asked if check.outcome != "passed"]


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, ())) for name in OFFLINE])
def test_it_conforms(name: str) -> None:
    report = examined(name, PARAMS.get(name, {}), 20_000)
    assert faults(report) == []
    assert report.passed


def test_the_judge_conforms() -> None:
    with judge_server() as server:
        report = examined("judge", {"base_url": server.url(), "model": "small", "attempts": 1}, 20_000)
    assert faults(report) == []


@pytest.mark.long
@pytest.mark.parametrize("name", OFFLINE)
def test_it_conforms_on_a_megabyte(name: str) -> None:
    assert faults(examined(name, PARAMS.get(name, {}), 1_000_000)) == []
