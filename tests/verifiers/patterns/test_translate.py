"""Parts of the translation to RE2 by themselves: what a match must hold, what stands at an edge, what is refused."""

from __future__ import annotations

import pytest

from verifiers.patterns.alphabet import EVERY, WORDS
from verifiers.patterns.syntax import Alt, Chars, Edge, Look, Untranslatable, read
from verifiers.patterns.translate import choices, edge_codes, required, trail
from verifiers.patterns.writing import Writer


def written(pattern: str) -> str:
    tree, _, _ = read(pattern, 0)
    return Writer(whole=False).anywhere(choices(tree))


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("answer: x+", {"answer: "}),
        ("(?:the )?answer", {"answer"}),
        ("yes|no", {"yes", "no"}),
        ("(?:yes|no)?", set()),
        ("[ab]c", {"c"}),
        ("a(?:bcd)+e", {"bcd"}),
        ("(a|b|c|d|e)", set()),
        ("x*", set()),
    ],
)
def test_a_match_holds_one_of_the_texts(pattern: str, texts: set[str]) -> None:
    assert required(read(pattern, 0)[0]) == texts


def test_edges_are_the_characters_that_a_tree_may_begin_or_end_with() -> None:
    tree = read("a?b[cd]", 0)[0]
    assert edge_codes(tree, first=True) == frozenset(b"ab")
    assert edge_codes(tree, first=False) == frozenset(b"cd")


def test_what_must_follow_is_a_character_or_the_end() -> None:
    assert trail(None) is None
    assert trail(Look(True, EVERY, True)) is None
    assert trail(Look(True, WORDS, False)) == Chars(WORDS)
    assert trail(Look(False, WORDS, True)) == Alt((Chars(WORDS), Edge(r"\A")))


def test_looks_are_pushed_to_their_neighbours() -> None:
    assert written("a(?=b)[bc]") == "ab"
    assert written("a(?!b)[bc]") == "ac"
    assert written("[ab](?<=a)c") == "ac"
    assert written("(?=x)y") == r"[^\x00-\xff]", "nothing matches"
    assert written(r"a\b-") == "a\\x2d"


@pytest.mark.parametrize("pattern", [r"(a)\1", "(?<=ab)c", "(?>a)b", r"(?:a|-)\b(?:b|-)"])
def test_what_has_no_translation_is_refused(pattern: str) -> None:
    with pytest.raises(Untranslatable):
        written(pattern)
