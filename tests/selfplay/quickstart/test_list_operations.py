"""Each operation's line of code does what the operation does, and each slip something else."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

import pytest

from selfplay.quickstart.list_operations import CONCEPTS, OUTPUTS, STEPS, ListOperation

LISTS = ([], [3], [-2, 5, 5, 0, 9, -7], [1, 2, 3, 4, 5, 6, 7, 8])


def done_by(code: str, values: list[int]) -> list[int]:
    """The list after a line of code, or what the line prints."""
    printed, names = io.StringIO(), {"v": list(values)}
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return [int(word) for word in printed.getvalue().split()] if code.startswith("print") else names["v"]


@pytest.mark.parametrize("operation", [*STEPS, *OUTPUTS], ids=lambda one: one.concept)
def test_code_does_what_it_says_and_slips_do_not(operation: ListOperation) -> None:
    def same(code: str, apply: Callable[[list[int], int], list[int]]) -> None:
        for values in LISTS:
            assert done_by(code, values) == apply(list(values), 3), (code, values)

    same(operation.code.format(n=3), operation.apply)
    slips = operation.slips_for(3)
    assert len(slips) == len(operation.slips) + 2 * operation.has_number
    for slip in slips:
        if "{n}" not in slip.code:
            code = slip.code
            assert any(done_by(code, values) != operation.apply(list(values), 3) for values in LISTS), code


def test_concepts_are_told_apart() -> None:
    assert len(set(CONCEPTS)) == len(CONCEPTS)
    assert [one.concept for one in STEPS if one.has_number]
