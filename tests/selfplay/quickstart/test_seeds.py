"""Seeds: reproducible, disjoint splits, answers that the solvers confirm, and slips that really are wrong."""

from __future__ import annotations

import contextlib
import io
import random
import re
import sys
import time

import pytest

from selfplay.config.domains import Domain as DomainSettings
from selfplay.config.seeds import QuickstartSeeds
from selfplay.quickstart import list_programs, seeds, word_problems
from selfplay.quickstart.list_operations import OUTPUTS, STEPS
from selfplay.quickstart.seeds import SPLITS, Domain, SeedProblem, exact_solver, generate
from verifiers.model import Task, Test

DOMAINS: tuple[Domain, ...] = ("math", "code")


@pytest.mark.parametrize("domain", DOMAINS)
def test_same_arguments_give_the_same_problems(domain: Domain) -> None:
    assert generate(domain, 50, seed=3) == generate(domain, 50, seed=3)
    assert generate(domain, 50, seed=3) != generate(domain, 50, seed=4)


@pytest.mark.parametrize("domain", DOMAINS)
def test_splits_share_no_problem_no_concepts_and_no_numbers(domain: Domain) -> None:
    seen: dict[str, set[str]] = {"problem": set(), "concepts": set(), "numbers": set()}
    for split in SPLITS:
        problems = generate(domain, 400, seed=0, split=split)
        assert len({problem.problem for problem in problems}) == 400
        keys = {
            "problem": {problem.problem for problem in problems},
            "concepts": {repr(problem.concepts) for problem in problems},
            "numbers": {key for problem in problems for key in number_patterns(problem)},
        }
        for kind, values in keys.items():
            assert not seen[kind] & values
            seen[kind] |= values


def number_patterns(problem: SeedProblem) -> list[str]:
    if problem.domain == "code":
        return [line for line, _ in problem.tests]
    return [" ".join(re.findall(r"\d+", problem.problem))]


def test_word_problem_answers_are_what_the_solver_says() -> None:
    for problem in generate("math", 1000, seed=1):
        assert word_problems.solve(problem.problem) == problem.answer
        assert problem.solution.endswith(rf"\boxed{{{problem.answer}}}") != problem.slipped


def test_word_problem_workings_are_right_unless_slipped() -> None:
    for problem in generate("math", 300, seed=2, slip_rate=0.0):
        for working, result in re.findall(r"(\d+ [-+*/] \d+(?: \* \d+)?) = (\d+)\.", problem.solution):
            exact = eval(working.replace("/", "//"))
            assert max(exact, 0) == int(result)


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "At a beach, Mia has 17 shells. How many are there now?",
        "At a beach, Mia has many shells. Then 3 more arrive. How many are there now?",
        "At a beach, Mia has 17 shells. They are split into 0 equal shares, rounded down, and one is kept. "
        "How many are there now?",
        "At a beach, Mia has 17 shells. Then 3 more arrive! How many are there now?",
        "At a beach, Mia has 17 shells. Then 3 more arrive. How many are there now? Really?",
    ],
)
def test_statements_outside_the_word_grammar_have_no_answer(statement: str) -> None:
    assert word_problems.solve(statement) is None


@pytest.mark.parametrize("digits", ["9" * 5000, "٥", "1_0"])
def test_numbers_that_no_problem_has_are_outside_both_grammars(digits: str) -> None:
    assert word_problems.solve(f"At a farm, Mia has {digits} eggs. Then 2 more arrive. How many are there now?") is None
    assert word_problems.solve(f"At a farm, Mia has 5 eggs. Then {digits} more arrive. How many are there now?") is None
    add = next(operation for operation in STEPS if operation.has_number)
    end = OUTPUTS[0].phrase
    assert list_programs.solve(f"Given one line of integers: {add.phrase.format(n=digits)}, then {end}.") is None


def test_statements_without_end_are_read_in_linear_time_and_have_no_answer() -> None:
    begun = time.process_time()
    assert word_problems.solve("a" * 300_000) is None
    doubled = next(operation for operation in word_problems.OPERATIONS if operation.concept == "doubling")
    steps = f"{doubled.sentence} " * 20_000
    assert word_problems.solve(f"At a farm, Mia has 5 eggs. {steps}How many are there now?") is None
    assert time.process_time() - begun < 2


def test_rounding_and_running_out_are_defined() -> None:
    statement = (
        "At a beach, Mia has 3 shells. Then 5 are given away, or all if there are fewer. "
        "Then 7 more arrive. Only half are kept, rounded down. How many are there now?"
    )
    assert word_problems.solve(statement) == "3"


def test_program_tests_are_what_the_interpreter_says() -> None:
    for problem in generate("code", 500, seed=1):
        program = list_programs.solve(problem.problem)
        assert program is not None
        assert len(problem.tests) == 4
        assert [program(line) for line, _ in problem.tests] == [output for _, output in problem.tests]
        assert len(problem.tests[0][0].split()) == 1
        assert "-" in problem.tests[1][0]
        assert len(set(problem.tests[2][0].split())) < len(problem.tests[2][0].split())


def test_reference_programs_pass_their_tests_and_slipped_ones_fail() -> None:
    for problem in generate("code", 300, seed=2):
        outputs = [run(problem.solution, line) for line, _ in problem.tests]
        assert (outputs != [output for _, output in problem.tests]) == problem.slipped


def run(solution: str, line: str) -> str:
    """Run a seed program, which is of our own making."""
    code = solution.removeprefix("```python\n").removesuffix("\n```")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "stdin", io.StringIO(line + "\n"))
        exec(code, {})
    return printed.getvalue().rstrip("\n")


@pytest.mark.parametrize("statement", ["", "Given one line of integers: print.", "Given one line of integers: "])
def test_statements_outside_the_list_grammar_have_no_program(statement: str) -> None:
    assert list_programs.solve(statement) is None


def test_labels_of_statements_and_inputs_that_a_model_wrote_are_wrong_and_cost_little() -> None:
    right = exact_solver(DomainSettings(seeds=QuickstartSeeds(kind="quickstart", grammar="code")))
    assert right is not None
    begun = time.process_time()
    for squares, given in ((1, "1 2"), (1, "one 2"), (7, f"{10**4000} 2"), (100_000, "5 6")):
        problem = f"Given one line of integers: {'square each, then ' * squares}print the sum."
        assert right(Task(problem, tests=(Test(given, "5"),))) is (given == "1 2")
    assert time.process_time() - begun < 2


def test_programs_are_defined_for_lists_that_become_empty() -> None:
    program = list_programs.solve("Given one line of integers: keep the even ones, then print the largest, 0 if none.")
    assert program is not None
    assert program("3 5") == "0"


def test_generated_inputs_keep_to_the_published_format() -> None:
    for line in list_programs.inputs(random.Random(0), 50):
        values = [int(word) for word in line.split()]
        assert 1 <= len(values) <= 8
        assert all(-9 <= value <= 9 for value in values)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize(("slip_rate", "low", "high"), [(0.0, 0, 0), (0.5, 160, 240), (1.0, 390, 400)])
def test_slip_rate_is_the_share_of_wrong_solutions(domain: Domain, slip_rate: float, low: int, high: int) -> None:
    assert low <= sum(problem.slipped for problem in generate(domain, 400, 0, "train", slip_rate)) <= high


def test_unknown_domain_split_and_share_are_named() -> None:
    with pytest.raises(ValueError, match="music"):
        generate("music", 1, 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="test"):
        generate("math", 1, 0, "test")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="slip_rate"):
        generate("math", 1, 0, slip_rate=2)


def test_an_exhausted_grammar_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    only = generate("math", 1, 0)[0]
    monkeypatch.setitem(seeds._SOURCES, "math", lambda *_: only)
    with pytest.raises(ValueError, match="too few"):
        generate("math", 2, 0)


@pytest.mark.parametrize("domain", DOMAINS)
def test_two_thousand_problems_take_seconds(domain: Domain) -> None:
    started = time.process_time()
    generate(domain, 2000, seed=0)
    assert time.process_time() - started < 2
