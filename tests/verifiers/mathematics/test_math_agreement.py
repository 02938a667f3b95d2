"""The pairs that the benchmark of agreement makes are what it says they are, and its shares add up."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.math_agreement import NOTATIONS, compared, labelled_pairs, made_pairs

PAIRS = 3


def test_math_is_right_about_every_pair_of_every_notation() -> None:
    rows = compared(list(made_pairs(PAIRS, seed=7)))
    assert [*rows] == [*NOTATIONS, "all"]
    assert {name: row["math_right"] for name, row in rows.items()} == dict.fromkeys(rows, 1.0)
    assert all(row["pairs"] == 2 * PAIRS for name, row in rows.items() if name != "all")
    # The library's own rules: units count for nothing, and no inequality is an interval.
    assert (rows["units"]["math_verify_right"], rows["units"]["math_verify_false_passes"]) == (0.5, PAIRS)
    assert (rows["inequalities"]["agree"], rows["inequalities"]["math_verify_false_passes"]) == (0.5, 0)


def test_made_pairs_are_the_same_every_time() -> None:
    assert list(made_pairs(PAIRS)) == list(made_pairs(PAIRS))
    assert list(made_pairs(PAIRS)) != list(made_pairs(PAIRS, seed=1))


def test_labelled_pairs_are_sorted_by_the_notation_of_their_gold(tmp_path: Path) -> None:
    rows = [
        (r"\frac{1}{2}", "fractions"),
        ("7", "whole numbers"),
        ("0.5", "decimals"),
        ("5 km", "units"),
        ("[1,2)", "tuples and intervals"),
    ]
    file = tmp_path / "cases.jsonl"
    lines = [{"gold": gold, "pred": "x", "expected": False, "kind": "equiv"} for gold, _ in rows]
    lines.append({"gold": "8", "pred": "x", "expected": True, "kind": "policy"})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = [name for name, _ in labelled_pairs(file)]
    assert found == [name for _, name in rows]
