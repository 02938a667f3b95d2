"""Where plug-ins may lie: folders of one's own, and none of Python's."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest

from verifiers.plugins.places import plugin_folders


def test_folders_of_ones_own_are_named_once_and_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    inside = Path(sysconfig.get_path("purelib"))
    path = [str(second), str(inside), sysconfig.get_path("stdlib"), str(tmp_path / "lost"), str(first), f"{second}/."]
    monkeypatch.setattr(sys, "path", path)
    assert plugin_folders() == [str(second), str(first)]
