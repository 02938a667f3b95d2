"""Solvers' answers decide whether a problem stays; what they wrote is kept with its share in the vote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.config.curation import Solving
from selfplay.config.recipe import Recipe
from selfplay.curation.solving import Solved, solve_prompts
from selfplay.engines.base import Missing, Sample
from selfplay.run.records import Prompt
from verifiers.registry import make

ENGINE = {"kind": "openai", "model": "m", "endpoint": {"base_url": "http://127.0.0.1:1/v1"}}
SEEDS = {"kind": "quickstart", "grammar": "math"}
RECIPE = Recipe.model_validate({"name": "solving", "model": {"kind": "scratch"}, "domains": {"math": {"seeds": SEEDS}}})
PROMPT = Prompt("p", "math", ("a",), "easy", "z", "What is 2 + 2?", "", "", "m", 1.0, 0)


class Script:
    """An engine that says what it was told to, whatever it is asked."""

    def __init__(self, texts: Sequence[str | None]) -> None:
        self.texts = texts

    def stream(self, prompts: Sequence[str], *_: Any) -> Iterator[list[Sample | Missing]]:
        assert len(prompts) == len(self.texts)
        yield [
            Missing("refused", "request") if text is None else Sample(text, (), "cut" not in text)
            for text in self.texts
        ]


def solved(answers: Mapping[str, Sequence[str | None]], **settings: Any) -> Solved:
    """What becomes of a prompt that each solver answers so."""
    solvers = {name: {"engine": ENGINE, "samples": len(texts)} for name, texts in answers.items()}

    @contextmanager
    def open_engine(_: Any, owner: str) -> Iterator[Script]:
        yield Script(answers[owner.rpartition(".")[2]])

    listener = SimpleNamespace(begin=lambda *_: None, advance=lambda *_: None)
    judge = SimpleNamespace(verifiers={"math": make("exact", {})})
    context: Any = SimpleNamespace(
        recipe=RECIPE, judge=judge, listener=listener, open_engine=open_engine, seed=lambda *_: 0
    )
    return solve_prompts(context, Solving.model_validate({"solvers": solvers} | settings), [PROMPT])["p"]


FOUR, FIVE, NOTHING = r"\boxed{4}", r"\boxed{5}", ""


@pytest.mark.parametrize(
    ("answers", "settings", "reason"),
    [
        ({"a": [FOUR, FOUR], "b": [FOUR, FIVE]}, {}, ""),
        ({"a": [NOTHING, NOTHING]}, {}, "solvers: no answer"),
        ({"a": [FOUR, FIVE]}, {}, "solvers: tie"),
        ({"a": [FOUR, None, NOTHING]}, {}, "solvers: agreement too low (33%)"),
        ({"a": [FOUR, FOUR], "b": [FIVE]}, {"min_solvers": 2}, "solvers: too few agree (1 of 2)"),
        ({"a": [FOUR, FOUR]}, {"max_pass_rate": 0.9}, "solvers: too easy (100%)"),
        ({"a": [FOUR, f"cut {FOUR}"]}, {"min_agreement": 0.6}, "solvers: agreement too low (50%)"),
    ],
)
def test_a_problem_stays_where_enough_agree(answers: Any, settings: Any, reason: str) -> None:
    found = solved(answers, **settings)
    assert found.reason == reason
    assert len(found.rows) == sum(map(len, answers.values()))


def test_rows_are_numbered_over_all_solvers_and_say_who_agreed() -> None:
    rows = solved({"a": [FOUR, FIVE], "b": [FOUR]}).rows
    assert [(row.mode, row.index, row.passed) for row in rows] == [("a", 0, True), ("a", 1, False), ("b", 2, True)]
    assert len({row.id for row in rows}) == 3
    assert all(row.passed is None for row in solved({"a": [FOUR, FIVE]}).rows), "a tie agrees with nobody"


def test_answers_that_cannot_be_compared_are_not_asked_for() -> None:
    context: Any = SimpleNamespace(judge=SimpleNamespace(verifiers={"math": SimpleNamespace(name="opaque")}))
    settings = Solving.model_validate({"solvers": {"a": {"engine": ENGINE, "samples": 2}}})
    context.listener = SimpleNamespace(begin=lambda *_: None, advance=lambda *_: None)
    context.open_engine, context.recipe, context.seed = _nothing, RECIPE, lambda *_: 0
    assert solve_prompts(context, settings, [PROMPT]) == {}


@contextmanager
def _nothing(*_: Any) -> Iterator[Script]:
    yield Script([])
