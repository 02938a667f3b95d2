"""Labels by vote: answers through the math verifier, programs through the real sandbox."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.config.labelling import Labelling
from selfplay.engines.base import Sample
from selfplay.labelling.answer_vote import Label, label_by_answers
from selfplay.labelling.consensus import Consensus, TrialInput, Tried
from selfplay.labelling.difficulty import drop_reason, limits_of
from selfplay.labelling.filters import answer_fault, statement_fault
from selfplay.labelling.unit_tests import seed_trials
from selfplay.labelling.verification import credence, opinion
from selfplay.labelling.votes import likelihood_weights
from selfplay.run.seeding import derive
from verifiers.mathematics import MathVerifier
from verifiers.model import Task, Test
from verifiers.programs.runner import ProgramRunner, RawOutput

MATH = MathVerifier(workers=1)


def settings(**changes: Any) -> Labelling:
    return Labelling.model_validate({"samples": 4, "min_agreement": 0.5, "tests": 2, "min_tests": 1} | changes)


def voted(*answers: str | None, weights: Sequence[float] | None = None, **changes: Any) -> Label:
    return label_by_answers(MATH, answers, weights or [1.0] * len(answers), settings(**changes))


def test_equal_answers_vote_together() -> None:
    label = voted("1/2", "0.5", "\\frac{1}{2}", "2")
    assert label.fault == ""
    assert MATH.equal(label.answer or "", "0.5")
    assert (label.agreement, label.agrees) == (0.75, (True, True, True, False))


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        (("1", "2", "3", "4"), "agreement too low"),
        (("1", "1", "2", "2"), "tie"),
        ((None, None, " ", None), "no answer"),
        (("7", None, None, None), "agreement too low"),
    ],
)
def test_why_there_is_no_label(answers: tuple[str | None, ...], fault: str) -> None:
    label = voted(*answers)
    assert (label.answer, label.agrees, label.fault) == (None, (), fault)


@pytest.mark.parametrize("answer", ["the answer is 7", "{1"])
def test_a_label_that_no_completion_can_pass_is_none(answer: str) -> None:
    label = voted(*[answer] * 4)
    assert label.answer is None
    assert label.fault.startswith("no completion can pass it")
    assert label.agreement == 1.0


def test_agreement_is_the_share_that_equals_the_winner() -> None:
    tied = voted(*["3 hours"] * 3, *["3 minutes"] * 3, "3", "3")
    assert (tied.answer, tied.agreement, tied.fault) == (None, 5 / 8, "tie")
    won = voted(*["3 hours"] * 4, *["3 minutes"] * 3, "3")
    assert (won.answer, won.agreement) == ("3 hours", 5 / 8)
    assert won.agreement == sum(map(bool, won.agrees)) / 8


@pytest.fixture(scope="module")
def runner(needs_sandbox: None) -> Iterator[ProgramRunner]:
    made = ProgramRunner(workers=1)
    yield made
    made.close()


SUM = "print(sum(map(int, input().split())))"
SUM_TOO = "total = 0\nfor x in input().split():\n    total += int(x)\nprint(total, '')"
LARGEST = "print(max(map(int, input().split())))"
BROKEN = "print(1 / 0)"
INPUTS = ["1 2 3\n", "4 -4\n"]


def agreed(
    runner: ProgramRunner,
    programs: Sequence[str],
    trials: Sequence[TrialInput],
    weights: Sequence[float] = (),
    **changes: Any,
) -> tuple[Label, list[Tried]]:
    found = Consensus(runner, Task(), [source or None for source in programs], weights or [1.0] * len(programs), trials)
    return found.label(settings(**changes))


def of_seeds(*inputs: str) -> list[TrialInput]:
    return [TrialInput("seed", text) for text in inputs]


def test_programs_that_print_the_same_agree(runner: ProgramRunner) -> None:
    label, _ = agreed(runner, [SUM, SUM_TOO, LARGEST, BROKEN], of_seeds(*INPUTS))
    assert [(test.input, test.output) for test in label.tests] == [("1 2 3\n", "6"), ("4 -4\n", "0")]
    assert (label.agreement, label.agrees, label.fault) == (0.5, (True, True, False, False), "")


def test_an_input_without_agreement_is_no_test(runner: ProgramRunner) -> None:
    """On one number the sum and the largest agree; on three they tie."""
    label, tried = agreed(runner, [SUM, SUM, LARGEST, LARGEST], of_seeds("5\n", "1 2 3\n"))
    assert [test.input for test in label.tests] == ["5\n"]
    assert label.agrees == (True,) * 4
    assert [item.outcome for item in tried] == ["given", "dropped: no output that programs agree on"]


def test_what_was_not_voted_on_has_no_agreement(runner: ProgramRunner) -> None:
    none, _ = agreed(runner, [SUM, SUM], [])
    assert (none.agreement, none.fault) == (None, "too few tests agreed on")
    few, _ = agreed(runner, [SUM, SUM, LARGEST, BROKEN, BROKEN], of_seeds("1 2 3\n"))
    assert (few.agreement, few.tests) == (0.4, ())
    assert agreed(runner, [BROKEN, BROKEN], of_seeds("1 2 3\n"))[0].agreement == 0.0
    assert agreed(runner, ["", ""], of_seeds("1 2 3\n"))[0].agreement == 0.0


def test_weights_break_a_tie(runner: ProgramRunner) -> None:
    label, _ = agreed(runner, [SUM, SUM, LARGEST, LARGEST], of_seeds("1 2 3\n"), weights=[1, 1, 1, 2])
    assert [test.output for test in label.tests] == ["3"]
    assert label.agreement == 0.6


def test_what_just_reaches_the_least_agreement_does_at_any_weight(runner: ProgramRunner) -> None:
    """The share of nine votes of a tenth is a float below 0.75."""
    programs = [SUM] * 9 + [LARGEST] * 3
    label, _ = agreed(runner, programs, of_seeds("1 2 3\n"), weights=[0.1] * 12, min_agreement=0.75)
    assert ([test.output for test in label.tests], label.fault) == (["6"], "")


def test_what_becomes_of_written_tests(runner: ProgramRunner) -> None:
    trials = [
        TrialInput("edge_case", "0", "0"),
        TrialInput("error_prone", "2 2", "5"),
        TrialInput("critical_path", "x", "1"),
        TrialInput("complex_scenario", fault="no test"),
        TrialInput("edge_case", "1 2", " 3\n"),
    ]
    label, tried = agreed(runner, [SUM, SUM_TOO, LARGEST, SUM], trials)
    no_output = "dropped: no output that programs agree on"
    assert [item.outcome for item in tried] == ["confirmed", "mended", no_output, "dropped: no test", "confirmed"]
    assert [(test.input, test.output) for test in label.tests] == [("0", "0"), ("2 2", "4"), ("1 2", "3")]


class _Unsteady:
    """A runner whose sandbox fails on the second of its inputs."""

    def __init__(self, runner: ProgramRunner) -> None:
        self._runner = runner

    def outputs(self, programs: Any, inputs: Any) -> list[list[RawOutput]]:
        found = self._runner.outputs(programs, inputs)
        return [[row[0], RawOutput("sandbox_error", reason="gone"), *row[2:]] for row in found]


def test_what_a_sandbox_could_not_run_counts_neither_way(runner: ProgramRunner) -> None:
    unsteady: Any = _Unsteady(runner)
    label, tried = agreed(unsteady, [SUM, SUM, SUM, ""], of_seeds("1 2", "3 4", "5 6"))
    assert [item.outcome for item in tried] == ["given", "dropped: the sandbox could not run it", "given"]
    assert label.agrees == (True, True, True, False)


@pytest.mark.parametrize(
    ("sources", "fault"),
    [
        ((BROKEN, BROKEN, BROKEN, BROKEN), "too few tests agreed on"),
        (("", "", "", ""), "no program"),
        (("", "", "", SUM), "too few tests agreed on"),
    ],
)
def test_why_there_are_no_tests(runner: ProgramRunner, sources: tuple[str, ...], fault: str) -> None:
    assert agreed(runner, sources, of_seeds(*INPUTS))[0].fault == fault


@pytest.mark.parametrize(
    ("names", "rate", "dropped"),
    [
        (["always_solved"], 1.0, True),
        (["always_solved"], 0.9, False),
        (["at_least_half_solved"], 0.5, True),
        (["above_half_solved"], 0.5, False),
        (["above_half_solved"], 0.0, True),
        (["never_solved"], 0.0, True),
        (["never_solved"], 0.1, False),
        ([], 1.0, False),
    ],
)
def test_difficulty_filters(names: list[str], rate: float, dropped: bool) -> None:
    assert bool(drop_reason(rate, limits_of(settings(drop=names, min_agreement=0.25)))) is dropped


@pytest.mark.parametrize(
    ("answer", "filters", "fault"),
    [
        ("0", ["trivial_answer"], "trivial answer"),
        ("$1.0$", ["trivial_answer"], "trivial answer"),
        ("No such number", ["trivial_answer"], "trivial answer"),
        ("\\text{no solution}", ["trivial_answer"], "trivial answer"),
        ("10", ["trivial_answer"], ""),
        ("November", ["trivial_answer"], ""),
        ("n", ["trivial_answer"], ""),
        ("0", [], ""),
        ("\\{\\}", ["empty_answer"], "empty answer"),
        ("-", ["empty_answer"], "empty answer"),
        ("\\pi", ["empty_answer"], ""),
        ("七", ["foreign_script"], "foreign script ('七')"),
        ("семь", ["foreign_script"], "foreign script ('с')"),
        ("\\alpha + β = 2√3", ["foreign_script"], ""),
        ("0", ["foreign_script", "trivial_answer", "empty_answer"], "trivial answer"),
    ],
)
def test_filters_of_answers(answer: str, filters: list[str], fault: str) -> None:
    assert answer_fault(answer, settings(filters=filters)) == fault


@given(st.text(max_size=200))
def test_filters_of_answers_take_any_text(answer: str) -> None:
    every = settings(filters=["empty_answer", "trivial_answer", "foreign_script"])
    assert isinstance(answer_fault(answer, every), str)


def test_an_answer_that_a_filter_refuses_is_no_label() -> None:
    assert voted("1", "1", "2", filters=["trivial_answer"]).fault == "trivial answer"
    assert voted("2", "2", "1", filters=["trivial_answer"]).answer == "2"


@pytest.mark.parametrize(
    ("problem", "filters", "fault"),
    [
        ("Prove that 2 is even.", ["proof"], "proof question"),
        ("Find the sum of the", ["truncated"], "truncated statement"),
        ("Prove that the sum of the", [], ""),
        ("What is 1 + 1?", ["proof", "truncated"], ""),
    ],
)
def test_filters_of_statements(problem: str, filters: list[str], fault: str) -> None:
    assert statement_fault(problem, settings(filters=filters)).partition(" (")[0] == fault


def test_weighted_votes() -> None:
    assert voted("1", "2", "2", weights=[3.0, 1.0, 1.0]).answer == "1"
    assert voted("1", "2", "2", weights=[3.0, 1.0, 1.0]).agreement == pytest.approx(0.6)
    assert voted("1", "2", None, weights=[1.0, 1.0, 8.0]).fault == "agreement too low"


@given(st.lists(st.floats(-20, 0), min_size=1, max_size=12), st.floats(0.1, 100))
def test_likelihoods_weigh_in_their_order(means: list[float], sharpness: float) -> None:
    weights = likelihood_weights(means, sharpness)
    assert sum(weights) == pytest.approx(len(means))
    order = sorted(range(len(means)), key=lambda n: means[n])
    assert [weights[n] for n in order] == sorted(weights)


def test_inputs_of_the_seeds_are_drawn_for_each_prompt_anew() -> None:
    tests = [("code", str(number)) for number in range(20)] + [("math", "other")]
    seeds: Any = [SimpleNamespace(domain=domain, task=Task("", tests=(Test(text, ""),))) for domain, text in tests]
    context: Any = SimpleNamespace(
        recipe=SimpleNamespace(labelling=SimpleNamespace(tests=5)), seed=lambda *names: derive(3, *names)
    )

    def drawn(prompt: str) -> list[str]:
        asked: Any = SimpleNamespace(domain="code", prompt_id=prompt)
        found = seed_trials(context, asked, seeds)
        assert {trial.kind for trial in found} == {"seed"}
        return [trial.input for trial in found]

    assert len(set(drawn("a"))) == 5
    assert "other" not in drawn("a")
    assert drawn("a") == drawn("a") != drawn("b")
    known = sorted(str(number) for number in range(20))
    assert drawn("a") == random.Random(derive(3, "labelling", "inputs", "a")).sample(known, 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It adds up.\nRIGHT", True),
        ("<think>RIGHT</think>\n> **WRONG**.", False),
        ("RIGHT\nor so", None),
        ("<think>RIGHT", None),
        ("", None),
    ],
)
def test_a_second_look_says_so_in_its_last_line(text: str, said: bool | None) -> None:
    assert opinion(Sample(text, (), complete=True)) is said
    assert opinion(Sample(text, (), complete=False)) is None


def test_the_chance_that_a_class_is_right() -> None:
    assert [credence(said) for said in ([], [True, None, True], [False])] == [1 / 2, 3 / 4, 1 / 3]
