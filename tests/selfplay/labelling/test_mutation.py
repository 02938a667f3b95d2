"""Mutants of programs, and the tests that tell them apart, in the real sandbox."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.model import Limits
from selfplay.config.labelling import Mutation
from selfplay.labelling.answer_vote import Label
from selfplay.labelling.mutants import LONGEST_SOURCE, Mutant, mutants
from selfplay.labelling.mutation_check import accepted_program, checked, kill_rate
from verifiers.model import Test
from verifiers.programs.runner import ProgramRunner

LARGEST_EVEN = """\
best = 0
for word in input().split():
    n = int(word)
    if n % 2 == 0 and n > best:
        best = n
print(best)
"""


@pytest.fixture(scope="module")
def runner() -> Iterator[ProgramRunner]:
    made = ProgramRunner(workers=1)
    yield made
    made.close()


def test_each_mutant_differs_in_one_token() -> None:
    found = mutants(LARGEST_EVEN, 100)
    assert {(mutant.line, mutant.change) for mutant in found} == {
        (1, "0 -> 1"),
        (4, "% -> //"),
        (4, "2 -> 3"),
        (4, "2 -> 1"),
        (4, "== -> !="),
        (4, "0 -> 1"),
        (4, "and -> or"),
        (4, "> -> >="),
        (4, "> -> <"),
    }
    lines = LARGEST_EVEN.splitlines()
    for mutant in found:
        changed = [(a, b) for a, b in zip(lines, mutant.source.splitlines(), strict=True) if a != b]
        assert len(changed) == 1


def test_fewer_are_spread_over_the_program() -> None:
    every, some = mutants(LARGEST_EVEN, 100), mutants(LARGEST_EVEN, 4)
    assert len(some) == 4
    assert {m.source for m in some} <= {m.source for m in every}
    assert some == mutants(LARGEST_EVEN, 4)
    assert (some[0].line, some[-1].line) == (1, 4)


@pytest.mark.parametrize("source", ["", "x = (", "x" * (LONGEST_SOURCE + 1), "(" * 5000, "\x00", "print('a')"])
def test_what_has_no_mutants(source: str) -> None:
    assert mutants(source, 10) == []


@pytest.mark.parametrize("source", ["1" + "<2" * 6000, "x=1\n" * 4900, "a=[" + "1," * 9000 + "]"])
def test_a_long_program_costs_no_square(source: str) -> None:
    begun = time.process_time()
    assert len(mutants(source, 4)) <= 4
    assert time.process_time() - begun < 10


def test_layout_alone_is_no_mutant() -> None:
    assert [m.change for m in mutants("x = not y\n", 10)] == ["not -> nothing"]


TOKENS = st.lists(
    st.sampled_from(["x", "=", "1", "0", "\n", " ", "+", "(", ")", "if ", ":", "not ", '"""', "\\", "\t", "\x0c", "é"]),
    max_size=40,
).map("".join)


@given(TOKENS | st.text(max_size=80))
def test_any_text_gives_programs_or_nothing(source: str) -> None:
    for mutant in mutants(source, 20):
        assert isinstance(mutant, Mutant)
        ast.parse(mutant.source)


def case(text: str, output: str) -> Test:
    return Test(text, output)


def test_the_kill_rate_of_a_known_program(runner: ProgramRunner) -> None:
    """One even number sees four mutants of nine; good tests see all but `>` to `>=`, which does the same."""
    weak = kill_rate(runner, LARGEST_EVEN, [case("4", "4")], 100)
    good = kill_rate(runner, LARGEST_EVEN, [case("4 3 6 2", "6"), case("9 -2", "0"), case("2 3 5", "2")], 100)
    assert weak is not None
    assert weak < 0.6
    assert good == pytest.approx(8 / 9)


def test_a_program_without_mutants_has_no_kill_rate(runner: ProgramRunner) -> None:
    assert kill_rate(runner, "print(input())", [case("1", "1")], 10) is None


def test_the_accepted_program_is_the_commonest_that_passes() -> None:
    label = Label(None, (case("1", "1"),), 0.8, (True, True, False, True, None))
    assert accepted_program(label, ["b", "a", "c", "b", "d"]) == "b"
    assert accepted_program(label, ["b", "a", "c", "c", "d"]) == "a"
    assert accepted_program(Label(None, (), 0.0, (False,)), ["a"]) is None


def test_tests_that_see_too_little_are_no_label(runner: ProgramRunner) -> None:
    label = Label(None, (case("4", "4"),), 1.0, (True,))
    strict = checked(runner, label, [LARGEST_EVEN], Mutation(mutants=100, min_kill_rate=0.9))
    assert strict.fault.startswith("tests reject too few mutants (")
    assert (strict.tests, strict.agrees) == ((), ())
    loose = checked(runner, label, [LARGEST_EVEN], Mutation(mutants=100))
    assert (loose.tests, loose.fault) == (label.tests, "")
    assert loose.kill_rate == strict.kill_rate


def test_a_mutant_without_end_is_rejected(runner: ProgramRunner) -> None:
    source = "n = int(input())\nwhile n > 0:\n    n -= 1\nprint(n)\n"
    endless = [mutant for mutant in mutants(source, 100) if mutant.change == "-= -> +="]
    assert len(endless) == 1
    assert kill_rate(runner, source, [case("1", "0")], 100, Limits(cpu_s=0.2, wall_s=1)) == 1.0
