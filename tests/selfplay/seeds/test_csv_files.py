"""What spreadsheets write as CSV: separators, quoted line ends, empty cells, and lists within cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selfplay.config.errors import UserError
from selfplay.seeds.csv_files import csv_rows, of_texts


def rows(folder: Path, text: str, name: str = "p.csv") -> list[tuple[str, dict[str, Any]]]:
    (folder / name).write_text(text, newline="")
    return [(where.rpartition("line ")[2], row) for where, row in csv_rows(folder / name, UserError)]


def test_a_quoted_text_may_have_lines_and_separators(tmp_path: Path) -> None:
    found = rows(tmp_path, 'sep=;\r\nproblem;answer\r\n"a;\r\n\r\nb";1\r\n\r\n"say ""c""";2\r\n')
    assert found == [
        ("5", {"problem": "a;\r\n\r\nb", "answer": "1"}),
        ("7", {"problem": 'say "c"', "answer": "2"}),
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('a;"b,c, d"\n1;2\n', "p.csv"),
        ("a\tb,c\n1\t2\n", "p.tsv"),
        ("sep=|\na|b,c\n1|2\n", "p.csv"),
    ],
)
def test_the_separator_is_told_or_the_one_that_the_header_has_most_of(tmp_path: Path, text: str, name: str) -> None:
    ((_, row),) = rows(tmp_path, text, name)
    assert list(row.values()) == ["1", "2"]


def test_cells_that_are_empty_or_missing_have_no_value(tmp_path: Path) -> None:
    assert [row for _, row in rows(tmp_path, "\ufeffa,b,c\n 1 , \n,,\n")] == [{"a": " 1 ", "b": None, "c": None}]


def test_concepts_stand_in_a_list_or_between_semicolons() -> None:
    for cell in (' ["sums", "primes"]', "sums; primes;"):
        assert of_texts("here", {"concepts": cell}, UserError) == {"concepts": ["sums", "primes"]}
    with pytest.raises(UserError, match="here: `memory_mb` is not JSON"):
        of_texts("here", {"memory_mb": "much"}, UserError)
