"""Gates: what they drop, with which reason, in whatever order the prompts come."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from selfplay.config.curation import Curation
from selfplay.curation.decontamination import LeakIndex
from selfplay.curation.gates import drop_by_text
from selfplay.run.records import Prompt, Seed
from verifiers.model import Task

LONG = "a farmer has twelve sheep and buys seven more at the market then sells three of them"


def prompt(identifier: str, problem: str, domain: str = "math") -> Prompt:
    return Prompt(identifier, domain, ("a",), "easy", "z", problem, "", "", "m", 1.0, 0)


def seed(problem: str, split: str = "heldout") -> Seed:
    return Seed(problem, "math", split, "s", ("a",), "easy", "z", Task(problem, "1"), "", None)


def curate(
    prompts: list[Prompt],
    settings: Curation,
    seeds: list[Seed],
    heldout: list[Seed],
    earlier: Sequence[Prompt] = (),
) -> list[Prompt]:
    """The prompts with the reasons of the gates that need no model."""
    dropped = drop_by_text([prompts], settings, seeds, heldout, [earlier])
    assert dropped.keys() <= {row.id for row in prompts}
    return [dataclasses.replace(row, dropped=dropped.get(row.id, "")) for row in prompts]


def reasons(rows: list[Prompt]) -> dict[str, str]:
    return {row.id: row.dropped.partition(" (")[0] for row in rows}


def test_each_gate_names_its_reason() -> None:
    rows = [
        prompt("1", "one two three four five"),
        prompt("2", "One two,three  four five"),
        prompt("3", "one two three four"),
        prompt("4", "too short"),
        prompt("5", f"well {LONG} indeed"),
        prompt("6", "something wholly different is asked here"),
    ]
    found = reasons(curate(rows, Curation(near_duplicate_jaccard=0.7), [], [seed(LONG)]))
    assert found == {
        "1": "",
        "2": "near duplicate",
        "3": "near duplicate",
        "4": "too short",
        "5": "contaminated",
        "6": "",
    }


EARLIER = [prompt("z1", LONG), prompt("a1", "How far does a train go in two hours at sixty miles an hour?")]


def test_what_is_like_a_prompt_of_an_earlier_round_is_dropped() -> None:
    rows = [
        prompt("1", LONG + " again"),
        prompt("2", LONG.upper()),
        prompt("3", LONG, domain="code"),
        prompt("4", "How far does a train go in three hours at sixty miles an hour?"),
        prompt("5", "something wholly different is asked here"),
        prompt("6", "something wholly different is asked here now"),
    ]
    settings = Curation(near_duplicate_jaccard=0.7)
    expected = {
        "1": "near duplicate across rounds (of z1)",
        "2": "exact duplicate across rounds (of z1)",
        "3": "",
        "4": "near duplicate across rounds (of a1)",
        "5": "",
        "6": "near duplicate (of 5)",
    }
    for before in (EARLIER, EARLIER[::-1]):
        assert {row.id: row.dropped for row in curate(rows, settings, [], [], before)} == expected
        assert {row.id: row.dropped for row in curate(rows[::-1], settings, [], [], before)} == expected
    only_exact = curate(rows, settings.model_copy(update={"near_duplicate_jaccard": 1.0}), [], [], EARLIER)
    assert [row.id for row in only_exact if row.dropped] == ["2"]


def test_what_is_dropped_for_an_earlier_round_drops_no_other() -> None:
    """b is like a, and a like the earlier one; b is like nothing that was kept."""
    words = [f"w{number}" for number in range(12)]
    earlier = prompt("z", " ".join(words[:10]))
    a, b = prompt("a", " ".join(words[1:11])), prompt("b", " ".join(words[2:12]))
    settings = Curation(near_duplicate_jaccard=0.75)
    assert reasons(curate([a, b], settings, [], [])) == {"a": "", "b": "near duplicate"}
    assert reasons(curate([a, b], settings, [], [], [earlier])) == {"a": "near duplicate across rounds", "b": ""}


def test_earlier_prompts_pass_no_gate_again() -> None:
    """What an earlier round kept counts, also where its text would be dropped now."""
    rows = [prompt("1", f"well {LONG} indeed it is so and the rest is something else that nobody has asked before")]
    found = curate(rows, Curation(near_duplicate_jaccard=0.5), [], [seed("not a word of that")], [prompt("z", LONG)])
    assert found[0].dropped == "near duplicate across rounds (of z)"
    short = curate([prompt("1", "a b c d e f")], Curation(near_duplicate_jaccard=0.5), [], [], [prompt("z", "a b c d")])
    assert short[0].dropped == "near duplicate across rounds (of z)"


def test_copies_of_seeds_are_not_new() -> None:
    rows = [prompt("1", "Sum the first ten numbers."), prompt("2", "Sum the first nine numbers.")]
    found = reasons(curate(rows, Curation(), [seed("sum the first TEN numbers .", "train")], []))
    assert found == {"1": "copy of a seed", "2": ""}


def test_exact_duplicates_ignore_case_and_spacing() -> None:
    rows = [prompt("b", "A  cat sits here"), prompt("a", "a cat sits here"), prompt("c", "a dog sits here")]
    found = curate(rows, Curation(near_duplicate_jaccard=1.0), [], [])
    assert {row.id: row.dropped for row in found} == {"a": "", "b": "exact duplicate (of a)", "c": ""}


def test_wording_of_the_seeds_can_be_spared() -> None:
    common = "given one line of integers print the sum of all of them that are even"
    rows = [prompt("1", common + " or negative")]
    heldout, seeds = [seed(common + " and small")], [seed(common + " and large", "train")]
    assert reasons(curate(rows, Curation(), seeds, heldout)) == {"1": "contaminated"}
    spared = Curation(decontamination_spares_seed_wording=True)
    assert reasons(curate(rows, spared, seeds, heldout)) == {"1": ""}
    verbatim = seed(" ".join(common.split()[:13]))
    assert reasons(curate([prompt("1", verbatim.problem)], spared, seeds, [verbatim])) == {"1": "contaminated"}
    copied = [prompt("1", common + " and small")]
    assert reasons(curate(copied, spared, seeds, heldout)) == {"1": "contaminated"}


def test_a_short_heldout_problem_is_found_whole() -> None:
    index = LeakIndex({"heldout": {"1": "What is 2 + 2?"}}, Curation())
    assert index.find("what is 2+2 ?") is not None
    assert index.find("what is 2 + 3?") is None
    assert index.find("what is 2 - 2?") is None


@given(
    texts=st.lists(st.text(alphabet="ab c", min_size=1, max_size=12), max_size=12),
    shuffle=st.randoms(use_true_random=False),
)
def test_results_do_not_depend_on_order(texts: list[str], shuffle: random.Random) -> None:
    rows = [prompt(f"{place:02d}", text) for place, text in enumerate(texts)]
    mixed = list(rows)
    shuffle.shuffle(mixed)
    settings = Curation(min_words=1, near_duplicate_jaccard=0.5)
    heldout = [seed("a b c a b")]
    assert reasons(curate(rows, settings, [], heldout)) == reasons(curate(mixed, settings, [], heldout))
    before, after = mixed[::2], mixed[1::2]
    found = {row.id: row.dropped for row in curate(after, settings, [], heldout, before)}
    assert {row.id: row.dropped for row in curate(after[::-1], settings, [], heldout, before[::-1])} == found


def test_planted_near_duplicates_are_found() -> None:
    rng = random.Random(1)
    rows = []
    for number in range(40):
        chosen = rng.sample([f"w{n}" for n in range(500)], 30)
        rows.append(prompt(f"a{number:02d}", " ".join(chosen)))
        rows.append(prompt(f"b{number:02d}", " ".join([*chosen[:-1], "changed"])))
    found = {row.id: row.dropped for row in curate(rows, Curation(near_duplicate_jaccard=0.8), [], [])}
    assert found == {f"a{n:02d}": "" for n in range(40)} | {
        f"b{n:02d}": f"near duplicate (of a{n:02d})" for n in range(40)
    }
