"""What annotators write is read strictly, whatever it is."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.engines.base import Sample
from selfplay.synthesis.annotation_answers import LONGEST_ANSWER, read_concepts, read_rationale

NAMES = st.lists(
    st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20),
    min_size=1,
    max_size=6,
    unique_by=str.casefold,
)


def sample(text: str, complete: bool = True) -> Sample:
    return Sample(text, (), complete)


@given(names=NAMES, before=st.text(st.characters(exclude_characters="[<|"), max_size=40))
def test_any_list_that_json_can_write_comes_back(names: list[str], before: str) -> None:
    found = read_concepts(sample(f"{before}\n{json.dumps(names)}"), 1, 6)
    assert (found.concepts, found.fault) == (tuple(names), "")


@given(text=st.text(max_size=300) | st.text(st.sampled_from("[]\"',\\ab \n"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for found in (read_concepts(sample(text), 1, 5), read_rationale(sample(text))):
        assert bool(found.fault) != bool(found.concepts or found.rationale)


@pytest.mark.parametrize(
    ("text", "concepts"),
    [
        ('["a", "b"]', ("a", "b")),
        ("['a', 'b']", ("a", "b")),
        ("['it\\'s', \"b\"]", ("it's", "b")),
        ('<think>["x", "y"]</think>\nSo:\n```json\n[\n  "a",\n  "b c"\n]\n```\n', ("a", "b c")),
        ('Concepts [see 1]: ["a", "b"].', ("a", "b")),
        ('["  a\\t b ", "\\u00e9"]', ("a b", "é")),
    ],
)
def test_lists_as_models_write_them(text: str, concepts: tuple[str, ...]) -> None:
    assert read_concepts(sample(text), 2, 2).concepts == concepts


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1. a\n2. b", "no list of concepts"),
        ("[a, b]", "no list of concepts"),
        ('["a", "b"', "a broken list of concepts"),
        ('["a" "b"]', "a broken list of concepts"),
        ('["a", "b",]', "a broken list of concepts"),
        ('["a", 2]', "a broken list of concepts"),
        ('["a", ["b", "c"]]', "a broken list of concepts"),
        ('["a", "b"] ["c"', "a broken list of concepts"),
        ('["\\ud800", "b"]', "a broken list of concepts"),
        ("[__import__('os').system('true'), 'b']", "no list of concepts"),
        ('["a", "b"] or ["c", "d"]', "several lists of concepts"),
        ('["a"]', "too few concepts"),
        ('["a", "b", "c"]', "too many concepts"),
        ('["a", "A"]', "a concept twice"),
        ('["a", " "]', "an empty concept"),
        (f'["a", "{"b" * 121}"]', "a concept too long"),
        ('["a", "\\u0007"]', "a concept that is no plain text"),
        ('["a", "<!-- BEGIN PROBLEM -->"]', "a concept that is no plain text"),
        ("", "empty"),
        ("<think>never", "the thinking never ends"),
        ("x" * (LONGEST_ANSWER + 1), "too long"),
    ],
)
def test_what_is_no_list_of_concepts(text: str, fault: str) -> None:
    found = read_concepts(sample(text), 2, 2)
    assert (found.fault, found.concepts) == (fault, ())


@pytest.mark.parametrize(
    ("text", "rationale", "fault"),
    [
        ("Sure.\n<!-- BEGIN RATIONALE -->\nFirst, a.\n<!-- END RATIONALE -->", "First, a.", ""),
        ("<think>x</think><!-- BEGIN RATIONALE -->a<!-- END RATIONALE -->", "a", ""),
        ("First, a.", "", "no rationale block"),
        ("<!-- BEGIN RATIONALE -->a", "", "rationale block not closed"),
        ("<!-- BEGIN RATIONALE --> <!-- END RATIONALE -->", "", "empty rationale"),
    ],
)
def test_rationales(text: str, rationale: str, fault: str) -> None:
    found = read_rationale(sample(text))
    assert (found.rationale, found.fault) == (rationale, fault)


def test_what_was_cut_is_not_used() -> None:
    assert read_concepts(sample('["a", "b"]', complete=False), 2, 2).fault == "cut at the token limit"
    whole = "<!-- BEGIN RATIONALE -->a<!-- END RATIONALE -->"
    assert read_rationale(sample(whole, complete=False)).fault == "cut at the token limit"


@pytest.mark.parametrize("unit", ["[", '["', "['", '["a",', "[ ", '["\\', "['\"", '["a"]'])
def test_hostile_answers_cost_little(unit: str) -> None:
    text = unit * (LONGEST_ANSWER // len(unit))
    begun = time.process_time()
    assert read_concepts(sample(text), 2, 2).fault
    assert time.process_time() - begun < 10
