"""Runs of words shared with benchmarks: found as by plain sets, with names, and by the longest common subsequence."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal
from unicodedata import combining, normalize

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selfplay.config.curation import Curation
from selfplay.curation import decontamination
from selfplay.curation.benchmarks import benchmark_contents, benchmark_problems
from selfplay.curation.decontamination import Leak, LeakIndex, Problems, plain_words
from selfplay.curation.reserved import HELD_OUT
from selfplay.curation.words import words
from selfplay.seeds.rows import SeedError
from tests.selfplay.curation.test_curation import curate, prompt, seed
from verifiers.wording import cues


def index_of(
    problems: Problems, n: int, ignored: Iterable[str] = (), lcs: float = 0.0, share: float = 0.0
) -> LeakIndex:
    named = {"ngram": n, "lcs": lcs, "characters": share}
    settings = Curation.model_validate({f"decontamination_{name}": value for name, value in named.items()})
    return LeakIndex(problems, settings, ignored)


def runs(text: str, n: int) -> set[tuple[str, ...]]:
    tokens = words(text)
    return {tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)}


@pytest.mark.parametrize("trial", range(30))
def test_leaks_are_those_of_plain_sets(trial: int) -> None:
    rng = random.Random(trial)
    n, names = rng.choice([1, 2, 4, 13]), [f"w{number}" for number in range(rng.choice([3, 10, 100]))]

    def text() -> str:
        return " ".join(rng.choices(names, k=rng.randint(0, 30)))

    benchmarks = {name: {str(row): text() for row in range(rng.randint(0, 5))} for name in ("a", "b")}
    ignored = [text() for _ in range(rng.randint(0, 2))]
    problems = [problem for items in benchmarks.values() for problem in items.values()]
    prompts = [text() for _ in range(20)] + problems[:1]
    evidence = set().union(*(runs(problem, n) for problem in problems), set()) - set().union(
        *(runs(common, n) for common in ignored), set()
    )
    whole = {tuple(words(problem)) for problem in problems}
    index = index_of(benchmarks, n, ignored)
    found = [index.find(one) for one in prompts]
    assert [leak is not None for leak in found] == [
        tuple(words(one)) in whole or bool(runs(one, n) & evidence) for one in prompts
    ]
    for one, leak in zip(prompts, found, strict=True):
        if leak is not None:
            problem = benchmarks[leak.benchmark][leak.item]
            assert words(problem) == words(one) or runs(problem, n) & runs(one, n)


STORY = "Anna has 3 red apples and 4 green pears and she gives half of her fruit to Ben before lunch"
COMMON = "let m and n be coprime positive integers such that the answer is m over n"


def test_a_shared_run_counts_only_where_the_texts_are_alike() -> None:
    other = f"How many ways are there to tile a board of nine squares ? {COMMON} find m + n"
    benchmark = {"aime": {"row 1": f"A circle touches three sides of a square of area ten . {COMMON} find m + n"}}
    assert index_of(benchmark, 13).find(other) == Leak("aime", "row 1")
    assert index_of(benchmark, 13, (), 0.9).find(other) is None
    changed = benchmark["aime"]["row 1"].replace("ten", "twelve")
    assert index_of(benchmark, 13, (), 0.9).find(changed) == Leak("aime", "row 1")


def test_a_short_run_with_a_subsequence_finds_reworded_problems() -> None:
    reworded = STORY.replace("red apples", "ripe apples").replace("green pears", "fresh pears")
    index = index_of({"gsm8k": {"row 7": STORY}}, 4, (), 0.8)
    unrelated = "she gives half of her time to the club and how many hours is that in all"
    assert index.find(reworded) == Leak("gsm8k", "row 7")
    assert index.find(unrelated) is None


@pytest.mark.parametrize(
    "disguise",
    [
        lambda text: text,
        lambda text: " ".join(f"{word}," if place % 3 == 0 else word for place, word in enumerate(text.split())),
        lambda text: "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text),
        "\u00ad".join,
        lambda text: " ".join(f"**{word}**" if len(word) > 4 else word for word in text.split()),
        lambda text: f"{text} Explain each step of your reasoning, and give units.",
        lambda text: f"Here is a puzzle for you, my friend. {text}",
        lambda text: text.replace(" ", "\u200b \n\n> "),
        lambda text: "".join(f"{char}\u0301" if char in "aeiou" else char for char in text),
        lambda text: "<p class='a'>" + "<br/>".join(f"<b>{word[0]}</b>{word[1:]}" for word in text.split()) + "</p>",
        lambda text: text.replace(" ", "&nbsp;").replace("?", "&quest;"),
        lambda text: text.translate(str.maketrans("acehopxyBMT", "асеһорхуВМТ")),
    ],
)
def test_a_leak_is_seen_through_what_is_put_into_it_and_around_it(disguise: Callable[[str], str]) -> None:
    short = "How many primes are less than 30?"
    index = index_of({"mine": {"row 1": STORY, "row 2": short}}, 13, share=0.75)
    assert index.find(disguise(STORY)) == Leak("mine", "row 1")
    assert index.find(disguise(short)) == Leak("mine", "row 2")


SHORT = {
    "root": "Simplify $\\sqrt{242}$.",
    "sum": "Evaluate $(1+2i)6-3i$.",
    "two": "Solve for $x: 3^{2x} + 19 = 10^x$.",
    "lines": "Solve\n\\[\\frac{|x^2 - 81|}{x^2} < 0.\\]",
    "stars": "Compute 12 * 3 + 4.",
}
SHORT_DISGUISES: list[Callable[[str], str]] = [
    lambda text: f"{text} Give your final answer in a box.",
    lambda text: f"Here is a problem about school. {text}",
    lambda text: f"Have a look at this:\n\n> **{text}**\n\nExplain each step.",
    lambda text: f"First, a puzzle! {' '.join(f'{word},' for word in text.split())} Explain.",
    lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in f"Hear me. {text} Explain."),
    lambda text: f"Hear me. {text.replace('o', 'о').replace('i', 'i' + chr(0xAD))} Explain.",
]


@pytest.mark.parametrize("disguise", SHORT_DISGUISES)
def test_a_short_problem_is_found_within_a_longer_text(disguise: Callable[[str], str]) -> None:
    index = index_of({"mine": SHORT}, 13, share=0.75)
    for name, text in SHORT.items():
        assert index.find(disguise(text)) == Leak("mine", name)


@pytest.mark.parametrize(
    "text",
    [
        "Simplify $\\sqrt{242} + \\sqrt{18}$. Explain.",
        "Explain. Simplify $\\sqrt{243}$.",
        "Let us see. Evaluate $(1+2i)6+3i$. Explain.",
        "Hear me. Compute 12 * 3 - 4. Explain.",
        "Hear me. Compute 12 + 3 * 4. Explain.",
        "There are 242 of them. Simplify. Explain.",
        "Hear me. Find 2x. Explain.",
        "Hear me. Who is next? Explain.",
    ],
)
def test_a_text_that_has_more_or_other_signs_is_another_problem(text: str) -> None:
    phrases = {"phrase": "Find 2x.", "words": "Who is next?"}
    assert index_of({"mine": SHORT | phrases}, 13, share=0.75).find(text) is None


def test_short_problems_that_seeds_have_as_sentences_are_no_evidence() -> None:
    leak = f"Hear me. {SHORT['root']} Explain."
    assert index_of({"mine": SHORT}, 13, [f"Another one. {SHORT['root']}"], share=0.75).find(leak) is None
    assert index_of({"mine": SHORT}, 13).find(leak) is None, "decontamination_characters: 0 leaves that out"


@pytest.mark.parametrize("text", ["사과 세 개와 배 네 개가 있다", "Café brûlé de la forêt", "Ångström"])
def test_letters_with_marks_of_their_own_stay_one_letter(text: str) -> None:
    """Hangul is no more letters than it shows, and a text is the same however its marks are written."""
    plain = plain_words(text)
    assert sum(map(len, plain)) == sum(map(len, text.split()))
    assert plain == plain_words(normalize("NFD", text))


@pytest.mark.parametrize("marks", ["\u0301\u0316", "\u0f73"])
def test_very_many_marks_on_a_letter_are_not_sorted(marks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorting takes time by the square of their number: a million would take a quarter of an hour. A sign of Tibetan is
    no mark, and is two once it is taken apart."""

    def few(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
        assert sum(map(bool, map(combining, "".join(normalize("NFD", char) for char in text)))) <= cues.MANY_MARKS
        return normalize(form, text)

    for module in (decontamination, cues):
        monkeypatch.setattr(module, "normalize", few)
    index = index_of({"mine": {"1": STORY}}, 13, share=0.75)
    assert index.find("a" + marks * 5000) is None
    assert index.find(STORY.replace("e", "e" + marks * 500)) == Leak("mine", "1")


def test_texts_too_long_to_be_put_in_one_order_count_as_the_same() -> None:
    """It would take time by the product of their lengths."""
    assert decontamination.common_order("a b " * 10, "a " * 20) == 0.5
    assert decontamination.common_order("a b " * 20_000, "a " * 40_000) == 1.0


def test_a_run_that_comes_again_and_again_in_a_problem_is_looked_at_once() -> None:
    index = index_of({"mine": {"1": "no " * 500}}, 13)
    assert list(index._owners.values()) == [[0]]
    assert index.find("no " * 1000) == Leak("mine", "1")


def test_an_entity_without_end_is_text() -> None:
    assert plain_words(f"&#{'9' * 5000}; &#x110000; &nosuch; a&amp;b") == ["9" * 5000, "nosuch", "a", "b"]


def test_a_problem_of_the_same_kind_is_no_leak() -> None:
    index = index_of({"mine": {"row 1": STORY, "row 2": "How many primes are less than 30?", "row 3": "2 + 2"}}, 13)
    other = "Anna has 5 red pencils and 2 green pens. She gives half of her pens to Ben after lunch. How many has she?"
    assert index.find(other) is None
    assert index.find("How many squares are less than 30 cm wide?") is None
    assert index.find("2 * 2") is None, "where letters are few, marks tell texts apart"


def rows(folder: Path, name: str, texts: list[str], column: str = "problem") -> str:
    file = folder / name
    table = [{column: text, "answer": "1"} for text in texts]
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(table), file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in table))
    return str(file)


def test_benchmarks_come_from_files_and_data_sets_and_are_named_in_the_reason(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    rows(tmp_path / "set", "test.jsonl", [f"third {STORY}"], "question")
    settings = Curation.model_validate(
        {
            "near_duplicate_jaccard": 1,
            "benchmarks": {
                "first": {"kind": "file", "path": rows(tmp_path, "a.jsonl", ["x", f"first {STORY}"])},
                "second": {"kind": "file", "path": rows(tmp_path, "b.parquet", [COMMON])},
                "third": {"kind": "dataset", "name": str(tmp_path / "set"), "column": "question"},
            },
        }
    )
    found = curate(
        [
            prompt("1", f"Again : {STORY}"),
            prompt("2", f"Now {COMMON}"),
            prompt("3", "third " + " ".join(STORY.split()[:13])),
            prompt("4", "a held out problem about nothing at all"),
            prompt("5", "a problem that is like none of these at all"),
        ],
        settings,
        [],
        [seed("A held out problem about nothing at all")],
    )
    held = seed("A held out problem about nothing at all").id
    assert [row.dropped for row in found] == [
        "contaminated (by first, row 2)",
        "contaminated (by second, row 1)",
        "contaminated (by first, row 2)",
        f"contaminated (by {HELD_OUT}, {held})",
        "",
    ]
    before = benchmark_contents(settings)
    rows(tmp_path / "set", "test.jsonl", ["other"], "question")
    assert benchmark_contents(settings) != before
    assert benchmark_contents(Curation()) == ""


@pytest.mark.parametrize(
    ("benchmark", "says"),
    [
        ({"kind": "file", "path": "a.jsonl", "column": "question"}, "row 1 has no text in 'question'; it has"),
        ({"kind": "file", "path": "torn.jsonl"}, "torn.jsonl, line 1: is not JSON"),
        ({"kind": "file", "path": "torn.parquet"}, "is not readable as Parquet"),
        ({"kind": "file", "path": "empty.jsonl"}, "has no rows"),
        ({"kind": "dataset", "name": "nowhere"}, "the datasets library cannot load"),
    ],
)
def test_a_benchmark_that_cannot_be_read_is_named(tmp_path: Path, benchmark: dict[str, Any], says: str) -> None:
    rows(tmp_path, "a.jsonl", [STORY])
    (tmp_path / "torn.jsonl").write_text('{"problem": ')
    (tmp_path / "torn.parquet").write_text("PAR1")
    (tmp_path / "empty.jsonl").write_text("\n")
    for key in ("path", "name"):
        if key in benchmark:
            benchmark = benchmark | {key: str(tmp_path / benchmark[key])}
    settings = Curation.model_validate({"benchmarks": {"mine": benchmark}})
    with pytest.raises(SeedError, match=r"curation\.benchmarks\.mine") as error:
        benchmark_problems(settings)
    assert says in str(error.value)
