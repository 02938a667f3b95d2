"""Answers by class, made by rules or written by hand: the right ones pass, the wrong ones don't."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks._gold_values import value_of
from benchmarks._labelled_mutants import spoken
from benchmarks._math_mutants import BOXED, SAID, is_factorial_times, mutants
from benchmarks.math_false_passes import SHARED, SHIPPED, golds, made_mutants, passes
from verifiers.mathematics import MathVerifier
from verifiers.model import Task

sys.path.insert(0, str(Path(__file__).parent))
from made_cases import CLASSES, Case, made_cases
from made_corrections import CORRECTIONS
from made_endings import ENDINGS
from made_notations import NOTATIONS, made_notations
from made_prose import PROSE
from made_readings import READINGS
from made_retractions import RETRACTIONS
from made_sentences import SENTENCES
from written_cases import RIGHT, WRONG

WRITTEN: dict[str, list[Case]] = {
    **{f"right {name}": [(*case, True) for case in cases] for name, cases in RIGHT.items()},
    **{f"wrong {name}": [(*case, False) for case in cases] for name, cases in WRONG.items()},
}


@pytest.fixture(scope="module")
def math() -> Iterator[MathVerifier]:
    verifier = MathVerifier(workers=1, deadline_s=60.0)
    yield verifier
    verifier.close()


def misjudged(math: MathVerifier, cases: list[Case]) -> list[tuple[str, str, bool, str]]:
    verdicts = math.verify_many([(Task(answer=gold), completion) for gold, completion, _ in cases])
    return [
        (*case, verdict.status)
        for case, verdict in zip(cases, verdicts, strict=True)
        if verdict.passed is not case[2] and (case[2] or verdict.passed)
    ]


@pytest.mark.parametrize("name", WRITTEN)
def test_cases_written_by_hand(math: MathVerifier, name: str) -> None:
    assert misjudged(math, WRITTEN[name]) == []


@pytest.mark.parametrize("name", CLASSES)
def test_cases_made_by_rules(math: MathVerifier, name: str) -> None:
    assert misjudged(math, made_cases(name, 4, seed=0)) == []


@pytest.mark.parametrize("name", NOTATIONS)
def test_notations_made_by_rules(math: MathVerifier, name: str) -> None:
    assert misjudged(math, made_notations(name, 2, seed=0)) == []


@pytest.mark.parametrize("name", READINGS)
def test_readings_made_by_rules(math: MathVerifier, name: str) -> None:
    assert misjudged(math, list(READINGS[name](random.Random(0)))) == []


@pytest.mark.parametrize("name", ENDINGS)
def test_endings_made_by_rules(math: MathVerifier, name: str) -> None:
    assert misjudged(math, list(ENDINGS[name](random.Random(0)))) == []


@pytest.mark.parametrize("name", [*CORRECTIONS, *RETRACTIONS])
def test_what_is_taken_back_or_not_whole(math: MathVerifier, name: str) -> None:
    assert misjudged(math, list((CORRECTIONS | RETRACTIONS)[name](random.Random(0)))) == []


@pytest.mark.parametrize("name", PROSE)
def test_statements_made_by_rules(math: MathVerifier, name: str) -> None:
    assert misjudged(math, list(PROSE[name](random.Random(0)))) == []


@pytest.mark.parametrize("name", SENTENCES)
def test_last_sentences_made_by_rules(math: MathVerifier, name: str) -> None:
    assert misjudged(math, list(SENTENCES[name](random.Random(0)))) == []


@pytest.mark.long
@pytest.mark.parametrize("name", [*PROSE, *CORRECTIONS, *SENTENCES])
def test_many_statements_made_by_rules(math: MathVerifier, name: str) -> None:
    maker = (PROSE | CORRECTIONS | SENTENCES)[name]
    assert misjudged(math, [case for seed in range(1, 12) for case in maker(random.Random(seed))]) == []


def test_every_number_below_a_hundred_may_be_said(math: MathVerifier) -> None:
    assert misjudged(math, [(str(n), rf"\boxed{{{spoken(n)}}}", True) for n in range(100)]) == []
    assert misjudged(math, [(str(n + 1), rf"\boxed{{{spoken(n)}}}", False) for n in range(100)]) == []


@pytest.mark.long
@pytest.mark.parametrize("name", CLASSES)
def test_many_cases_made_by_rules(math: MathVerifier, name: str) -> None:
    assert misjudged(math, made_cases(name, 60, seed=1)) == []


def test_what_made_cases_say_holds_in_both_directions(math: MathVerifier) -> None:
    for name in ("labels", "named lists", "approximations", "orders"):
        for gold, completion, right in made_cases(name, 1, seed=2):
            answer = math.extract(completion)
            if answer is not None:
                assert math.equal(answer, gold) == math.equal(gold, answer) == right, (answer, gold)
                assert right or math.canonical(answer) != math.canonical(gold)


def test_a_sample_of_mutants_fails() -> None:
    items = made_mutants(golds([SHIPPED], made=1), 400, seed=3)
    assert passes(items, workers=1)[0] == []


@pytest.mark.long
def test_no_mutant_of_any_gold_passes() -> None:
    """With SELFPLAY_SHARED_DATA, of the golds in that folder too."""
    items = made_mutants(golds([SHIPPED, *([SHARED] if SHARED.is_dir() else [])]), 110_000, seed=0)
    passed, statuses = passes(items)
    assert passed == []
    assert statuses["correct"] == 0


def test_mutants_are_the_same_every_time_and_none_is_equal_by_construction() -> None:
    answers = golds([SHIPPED], made=2)
    items = made_mutants(answers, 10**9, seed=5)
    assert items == made_mutants(answers, 10**9, seed=5)
    assert {name for name, *_ in items} == {*BOXED, *SAID}
    for _, gold, completion in items:
        if value_of(gold) is not None and completion.startswith(r"So \boxed{"):
            assert value_of(completion.removeprefix(r"So \boxed{").removesuffix("}.")) != value_of(gold)


def test_factorials_that_read_as_they_are_written_are_known() -> None:
    assert is_factorial_times("3", "6")
    assert not is_factorial_times("3", "7")
    assert not is_factorial_times("1000000", "1")


def test_values_of_plain_numbers_are_exact() -> None:
    import random
    from fractions import Fraction

    texts = {
        "1,234": 1234,
        "-0.50": Fraction(-1, 2),
        r"\frac{6}{4}": Fraction(3, 2),
        "-3/6": Fraction(-1, 2),
        "1{,}000": 1000,
    }
    assert {text: value_of(text) for text in texts} == texts
    assert value_of("x") is value_of("1 2 3x") is None
    assert not [text for _, text in mutants("0", random.Random(0)) if text == r"So \boxed{-0}."]
