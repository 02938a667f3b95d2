"""A user's list of concepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfplay.concepts.bank import bank_of
from selfplay.concepts.listing import read_concept_list
from selfplay.seeds.rows import SeedError


def listed(folder: Path, text: str | bytes, name: str = "concepts.jsonl") -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_plain_lines_are_concepts(tmp_path: Path) -> None:
    found = read_concept_list(listed(tmp_path, "graphs\n\n  modular arithmetic \ngraphs\n", "concepts.txt"))
    assert found.counts == {"graphs": 2.0, "modular arithmetic": 1.0}
    assert found.combinations == []


def test_json_lines_have_counts_and_combinations_with_levels(tmp_path: Path) -> None:
    rows = (
        '{"concept": "graphs"}\n{"concept": "sums", "count": 7}\n'
        '{"concepts": ["graphs", "sums", "graphs"], "level": "AIME"}\n{"concepts": ["sets"]}\n'
    )
    found = read_concept_list(listed(tmp_path, rows))
    assert found.combinations == [("graphs", "sums"), ("sets",)]
    assert found.shapes == [(2, "AIME")]
    bank = bank_of(found.combinations, found.counts)
    assert dict(zip(bank.names, bank.frequency.tolist(), strict=True)) == {"graphs": 2, "sets": 1, "sums": 8}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"concept": "a"}\n{"concept": 3}', "line 2: a concept must be a text"),
        ("nonsense", "line 1: is not JSON"),
        ('["a"]', "is not a JSON object"),
        ('{"concept": "a", "concepts": ["a"]}', "needs either"),
        ('{"concept": "a", "count": -1}', "`count` must be a number above 0"),
        ('{"concept": "a", "count": true}', "`count` must be a number above 0"),
        ('{"concepts": []}', "`concepts` must be a list of texts"),
        ('{"concepts": ["a"], "level": 5}', "`level` must be a text"),
        ('{"concept": "' + "a" * 201 + '"}', "more than 200 characters"),
        ("x" * 70_000, "is longer than 65536 bytes"),
        ("[" * 50_000, "nested deeper"),
        (b"\xff\xfe", "UTF-8"),
        ("\n\n", "names no concept"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(SeedError, match=says):
        read_concept_list(listed(tmp_path, text))
