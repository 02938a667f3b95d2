"""Templates and the strict parser of the prompt model's completions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay import formats
from selfplay.config.domains import Domain
from verifiers.model import Task, Test

DOMAIN = Domain.model_validate({"seeds": {"kind": "quickstart", "grammar": "math"}})
contents = st.text(max_size=40).map(str.strip).filter(lambda text: text and "<!--" not in text)


@given(rationale=contents, problem=contents)
def test_what_is_written_is_read(rationale: str, problem: str) -> None:
    text = formats.rationale_block(rationale) + formats.problem_block(problem)
    assert formats.parse_completion(text) == formats.Parsed(rationale, problem)


@given(text=st.text(max_size=300))
def test_any_text_is_parsed_or_refused_with_a_reason(text: str) -> None:
    parsed = formats.parse_completion(text)
    assert bool(parsed.fault) != bool(parsed.rationale and parsed.problem)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no rationale block"),
        ("<!-- BEGIN RATIONALE -->r", "rationale block not closed"),
        ("<!-- BEGIN RATIONALE --> <!-- END RATIONALE -->", "empty rationale"),
        (
            "<!-- BEGIN RATIONALE -->r<!-- BEGIN PROBLEM -->p<!-- END PROBLEM --><!-- END RATIONALE -->",
            "a marker inside the rationale",
        ),
        (
            f"{formats.rationale_block('r')}<!-- BEGIN PROBLEM -->p<!-- BEGIN PROBLEM -->q<!-- END PROBLEM -->",
            "a marker inside the problem",
        ),
        ("<!-- BEGIN RATIONALE -->r<!-- END RATIONALE -->", "no problem block"),
        ("<!-- BEGIN RATIONALE -->r<!-- END RATIONALE --><!-- BEGIN PROBLEM -->p", "problem block not closed"),
        (
            "<!-- BEGIN PROBLEM -->p<!-- END PROBLEM --><!-- BEGIN RATIONALE -->r<!-- END RATIONALE -->",
            "before the end",
        ),
    ],
)
def test_faults_are_named(text: str, fault: str) -> None:
    assert fault in formats.parse_completion(text).fault


def test_the_first_block_of_each_counts() -> None:
    text = "".join(
        [
            formats.rationale_block("one"),
            formats.problem_block("first"),
            formats.rationale_block("two"),
            formats.problem_block("second"),
        ]
    )
    assert formats.parse_completion(text) == formats.Parsed("one", "first")


def test_braces_in_values_are_not_fields() -> None:
    text = formats.rationale_input(DOMAIN, ["{level}", "b"], "{problem}", "{concepts} \\boxed{}")
    assert "1. {level}\n2. b" in text
    assert "Level: {problem}" in text
    assert "Problem: {concepts} \\boxed{}" in text


def test_braces_of_the_template_stay() -> None:
    assert "\\boxed{}" in formats.solver_input(DOMAIN, Task("p"))


def test_the_policy_is_told_what_to_write() -> None:
    assert formats.solver_input(DOMAIN, Task("Add.", tests=(Test("1 2", "3"),))) == DOMAIN.solver_template.replace(
        "{problem}", "Add."
    )
    function = formats.solver_input(DOMAIN, Task("Add {entry_point}.", entry_point="add", tests=(Test(args=(1,)),)))
    assert function.startswith("Add {entry_point}.\n\nWrite a Python function named `add`")
    cpp = formats.solver_input(DOMAIN, Task("Add.", language="cpp"))
    assert "Write a C++ program" in cpp
    assert "```cpp" in cpp
    own = DOMAIN.model_copy(update={"function_template": "def {entry_point}: # {problem}"})
    assert formats.solver_input(own, Task("Add.", entry_point="add")) == "def add: # Add."
    with pytest.raises(ValueError, match=r"function_template lacks the field \{entry_point\}"):
        Domain.model_validate({"seeds": {"kind": "reasoning_gym"}, "function_template": "{problem}"})
