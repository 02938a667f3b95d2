"""Samples: text of models as people can read it."""

from __future__ import annotations

from selfplay.report.samples import visible


def test_visible_text() -> None:
    assert visible("a\tb\nc é 数") == "a\tb\nc é 数"
    assert visible("\u202eabc\x07") == "⟨U+202E⟩abc⟨U+0007⟩"
    assert visible("x" * 12, 10) == "x" * 10 + " … (2 more characters)"
