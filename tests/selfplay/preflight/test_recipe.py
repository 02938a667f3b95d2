"""What is tried of a recipe's rewards before anything expensive, and what is said where nothing can be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.recipe import Recipe
from selfplay.preflight.recipe import PreflightError
from selfplay.preflight.rewards import check_rewards

SUMS = [{"problem": f"{n} + 1?", "answer": str(n + 1)} for n in range(3)]
RIGHT_ON_FORM: dict[str, Any] = {
    "verifier": "composite",
    "verifier_params": {
        "combine": "product",
        "components": {"right": {"verifier": "math"}, "form": {"verifier": "regex", "params": {"pattern": r"x = \d+"}}},
    },
}


def recipe(folder: Path, domain: dict[str, Any], answers: list[dict[str, Any]] = SUMS) -> Recipe:
    files = {}
    for split, rows in (("train", answers[1:]), ("heldout", answers[:1])):
        file = folder / f"{split}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        files[split] = str(file)
    seeds = {"kind": "file", "level": "easy", **files}
    given = {"training": {"pool": {"arm": "external"}}}
    return Recipe.model_validate(
        {"name": "sums", "model": {"kind": "scratch"}, "domains": {"sums": {"seeds": seeds} | domain}} | given
    )


def test_answers_are_tried_on_the_part_of_a_composite_that_reads_them(tmp_path: Path) -> None:
    [finding] = check_rewards(recipe(tmp_path, RIGHT_ON_FORM))
    assert finding.detail == "3 right answers pass, 3 wrong ones fail"


def test_an_answer_that_the_part_cannot_read_is_refused(tmp_path: Path) -> None:
    unreadable = [*SUMS, {"problem": "What is left?", "answer": "\\frac{"}]
    with pytest.raises(PreflightError, match=r"domains\.sums: the verifier 'math' is wrong on 1 of 8"):
        check_rewards(recipe(tmp_path, RIGHT_ON_FORM, unreadable))


def test_where_nothing_is_known_nothing_is_said_to_pass(tmp_path: Path) -> None:
    [finding] = check_rewards(recipe(tmp_path, {"verifier": "regex", "verifier_params": {"pattern": r"\d+"}}))
    assert finding.detail == "nothing tried, since no seed tells what 'regex' should pass or fail"
