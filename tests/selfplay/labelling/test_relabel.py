"""When a label of an earlier round is looked at no further."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.config.labelling import Labelling
from selfplay.labelling.relabel import _may_be_contradicted


@pytest.mark.parametrize(
    ("agrees", "may"),
    [([], True), ([True] * 4, True), ([True] * 5, False), ([True] * 5 + [None], False), ([True] * 4 + [False], True)],
)
def test_a_label_is_safe_once_those_left_could_not_outvote_it(agrees: list[bool | None], may: bool) -> None:
    """Half of eight completions against it would have it voted on again."""
    again = {"samples": 8, "contradiction": 0.5, "votes": "contradicted"}
    settings = Labelling.model_validate({"relabelling": again})
    task = SimpleNamespace(has_label=True)
    one: Any = SimpleNamespace(task=task, label=SimpleNamespace(agrees=tuple(agrees)))
    assert _may_be_contradicted(one, settings) is may
