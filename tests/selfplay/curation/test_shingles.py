"""Problems are found again by their letters, and only by enough of them."""

from __future__ import annotations

import numpy as np

from selfplay.curation.shingles import FEWEST, LENGTH, ShingleIndex, shingles

PROBLEM = "howmanyprimesliebetweenonehundredandtwohundred"
OTHER = "findthesmallestintegerthatleavesaremainderofthree"


def test_a_text_has_a_number_for_each_distinct_run() -> None:
    found = shingles(PROBLEM)
    assert len(found) == len(PROBLEM) - LENGTH + 1
    assert np.all(np.diff(found.astype(object)) > 0)
    assert len(shingles("a" * 40)) == 1
    assert shingles("short").dtype == np.uint64
    assert len(shingles("x" * (LENGTH - 1))) == 0
    assert len(shingles("\ud800" * LENGTH)) == 1, "half a character is one, too"


def test_a_problem_is_found_inside_a_longer_text_and_by_its_share() -> None:
    index = ShingleIndex([OTHER, PROBLEM])
    assert index.find(f"beforethat{PROBLEM}andafterwards", 1.0) == [1]
    assert index.find(PROBLEM + OTHER, 1.0) == [0, 1]
    half = PROBLEM[: LENGTH - 1 + (len(PROBLEM) - LENGTH + 1) // 2]
    assert index.find(half, len(shingles(half)) / len(shingles(PROBLEM))) == [1]
    assert index.find(half, 0.6) == []
    assert index.find("nothingofallthatstandsinanyofthem", 0.1) == []


def test_what_is_too_short_to_be_recognised_is_not() -> None:
    just, less = (
        "abcdefghijklmnopqrstuvwxyz"[: LENGTH + FEWEST - 1],
        "zyxwvutsrqponmlkjihgfedcba"[: LENGTH + FEWEST - 2],
    )
    index = ShingleIndex([just, less])
    assert index.find(just + less, 1.0) == [0]


def test_wording_that_is_common_is_no_evidence() -> None:
    frame = "thereisafarmerwhohasanumberofanimals"
    index = ShingleIndex([frame + PROBLEM, frame + OTHER], ignored=[frame])
    assert index.find(frame, 0.1) == []
    assert index.find(PROBLEM, 0.6) == [0]
    assert ShingleIndex([]).find(PROBLEM, 0.1) == []
