"""Short problems stand in longer texts as sentences of their own, or they are not found."""

from __future__ import annotations

from typing import Any

import pytest

from selfplay.curation import short_problems
from selfplay.curation.short_problems import ShortIndex, sentences


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("what is 7 * 8?", [4]),
        ("tom is ten. what is 7 \u00d7 8? say it.", [4]),
        ("what is 7\n", []),
        ("what is 7 + 8?", []),
        ("what is 7 * 8 * 9?", []),
        ("and what is 7 * 8?", []),
        ("**what is 7 * 8?**", [4]),
    ],
)
def test_all_words_and_signs_from_the_beginning_of_a_sentence_to_its_end(text: str, found: list[int]) -> None:
    assert ShortIndex([(4, "what is 7 * 8?")]).find(text) == found


def test_phrases_and_common_wordings_are_no_evidence() -> None:
    problems = [(0, "add 2"), (1, "how many are there?"), (2, "how many are 2 pairs?")]
    assert ShortIndex(problems).find("add 2. how many are there? how many are 2 pairs?") == [2]
    common = ShortIndex(problems, ["so: how many are 2 pairs? say it."])
    assert common.find("how many are 2 pairs?") == []
    assert not common.may_hold(["2"])


def test_a_row_of_signs_is_no_short_problem() -> None:
    """What is looked for at each sentence grows with the square of the longest problem."""
    few, many = (f"what is 7 {'+ ' * signs}?" for signs in (40, 100))
    assert ShortIndex([(0, few), (1, many)]).find(f"{few} {many}") == [0]


def test_sentences_keep_signs_and_lose_markup() -> None:
    assert sentences("> *find* x - 2.5; then stop.") == [("find", "x", "-", "2", "5"), ("then", "stop")]


def test_a_text_of_very_many_sentences_takes_time_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(list[tuple[str, ...]]):
        read = 0

        def __getitem__(self, at: Any) -> Any:
            found = super().__getitem__(at)
            Counted.read += len(found) if isinstance(at, slice) else 1
            return found

    monkeypatch.setattr(short_problems, "sentences", lambda text: Counted(sentences(text)))
    index = ShortIndex([(4, "what is 7 * 8?")])
    Counted.read = 0
    assert index.find("7\n" * 1000 + "what is 7 * 8?") == [4]
    assert Counted.read < 10_000
