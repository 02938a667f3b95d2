"""How rows of the named suites become tasks, form by form."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from selfplay.run.seeding import derive
from selfplay.suites.catalogue import Form, NamedSuite
from selfplay.suites.codeforces import codeforces_task, contest_name, user_turn
from selfplay.suites.livecodebench import contest_task
from selfplay.suites.rows import SuiteError, column_text
from selfplay.suites.statements import humaneval_plus_task, humaneval_task, mbpp_plus_task, mbpp_task
from verifiers.model import Task

Fields = Mapping[str, Any]
MakeTask = Callable[[str, NamedSuite, Fields], Task]

ID_FIELDS = ("task_id", "question_id", "unique_id", "id", "problem_idx", "problem_id", "Record ID")
"""Columns by which suites name their problems, the first that a row has counts."""
LETTERS = "ABCD"


def task_of(where: str, suite: NamedSuite, row: Fields) -> Task:
    """The task of a row of a named suite.

    Raises:
        SuiteError: a column is missing, or holds something else.
    """
    return FORMS[suite.form](where, suite, row)


def id_of(row: Fields, number: int) -> str:
    """The published name of a problem; its place, from 0, where it has none."""
    named = next((str(row[name]) for name in ID_FIELDS if row.get(name) not in (None, "")), None)
    return named or contest_name(row) or str(number)


def _answer(where: str, suite: NamedSuite, row: Fields) -> Task:
    problem = column_text(where, row, suite.fields.get("problem", "problem"), "problem")
    return Task(problem, column_text(where, row, suite.fields.get("answer", "answer"), "answer"))


def _released(where: str, suite: NamedSuite, row: Fields) -> Task:
    # The published column holds the answer in a box, and again behind the mark.
    answer = column_text(where, row, "reference_solution").rpartition("####")[2].strip()
    if not answer:
        raise SuiteError(f"{where}: `reference_solution` has no answer behind its last ####; download the file again")
    return Task(user_turn(where, row), answer)


def _gsm8k(where: str, suite: NamedSuite, row: Fields) -> Task:
    solution = column_text(where, row, "answer")
    # The published column holds the whole solution, with the answer behind the last mark.
    return Task(column_text(where, row, "question", "problem"), solution.rpartition("####")[2].strip().replace(",", ""))


def _olympiad(where: str, suite: NamedSuite, row: Fields) -> Task:
    answers = row.get("final_answer", row.get("answer"))
    listed = [answers] if isinstance(answers, str) else answers
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) for one in listed):
        raise SuiteError(f"{where}: `final_answer` must be a list of texts")
    return Task(column_text(where, row, "question", "problem"), ", ".join(one.strip().strip("$") for one in listed))


def _gpqa(where: str, suite: NamedSuite, row: Fields) -> Task:
    question, right = column_text(where, row, "Question"), column_text(where, row, "Correct Answer").strip()
    options = [right, *(column_text(where, row, f"Incorrect Answer {number}").strip() for number in (1, 2, 3))]
    random.Random(derive(0, "gpqa", question)).shuffle(options)
    shown = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
    return Task(f"{question.strip()}\n\n{shown}", LETTERS[options.index(right)])


def _by_row(task: Callable[[str, Fields], Task]) -> MakeTask:
    """A form that is the same for each suite that has it."""
    return lambda where, suite, row: task(where, row)


FORMS: Mapping[Form, MakeTask] = {
    "answer": _answer,
    "released": _released,
    "gsm8k": _gsm8k,
    "olympiad": _olympiad,
    "gpqa": _gpqa,
    "humaneval": _by_row(humaneval_task),
    "humaneval+": _by_row(humaneval_plus_task),
    "mbpp": _by_row(mbpp_task),
    "mbpp+": _by_row(mbpp_plus_task),
    "livecodebench": _by_row(contest_task),
    "codeforces": _by_row(codeforces_task),
}
