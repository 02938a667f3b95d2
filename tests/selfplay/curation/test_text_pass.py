"""The gates on texts alone: what they say of each prompt, whatever the order, and who is whose duplicate."""

from __future__ import annotations

import itertools

from selfplay.config.curation import Curation
from selfplay.curation.decontamination import LeakIndex
from selfplay.curation.text_pass import TextPass
from selfplay.run.records import Prompt

SETTINGS = Curation()
LONG = "a farmer sells seven crates of apples and three crates of pears at the market every week of the year"
HELDOUT = "how many ways are there to seat four guests around one round table if two of them refuse to be neighbours"


def prompt(identifier: str, problem: str) -> Prompt:
    return Prompt(identifier, "math", ("a",), "easy", "z", problem, "", "", "m", 1.0, 0)


PROMPTS = [
    prompt("b", LONG),
    prompt("a", f"{LONG} "),
    prompt("c", f"{LONG} indeed"),
    prompt("d", "find the sum of all even numbers below one hundred that are no multiples of six"),
    prompt("e", "2 + 2"),
    prompt("f", "what is the least prime above fifty whose digits add up to eleven"),
    prompt("g", f"first read this : {HELDOUT}"),
]
SEED = "What is the least prime above fifty whose digits add up to eleven?"


def outcome(prompts: list[Prompt], earlier: tuple[Prompt, ...] = (), settings: Curation = SETTINGS) -> dict[str, str]:
    gates = TextPass(settings, LeakIndex({"held-out": {"7": HELDOUT}}, settings), [SEED.rstrip("?")])
    gates.know(earlier)
    gates.take(prompts)
    return gates.finish()


def test_each_gate_says_why_and_the_first_by_id_stays() -> None:
    found = outcome(PROMPTS)
    assert found["b"] == "exact duplicate (of a)"
    assert found["c"] == "near duplicate (of a)"
    assert found["f"] == "copy of a seed"
    assert "held-out" in found["g"]
    assert found["e"], "it is too short"
    assert found.keys() == set("bcefg")


def test_the_order_and_the_pieces_change_nothing() -> None:
    whole = outcome(PROMPTS)
    for order in itertools.islice(itertools.permutations(PROMPTS), 0, None, 701):
        gates = TextPass(SETTINGS, LeakIndex({"held-out": {"7": HELDOUT}}, SETTINGS), [SEED.rstrip("?")])
        for start in range(0, len(order), 2):
            gates.take(order[start : start + 2])
        assert gates.finish() == whole


def test_what_an_earlier_round_kept_stays_and_its_copies_are_named_so() -> None:
    found = outcome([prompt("a", LONG), prompt("b", f"{LONG} again")], (prompt("z", LONG), prompt("y", LONG)))
    assert found == {
        "a": "exact duplicate across rounds (of y)",
        "b": "near duplicate across rounds (of y)",
    }


def test_near_duplicates_may_stay() -> None:
    found = outcome(PROMPTS[:3], settings=Curation(near_duplicate_jaccard=1))
    assert found == {"b": "exact duplicate (of a)"}
