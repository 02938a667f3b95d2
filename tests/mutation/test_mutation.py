"""The bookkeeping of mutation testing; the mutants themselves are mutmut's, by `make mutants`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.mutation.run import EQUIVALENT, mark_equivalent, survivors_of, told
from tests.mutation.sample import FOLDERS, Mutant, matters, sample

ROOT = Path(__file__).resolve().parents[2]


def mutant(number: int) -> Mutant:
    return Mutant(f"selfplay.a.x_f__mutmut_{number}", "run", "selfplay.a.f", "x = 1", f"x = {number}")


def row(number: int, status: str) -> dict[str, Any]:
    return {"folder": "run", "function": "selfplay.a.f", "old": "x = 1", "new": f"x = {number}", "status": status}


def test_a_sample_depends_on_the_seed_and_not_on_the_order() -> None:
    found = [mutant(number) for number in range(50)]
    drawn = sample(found, 9, 1)
    assert drawn == sample(found[::-1], 9, 1) != sample(found, 9, 2)
    assert len(set(drawn)) == 9
    assert set(sample(found, 50, 1)) == set(found)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("f(a, strict=True)", "f(a, strict=False)", False),
        ("f(a, strict=True)", "f(a, )", False),
        ("f(a, b)", "f(a, )", True),
        ('open(p, encoding="utf-8")', 'open(p, encoding="UTF-8")', False),
        ('note = "some words"', 'note = "XXsome wordsXX"', False),
        ('note = "some words"', "note = None", True),
        ('row["key"] = 1', 'row["KEY"] = 1', True),
        ("if a and b:", "if a or b:", True),
        ('f("some words", (', 'f("SOME WORDS", (', False),
        ("f(1, (", "f(2, (", True),
    ],
)
def test_wording_and_guards_are_left_out(old: str, new: str, expected: bool) -> None:
    assert matters(old, new) is expected


def test_equivalent_mutants_count_neither_way(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row(2, "killed"), row(3, "survived"), row(4, "no tests"), row(5, "timeout")]
    listed = [{"function": "selfplay.a.f", "old": "x = 1", "new": f"x = {number}", "why": "so"} for number in (2, 3)]
    marked = mark_equivalent(rows, listed)
    assert [one["status"] for one in marked] == ["killed", "equivalent", "no tests", "timeout"]
    assert told(marked) == 1
    said = capsys.readouterr().out
    assert "  + x = 4" in said
    assert "  + x = 3" not in said
    assert "66.7% of 4 killed (1 equivalent, 1 by the time limit)" in said
    assert told([row(2, "killed")]) == 0


def test_only_survivors_are_run_again() -> None:
    rows = [row(1, "killed"), row(2, "survived"), row(3, "equivalent"), row(4, "no tests")]
    assert survivors_of([mutant(number) for number in (1, 2, 3, 4, 5)], rows) == [mutant(2), mutant(4)]


def test_what_is_called_equivalent_is_still_in_the_code() -> None:
    entries = yaml.safe_load(EQUIVALENT.read_text())
    texts = [
        "\n".join(line.strip() for line in file.read_text().splitlines())
        for pattern in FOLDERS.values()
        for file in ROOT.glob(pattern)
    ]
    for entry in entries:
        assert set(entry) == {"function", "old", "new", "why"}
        assert any(entry["old"] in text for text in texts), f"{entry['function']} no longer has: {entry['old']}"
