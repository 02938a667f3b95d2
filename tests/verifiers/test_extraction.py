"""Finding the answer in a completion: thinking, boxes, announced answers, code blocks, hostile text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers.extraction import (
    boxed_answer,
    boxes,
    choice_letter,
    code_block,
    final_text,
    last_value,
    math_answer,
)


def test_only_what_follows_the_last_thinking_counts() -> None:
    assert final_text("<think>\\boxed{1}</think> \\boxed{2}") == " \\boxed{2}"
    assert final_text("a</think>b</think>c") == "c"
    assert final_text("<thinking>a</thinking>b") == "b"
    assert final_text("<thinking>a") is None
    assert final_text("a</think b") == "a</think b"
    assert final_text("<think>never closed \\boxed{1}") is None
    assert final_text("</think>done<think>again") is None
    assert final_text("5<|im_end|>\n<|im_start|>user 6") == "5"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{42}", "42"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\fbox{7}", "7"),
        (r"\boxed{4}, but actually \boxed{5}", "5"),
        (r"\boxed{3}. Then \boxed{9", "3"),
        (r"\boxed{1} and \boxed{2}", "1 , 2"),
        (r"\boxed{41} or \boxed{42}", r"41 \text{ or } 42"),
        (r"\boxed{41} or perhaps \boxed{42}", r"41 \text{ or } 42"),
        (r"$\boxed{41}$ $\boxed{42}$", "41 , 42"),
        ("\\boxed{41}\n\\boxed{42}", "42"),
        (r"\boxed{41} or so. No, it is \boxed{42}", "42"),
        (r"\framebox{204}", "204"),
        (r"\boxed{5} so, again, \boxed{5}", "5"),
        (r"$\boxed{28}$ percent", "28%"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"$\\boxed{\\frac{1}{2}}$", r"\frac{1}{2}"),
        ("no box", None),
    ],
)
def test_last_box(text: str, answer: str | None) -> None:
    assert boxed_answer(text) == answer


def test_nested_boxes_count_once() -> None:
    assert [content for _, _, content in boxes(r"\boxed{1} \boxed{\boxed{2}}")] == ["1", r"\boxed{2}"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 5", "5"),
        ("Step 1\nFinal answer: 42", "42"),
        ("Final Answer: The final answer is $7.78$. I hope it is correct.", "$7.78$"),
        ("Final Answer: The largest $n$ is 34.", "34"),
        ("A: 1,170.00", "1,170.00"),
        ("### Answer\n42", "42"),
        ("Thus, x = 42.", "42"),
        ("The answer is 10 and not 20", "10"),
        ("Final Answer: 5 (not 6)", "5"),
        ("The answer is either 2 or 3", "2 or 3"),
        ("The answer is 1.5 million", "1.5 million"),
        ("The solutions are $x=5$ and $x=-3$.", "x=5 , x=-3"),
        ("We meet at 2:30 pm today.", "2:30 pm"),
        ("#### 12", "12"),
        ("so the number is 10 which is 1,000.99m²", r"1,000.99\text{ m}^2"),
        ("he is **73** years old", r"73\text{ years}"),
        ("答案：每份应该是 (\\frac{2}{5}) 吨。", "\\frac{2}{5}"),
        ("The chance is 2/3.", "2/3"),
        ("It costs $5 for each of them, so she pays $20 for all four.", "20"),
        ("x^2+1", "x^2+1"),
        ("east", "east"),
        ("code AZYUK2A", None),
        ("", None),
    ],
)
def test_answers_without_a_box(text: str, answer: str | None) -> None:
    assert math_answer(text).text == answer


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is for sure D, it can't be A or B", "D"),
        ("D. it can't be A or B", "D"),
        ("I think the correct answer is C", "C"),
        ("B。 不是 A", "B"),
        (r"\boxed{\textbf{(C)}\ 12}", "C"),
        ("The answer is (B).", "B"),
        ("The answer is A or B", None),
        ("A or B", None),
        ("I choose A, not B", "A"),
        ("none", None),
        ("I choose D over C", "D"),
        ("The answer is C. Wait, let me check A first: it is too small.", "C"),
        ("The answer is C. Actually. A triangle has three sides.", "C"),
        ("C, since maybe A circle is meant", "C"),
    ],
)
def test_choice_letters(text: str, letter: str | None) -> None:
    assert choice_letter(text) == letter


@pytest.mark.parametrize("first", ["C", "(C)", "The answer is C", "**C**", "I choose (C)"])
@pytest.mark.parametrize(
    "then",
    ["... wait, actually D", ". No, D", " - no: (D)", " (or D)", " or maybe D", ". Hmm, D", " -> D", r" $\to$ D"],
)
def test_a_choice_that_is_thought_over_is_not_settled(first: str, then: str) -> None:
    """Else whoever names two options would get the reward of either."""
    assert choice_letter(first + then) != "C"


@pytest.mark.parametrize("kind", ["wrong", "other", "second best", "most tempting", "opposite"])
def test_what_is_said_of_another_answer_is_no_choice(kind: str) -> None:
    assert choice_letter(f"The {kind} answer is C.") is None


def test_code_is_the_last_closed_block_after_the_thinking() -> None:
    text = "<think>```python\n1\n```</think>first\n```python\na = 1\n```\nbetter:\n```python\nb = 2\n```\n"
    assert code_block(text).text == "b = 2\n"
    assert code_block("```\nplain\n```").text == "plain\n"
    assert code_block("1. so:\n   ```py\n   x = 1\n   ```").text == "x = 1\n"
    assert code_block("```python\nx = 1\n    ```\n    ").text == "x = 1\n"


PYTHON = "n = int(input())\nprint(2 * n)\n"
CPP = "#include <iostream>\nint main() { std::cout << 1; }\n"
AFTER = [
    "5",
    "3 4\n7",
    "x = 5",
    "YES",
    "Input: 3\nOutput: 6",
    "",
    ">>> print(2)\n2",
    "$ python main.py\n6",
    "if so, 3",
    "[1, 2]",
]
"""What follows a program in a block of its own, and is none."""


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize(
    ("language", "tag", "program"),
    [
        ("python", "python", PYTHON),
        ("python", "", PYTHON),
        ("python", "Python3.11", PYTHON),
        ("python", "solution", PYTHON),
        ("python", "", "def f(x):\n    return x\n"),
        ("python", "", "f = lambda x: x\n"),
        ("cpp", "cpp", CPP),
        ("cpp", "c++20", CPP),
        ("cpp20", "cpp", CPP),
        ("cpp23", "cpp23", CPP),
        ("cpp17", "", CPP),
    ],
)
def test_example_outputs_after_the_program_are_no_answers(language: str, tag: str, program: str, after: str) -> None:
    whole = f"Here:\n```{tag}\n{program}```\nExample:\n```OUTER\n{after}\n```\nDone."
    for outer in ("", "text", "output", "console", "bash", "json", "pycon"):
        assert code_block(whole.replace("OUTER", outer), language).text == program


@pytest.mark.parametrize(("first", "second"), [("python", "python"), ("", ""), ("python", ""), ("", "python")])
def test_of_several_programs_the_last_counts(first: str, second: str) -> None:
    """Whatever the others are: nobody can offer two."""
    text = f"```{first}\nprint(1)\n```\nor rather\n```{second}\nprint(2)\n```\n"
    assert code_block(text).text == "print(2)\n"
    assert code_block(f"{text}```cpp\n{CPP}```\n").text == "print(2)\n"
    assert code_block(f"{text}```python\n```\n").text is None
    assert code_block(f"{text}```text\n5").text is None


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ("<think>```python\n1\n```", "never ends"),
        ("no block", "no fenced"),
        ("```python\nx = 1", "never closed"),
        ("```python\n\n```", "empty"),
        ("```java\nclass A {}\n```", "marked java"),
    ],
)
def test_no_code_has_a_reason(completion: str, reason: str) -> None:
    found = code_block(completion)
    assert found.text is None
    assert reason in found.reason


HOSTILE = [
    "\\boxed{" * 15_000,
    "\\boxed{1} and " * 8_000,
    "{" * 100_000,
    "}" * 100_000,
    "$" * 99_999,
    "\\(" * 50_000,
    "\\[" * 50_000 + "\\(" * 10,
    "answer is " * 10_000,
    "<think>" * 15_000,
    "```" * 33_000,
    "```\n" * 25_000,
    " " * 100_000,
    "1," * 50_000,
    "\\frac{" * 15_000,
    "<|im_end|>" * 10_000,
    "\n" * 100_000,
    "a " * 50_000,
    "\\text{" * 16_000,
    "(" * 50_000 + "A" + ")" * 49_999,
]


@pytest.mark.parametrize("text", HOSTILE, ids=[repr(text[:8]) for text in HOSTILE])
def test_hostile_text_costs_little(text: str) -> None:
    begun = time.process_time()
    for extract in (boxed_answer, math_answer, choice_letter, code_block, final_text, last_value):
        extract(text)
    assert time.process_time() - begun < 2.0


@settings(max_examples=200, deadline=None)
@given(
    st.text()
    | st.lists(st.sampled_from(["\\boxed{", "}", "{", "$", "</think>", "<think>", "```", "\n", " or ", "1"])).map(
        "".join
    )
)
def test_extraction_never_raises(text: str) -> None:
    for extract in (boxed_answer, math_answer, choice_letter, code_block, final_text, last_value):
        extract(text)
