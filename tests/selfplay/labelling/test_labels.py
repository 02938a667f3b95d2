"""Labels by vote: answers through the math verifier, programs through the real sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from selfplay.labelling.answer_vote import label_by_answers
from selfplay.labelling.consensus import label_by_consensus
from selfplay.labelling.label import too_easy
from selfplay.labelling_settings import Labelling
from verifiers.math_answer import MathVerifier
from verifiers.program_runner import ProgramRunner

MATH = MathVerifier(workers=1)


def boxed(*answers: str) -> list[str]:
    return [f"\\boxed{{{answer}}}" if answer else "no idea" for answer in answers]


def settings(**changes: Any) -> Labelling:
    return Labelling.model_validate({"samples": 4, "min_agreement": 0.5, "tests": 2, "min_tests": 1} | changes)


def test_equal_answers_vote_together() -> None:
    label = label_by_answers(MATH, boxed("1/2", "0.5", "\\frac{1}{2}", "2"), settings())
    assert label.fault == ""
    assert MATH.equal(label.answer or "", "0.5")
    assert (label.agreement, label.votes) == (0.75, (True, True, True, False))


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        (("1", "2", "3", "4"), "agreement too low"),
        (("1", "1", "2", "2"), "tie"),
        (("", "", "", ""), "no answer"),
        (("7", "", "", ""), "agreement too low"),
    ],
)
def test_why_there_is_no_label(answers: tuple[str, ...], fault: str) -> None:
    label = label_by_answers(MATH, boxed(*answers), settings())
    assert (label.answer, label.votes, label.fault) == (None, (), fault)


@pytest.fixture(scope="module")
def runner() -> Iterator[ProgramRunner]:
    made = ProgramRunner(workers=1)
    yield made
    made.close()


def programs(*sources: str) -> list[str]:
    return [f"```python\n{source}\n```" if source else "no program" for source in sources]


SUM = "print(sum(map(int, input().split())))"
SUM_TOO = "total = 0\nfor x in input().split():\n    total += int(x)\nprint(total, '')"
LARGEST = "print(max(map(int, input().split())))"
BROKEN = "print(1 / 0)"
INPUTS = ["1 2 3\n", "4 -4\n"]


def test_programs_that_print_the_same_agree(runner: ProgramRunner) -> None:
    label = label_by_consensus(runner, programs(SUM, SUM_TOO, LARGEST, BROKEN), INPUTS, settings())
    assert [(test.input, test.output) for test in label.tests] == [("1 2 3\n", "6"), ("4 -4\n", "0")]
    assert (label.agreement, label.votes, label.fault) == (0.5, (True, True, False, False), "")


def test_an_input_without_agreement_is_no_test(runner: ProgramRunner) -> None:
    """On one number the sum and the largest agree; on three they tie."""
    label = label_by_consensus(runner, programs(SUM, SUM, LARGEST, LARGEST), ["5\n", "1 2 3\n"], settings())
    assert [test.input for test in label.tests] == ["5\n"]
    assert label.votes == (True,) * 4


@pytest.mark.parametrize(
    ("sources", "fault"),
    [
        ((BROKEN, BROKEN, BROKEN, BROKEN), "too few tests agreed on"),
        (("", "", "", ""), "no program"),
        (("", "", "", SUM), "too few tests agreed on"),
    ],
)
def test_why_there_are_no_tests(runner: ProgramRunner, sources: tuple[str, ...], fault: str) -> None:
    assert label_by_consensus(runner, programs(*sources), INPUTS, settings()).fault == fault


@pytest.mark.parametrize(
    ("names", "rate", "dropped"),
    [
        (["always_solved"], 1.0, True),
        (["always_solved"], 0.9, False),
        (["at_least_half_solved"], 0.5, True),
        (["above_half_solved"], 0.5, False),
        (["above_half_solved"], 0.0, True),
        ([], 1.0, False),
    ],
)
def test_difficulty_filters(names: list[str], rate: float, dropped: bool) -> None:
    assert bool(too_easy(rate, settings(drop=names, min_agreement=0.25))) is dropped
