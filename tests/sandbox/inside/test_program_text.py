"""A program's text runs as a module of its own, and inherits nothing."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import pytest

from sandbox.inside.program_text import execute


@pytest.mark.parametrize("file", [None, "answer.py"])
def test_names_are_the_programs_own_and_no_future_is_inherited(file: str | None) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    execute("def f(x: int) -> str: ...\nfound = f.__annotations__\nmain = __name__", names, file)
    # With `from __future__ import annotations`, which this test has, they would be texts.
    assert names["found"] == {"x": int, "return": str}
    assert names["main"] == "__main__"


def test_a_traceback_names_the_file_that_was_given() -> None:
    with pytest.raises(ZeroDivisionError):
        execute("x = 1\nx / 0", {}, "answer.py")
    try:
        execute("x = 1\nx / 0", {}, "answer.py")
    except ZeroDivisionError:
        last = traceback.extract_tb(sys.exc_info()[2])[-1]
        assert (last.filename, last.lineno) == ("answer.py", 2)


def test_what_is_no_program_is_a_syntax_error() -> None:
    with pytest.raises(SyntaxError):
        execute("def", {})
