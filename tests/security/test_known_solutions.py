"""Every labelled program of a shared folder gets its label, at any number of workers and twice the same.

Set SELFPLAY_SHARED_DATA to the folder above `code/` with the files that known_solutions.py names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import known_solutions
import pytest
from known_solutions import Case

from sandbox.open import open_sandbox
from verifiers.programs import CodeVerifier

FOLDER = Path(os.environ.get("SELFPLAY_SHARED_DATA", "/nonexistent")) / "code"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="SELFPLAY_SHARED_DATA names no folder with code/"),
]


def _humaneval() -> Iterator[Case]:
    with open_sandbox() as sandbox:
        yield from known_solutions.humaneval(FOLDER, sandbox)


SETS = {
    "humaneval": _humaneval,
    "mbpp_functions": lambda: known_solutions.mbpp_functions(FOLDER),
    "mbpp_programs": lambda: known_solutions.mbpp_programs(FOLDER),
    "library_checker": lambda: known_solutions.library_checker(FOLDER),
}


def judge(cases: list[Case], workers: int) -> list[tuple[bool | None, str]]:
    verifier = CodeVerifier(workers=workers)
    with ThreadPoolExecutor(workers) as threads:
        verdicts = list(threads.map(lambda case: verifier.verify_source(case.task, case.source), cases))
    verifier.close()
    return [(verdict.passed, verdict.status) for verdict in verdicts]


@pytest.mark.parametrize("name", SETS)
def test_every_solution_gets_its_label(name: str) -> None:
    if name == "library_checker" and shutil.which("g++") is None:
        pytest.skip("no g++ on this host")
    cases = list(SETS[name]())
    once, again = judge(cases, workers=1), judge(cases, workers=2)
    wrong = [
        (case.name, status) for case, (passed, status) in zip(cases, once, strict=True) if passed is not case.right
    ]
    assert wrong == []
    assert [passed for passed, _ in again] == [case.right for case in cases]
    differing = [
        (case.name, one, two) for case, (_, one), (_, two) in zip(cases, once, again, strict=True) if one != two
    ]
    assert differing == []
