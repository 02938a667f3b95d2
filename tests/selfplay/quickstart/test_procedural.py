"""The reasoning-gym source: same records, same promises, and a clear word when the package is missing."""

from __future__ import annotations

import re
import sys

import pytest

from selfplay.quickstart import procedural
from selfplay.quickstart.seeds import SPLITS


def test_sums_are_reproducible_and_right_unless_slipped() -> None:
    pytest.importorskip("reasoning_gym")
    problems = procedural.generate(200, seed=5)
    assert problems == procedural.generate(200, seed=5)
    assert len({problem.problem for problem in problems}) == 200
    for problem in problems:
        expression = re.search(r": (.*) =", problem.problem)
        assert expression is not None
        assert str(eval(expression.group(1))) == problem.answer
        assert problem.solution.endswith(rf"\boxed{{{problem.answer}}}") != problem.slipped


def test_splits_share_no_problem_no_concepts_and_no_numbers() -> None:
    pytest.importorskip("reasoning_gym")
    splits = [procedural.generate(60, seed=0, split=split) for split in SPLITS]
    for index, problems in enumerate(splits):
        for others in splits[index + 1 :]:
            assert not {p.concepts for p in problems} & {p.concepts for p in others}
            assert not {numbers(p.problem) for p in problems} & {numbers(p.problem) for p in others}


def numbers(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\d+", text))


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(ImportError, match=r"promptcot\[procedural\]"):
        procedural.generate(1, seed=0)
