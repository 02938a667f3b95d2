"""Statements that are dropped for their text alone, and like ones that are not."""

from __future__ import annotations

import time

import pytest

from selfplay.config.curation import Curation
from selfplay.curation.statements import (
    language_gate,
    proof,
    script_gate,
    tells_answer,
    text_gates,
    truncated,
)

BROKEN_OFF = [
    "Find the number of ways to",
    "Let $x^2 + 3x",
    "Find all n such that",
    "A train leaves at noon and the",
    "Compute the sum of all k,",
    "Write a program:\n```python\nprint(1)",
    r"Solve \begin{cases} x + y = 3",
    "Find the area of the region (bounded by the curve",
    "Compute 3 +",
    "Tom has 5 plums. He gives two of them away and then buys",
]
WHOLE = [
    "Find the number of ways to tile a 2 x 8 board.",
    "Let $x^2 + 3x = 1$. Find $x$.",
    "A shirt costs $15. How much do 4 shirts cost?",
    "She pays $20 (or so). How much is left?",
    "Print the sum.\n\n```\n1 2\n```",
    r"Solve \begin{cases} x + y = 3 \\ x - y = 1 \end{cases}",
    r"Let $f$ be defined on $[0, 1)$. What is $f(0)$?",
    "Given one line of integers, print those that are even",
    "Is 7 :) prime?",
    "Input: 5\nOutput: 8",
    "Print the word. It is short.\n\nOutput\nWRONG",
    "find the value of x + y",
    "",
]


@pytest.mark.parametrize("text", BROKEN_OFF)
def test_a_statement_that_breaks_off_is_found(text: str) -> None:
    assert truncated(text).startswith("truncated statement (")


@pytest.mark.parametrize("text", WHOLE)
def test_a_whole_statement_is_not_truncated(text: str) -> None:
    assert truncated(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "Prove that there are infinitely many primes.",
        "Let n be odd. Show that n^2 - 1 is divisible by 8.",
        "Find x, and prove that it is unique.",
        "(a) Compute S. (b) Prove the formula.",
        "Give a rigorous proof of the theorem.",
        "For all n,\nshow  that f(n) > 0.",
    ],
)
def test_a_demand_for_a_proof_is_found(text: str) -> None:
    assert proof(text).startswith("proof question (")


@pytest.mark.parametrize(
    "text",
    [
        "Alice can show that her number is even. What is it?",
        "The waterproof coat costs 30. How much do two cost?",
        "Find x.",
        "The table shows that sales rose. By how much?",
        "A theorem was proved in 1801. How many years ago is that?",
    ],
)
def test_other_mentions_of_proofs_are_left_alone(text: str) -> None:
    assert proof(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        r"What is 2 + 2? So we get $\boxed{4}$.",
        "What is 2 + 2?\nAnswer: 4",
        "What is 2 + 2?\n**Solution:** add them.",
        "What is 2 + 2? The answer is 4.",
        "What is 2 + 2?\n#### 4",
    ],
)
def test_an_answer_that_is_told_is_found(text: str) -> None:
    assert tells_answer(text).startswith("answer in the statement (")


@pytest.mark.parametrize(
    "text",
    [
        "If the answer is m/n in lowest terms, find m + n.",
        "For the first example the answer is 4. Print the answer for each test.",
        "The answer is a number below 1000; what is it?",
        "How many answers are there?",
    ],
)
def test_other_mentions_of_answers_are_left_alone(text: str) -> None:
    assert tells_answer(text) == ""


def test_scripts() -> None:
    gate = script_gate(("Latin", "Greek"))
    assert gate("Let α and Ω be angles of 30°, x ≤ 2 and naïve é; what is ∫ x dx?") == ""
    assert gate("求 the sum") == "foreign script ('求')"
    assert gate("сумма") == "foreign script ('с')"
    with pytest.raises(ValueError, match=r"curation\.scripts"):
        script_gate(("Klingonic",))


def test_languages() -> None:
    gate = language_gate("en")
    assert gate("A farmer has twelve sheep and buys seven more at the market. How many sheep are there now?") == ""
    german = "Ein Bauer hat zwölf Schafe und kauft auf dem Markt noch sieben dazu. Wie viele Schafe hat er jetzt?"
    assert gate(german).startswith("other language (")
    assert gate("$x^2 = 4$") == ""
    assert gate("") == ""
    with pytest.raises(ValueError, match=r"curation\.language"):
        language_gate("xx")


def test_gates_are_off_unless_the_recipe_names_them() -> None:
    def verdict(settings: Curation, text: str) -> str:
        return next((fault for gate in text_gates(settings) if (fault := gate(text))), "")

    text = "Prove that the sum of all the"
    assert verdict(Curation(), text) == ""
    assert verdict(Curation(drop=("proof",)), text) == "proof question (Prove)"
    assert verdict(Curation(drop=("proof", "truncated")), text).startswith("truncated statement")
    assert verdict(Curation(drop=("proof",), min_words=50), text) == "too short"
    assert verdict(Curation(max_words=3), text) == "too long"


def test_hostile_statements_take_no_time() -> None:
    gates = text_gates(Curation(drop=("truncated", "proof", "answer_in_statement"), scripts=("Latin",), min_words=0))
    for text in (
        "(" * 50_000,
        "$" * 50_001,
        "prove " * 20_000,
        "the answer is " * 9000,
        "\\begin{a}" * 9000,
        " " * 99_999,
    ):
        begun = time.process_time()
        for gate in gates:
            gate(text)
        assert time.process_time() - begun < 10
