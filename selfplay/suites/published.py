"""How rows of the named suites become tasks, form by form."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from selfplay.run.seeding import derive
from selfplay.suites.catalogue import Form, NamedSuite
from selfplay.suites.livecodebench import contest_task
from selfplay.suites.rows import SuiteError
from verifiers.model import Task, Test

Fields = Mapping[str, Any]
MakeTask = Callable[[str, NamedSuite, Fields], Task]

ID_FIELDS = ("task_id", "question_id", "unique_id", "id", "problem_idx", "Record ID")
"""Columns by which suites name their problems, the first that a row has counts."""
LETTERS = "ABCD"
ASSERTS_TIME_S = 10.0


def task_of(where: str, suite: NamedSuite, row: Fields) -> Task:
    """The task of a row of a named suite.

    Raises:
        SuiteError: a column is missing, or holds something else.
    """
    return FORMS[suite.form](where, suite, row)


def id_of(row: Fields, number: int) -> str:
    """The published name of a problem; its place, from 0, where it has none."""
    return next((str(row[name]) for name in ID_FIELDS if row.get(name) not in (None, "")), str(number))


def _answer(where: str, suite: NamedSuite, row: Fields) -> Task:
    problem = _column(where, row, suite.fields.get("problem", "problem"), "problem")
    return Task(problem, _column(where, row, suite.fields.get("answer", "answer"), "answer"))


def _gsm8k(where: str, suite: NamedSuite, row: Fields) -> Task:
    solution = _column(where, row, "answer")
    # The published column holds the whole solution, with the answer behind the last mark.
    return Task(_column(where, row, "question", "problem"), solution.rpartition("####")[2].strip().replace(",", ""))


def _olympiad(where: str, suite: NamedSuite, row: Fields) -> Task:
    answers = row.get("final_answer", row.get("answer"))
    listed = [answers] if isinstance(answers, str) else answers
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) for one in listed):
        raise SuiteError(f"{where}: `final_answer` must be a list of texts")
    return Task(_column(where, row, "question", "problem"), ", ".join(one.strip().strip("$") for one in listed))


def _gpqa(where: str, suite: NamedSuite, row: Fields) -> Task:
    question, right = _column(where, row, "Question"), _column(where, row, "Correct Answer").strip()
    options = [right, *(_column(where, row, f"Incorrect Answer {number}").strip() for number in (1, 2, 3))]
    random.Random(derive(0, "gpqa", question)).shuffle(options)
    shown = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
    return Task(f"{question.strip()}\n\n{shown}", LETTERS[options.index(right)])


def _humaneval(where: str, suite: NamedSuite, row: Fields) -> Task:
    entry_point = _column(where, row, "entry_point")
    prompt, tests = _column(where, row, "prompt"), _column(where, row, "test")
    if not entry_point.isidentifier():
        raise SuiteError(f"{where}: `entry_point` is no name of a function")
    # What stands before the function there: imports, and helpers that some tests use.
    head = prompt[: max(0, prompt.rfind(f"def {entry_point}"))]
    return _with_statements(prompt, head, f"{tests}\ncheck({entry_point})", entry_point)


def _mbpp(where: str, suite: NamedSuite, row: Fields) -> Task:
    asserts = row.get("test_list")
    if not isinstance(asserts, list) or not asserts or not all(isinstance(one, str) for one in asserts):
        raise SuiteError(f"{where}: `test_list` must be a list of asserts")
    setup = row.get("test_setup_code") or ""
    problem = _column(where, row, "text", "prompt")
    named = asserts[0].replace("(", " ").split()
    entry_point = next((word for word in named[1:] if word.isidentifier() and word not in _AROUND), None)
    if entry_point is None:
        raise SuiteError(f"{where}: the first assert calls no function: {asserts[0][:80]}")
    shown = f"{problem.strip()}\n\nYour function must pass this test:\n\n```python\n{asserts[0]}\n```"
    return _with_statements(shown, str(setup), "\n".join(asserts), entry_point)


def _livecodebench(where: str, suite: NamedSuite, row: Fields) -> Task:
    return contest_task(where, row)


_AROUND = frozenset(("not", "set", "sorted", "list", "tuple", "str", "round", "abs", "math", "isclose"))
"""Names before that of the function in MBPP's asserts."""

FORMS: Mapping[Form, MakeTask] = {
    "answer": _answer,
    "gsm8k": _gsm8k,
    "olympiad": _olympiad,
    "gpqa": _gpqa,
    "humaneval": _humaneval,
    "mbpp": _mbpp,
    "livecodebench": _livecodebench,
}


def _with_statements(problem: str, before: str, behind: str, entry_point: str) -> Task:
    tests = (Test(input=before), Test(input=behind))
    return Task(problem, tests=tests, entry_point=entry_point, time_limit_s=ASSERTS_TIME_S)


def _column(where: str, row: Fields, *names: str) -> str:
    """The text of the first of some columns that a row has; numbers become texts."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
    named = " or ".join(f"`{name}`" for name in dict.fromkeys(names))
    raise SuiteError(f"{where}: has no text in {named}; it has {', '.join(sorted(map(str, row)))[:200]}")
