"""Word problems of one step: right, apart, and the shipped files are what the generator writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from examples import one_step
from selfplay.config.load import load_recipe
from selfplay.curation.reserved import without_leaks
from selfplay.seeds.stage import SPLITS, load_seeds, may_lack

SEEDS = Path(__file__).resolve().parents[2] / "configs" / "seeds"
RESULTS: dict[str, Callable[[int, int], int | Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": Fraction,
}


def operation_of(problem: str) -> one_step.OneStepOperation:
    """The operation one of whose stories, whatever its name and numbers, is the problem."""
    found = []
    for operation in one_step.OPERATIONS:
        for story in operation.stories:
            told = re.escape(story)
            for field, pattern in {"name": r"\w+", "a": r"\d+", "b": r"\d+"}.items():
                told = told.replace(re.escape("{" + field + "}"), pattern)
            if re.fullmatch(told, problem):
                found.append(operation)
    [only] = found
    return only


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_the_shipped_file_is_what_the_generator_writes(split: one_step.Split, tmp_path: Path) -> None:
    one_step.main(tmp_path)
    name = f"one-step-{split}.jsonl"
    assert (tmp_path / name).read_bytes() == (SEEDS / name).read_bytes()


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_every_answer_follows_from_the_two_numbers_of_the_story(split: one_step.Split) -> None:
    for row in one_step.problems(split, one_step.COUNTS[split]):
        first, second = map(int, re.findall(r"\d+", row["problem"]))
        assert RESULTS[operation_of(row["problem"]).sign](first, second) == int(row["answer"]) > 0


def test_no_sum_of_one_file_is_asked_for_in_the_other() -> None:
    asked = {}
    for split, count in one_step.COUNTS.items():
        rows = one_step.problems(split, count)
        assert len({row["problem"] for row in rows}) == count
        asked[split] = {
            (operation_of(row["problem"]).sign, *sorted(map(int, re.findall(r"\d+", row["problem"])))) for row in rows
        }
    assert not asked["train"] & asked["heldout"]


def test_more_problems_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="fewer than 9999 heldout"):
        one_step.problems("heldout", 9999)


def test_rows_are_json_lines_of_problem_answer_and_source() -> None:
    for line in (SEEDS / "one-step-heldout.jsonl").read_text().splitlines():
        assert set(json.loads(line)) == {"problem", "answer", "source"}


def test_the_recipe_leaves_none_of_them_out() -> None:
    """The two files share their wordings, which is no leak."""
    recipe = load_recipe(SEEDS.parent / "smollm2-grpo.yaml")
    lacking = may_lack(recipe)
    given = {split: load_seeds(0, "arithmetic", recipe.domains["arithmetic"], split, lacking) for split in SPLITS}
    left = without_leaks(recipe.curation, given)
    assert {split: len(seeds) for split, seeds in left.items()} == {"train": 200, "dev": 0, "heldout": 100}
