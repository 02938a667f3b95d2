"""What reads untrusted text takes steps linear in it: each pattern, and each reader, on texts that are pumped up.

Steps are counted, not timed: bytes that a search of RE2 went over, characters that were turned into bytes or looked
through before one, and lines of the product that ran.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from sandbox.inside.plain import NotPlainData
from sandbox.remote.backend import _between
from sandbox.warm.jobs import named_modules
from sandbox.warm.returned_values import decode
from selfplay import formats
from selfplay.config.curation import Curation
from selfplay.curation.decontamination import LeakIndex
from selfplay.curation.statements import proof, script_gate, tells_answer, truncated
from selfplay.curation.words import words
from selfplay.labelling.filters import is_trivial
from selfplay.labelling.unit_test_answers import read_unit_test
from selfplay.labelling.verification import opinion
from selfplay.synthesis.annotation_answers import read_concepts
from selfplay.synthesis.measures import copy_rate
from selfplay.training.traces import converted, trace_fault
from selfplay.training.validity import ValidForm, thinking_fault
from tests.verifiers.patterns.generated import ROOT, load_every_pattern, matching, parsed, pieces
from verifiers.extraction import boxed_answer, boxes, choice_letter, code_block, final_text, math_answer
from verifiers.judge.prompt import ReplyUnreadable, scores_of
from verifiers.mathematics.reading.forms import form_of
from verifiers.mathematics.reading.spelling import normalise
from verifiers.patterns import linear
from verifiers.programs.comparison import same_json
from verifiers.rules.language import prose, weight
from verifiers.service.answers import _unmarked

load_every_pattern()
linear.prepare_all()
PRODUCT = tuple(str(ROOT / package) for package in ("verifiers", "selfplay", "sandbox"))
SIZES = (200, 400, 800, 1600)


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch, lines: bool = False) -> Iterator[list[int]]:
    """Counts steps into the one item of the list."""
    steps = [0]
    find, may_match, encoded = linear.Compiled.find, linear.Pattern._may_match, linear.encoded

    def counting_find(self: Any, data: bytes, pos: int, anchor: object) -> Any:
        found = find(self, data, pos, anchor)
        steps[0] += 1 + (len(data) if found is None else found[0][1]) - pos
        return found

    def counting_look(self: linear.Pattern, text: str) -> bool:
        steps[0] += len(text) * len(self._needed)
        return may_match(self, text)

    def counting_encoded(text: str) -> bytes:
        steps[0] += len(text)
        return encoded(text)

    def on_line(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PRODUCT):
            return None
        steps[0] += event == "line"
        return on_line

    with monkeypatch.context() as patched:
        patched.setattr(linear.Compiled, "find", counting_find)
        patched.setattr(linear.Pattern, "_may_match", counting_look)
        patched.setattr(linear, "encoded", counting_encoded)
        before = sys.gettrace()
        if lines:
            sys.settrace(on_line)
        try:
            yield steps
        finally:
            if lines:
                sys.settrace(before)


def check_growth(costs: list[int], told: str) -> None:
    """A text eight times as long takes about eight times the steps, and the last doubling about doubles them.

    What grows by the square would take 64 and 4 times as many. A bound of a reader may lie between two sizes.
    """
    assert costs[-1] <= 10 * max(costs[0], 600) + 3000, f"{told[:300]}: {costs}"
    assert costs[-1] <= 2.3 * costs[-2] + 3000, f"{told[:300]}: {costs}"


def read_all(pattern: linear.Pattern, text: str) -> None:
    pattern.search(text)
    pattern.match(text)
    pattern.fullmatch(text)
    if pattern.match("") is None:
        try:
            pattern.sub("", text)
        except AssertionError:  # it matches the empty text where something stands beside
            return


@pytest.mark.parametrize("pattern", linear.PATTERNS, ids=lambda pattern: pattern.pattern[:40])
def test_a_pattern_reads_a_pumped_text_in_linear_steps(
    pattern: linear.Pattern, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(pattern.pattern)
    parts = list(pieces(parsed(pattern.pattern, pattern.flags)))
    for _ in range(4):
        before, unit, other = (matching(rng.choice(parts), rng)[:30] for _ in range(3))
        repeated = (unit + rng.choice(("", other))) or " "
        costs = []
        for size in SIZES:
            with counted(monkeypatch) as steps:
                read_all(pattern, before + repeated * (size // len(repeated) + 1))
            costs.append(steps[0])
        check_growth(costs, f"{pattern.pattern!r} on {before!r} and many {repeated!r}")


def _sample(text: str) -> Any:
    return SimpleNamespace(text=text, complete=True)


def _refused(read: Callable[..., object], *arguments: object) -> object:
    try:
        return read(*arguments)
    except (NotPlainData, ReplyUnreadable):
        return None


LEAKS = LeakIndex({"given": {"1": "let a be the sum of 1 and 2 " * 3, "2": "Find 1 + 2 now"}}, Curation())
DEMANDING = ValidForm("required", frozenset(("thinking_not_empty", "no_cjk", "boxed_answer")))


READERS: dict[str, Callable[[str], object]] = {
    "final_text": final_text,
    "boxes": boxes,
    "boxed_answer": boxed_answer,
    "math_answer": math_answer,
    "choice_letter": choice_letter,
    "code_block": code_block,
    "normalise": normalise,
    "form_of": form_of,
    "prose": prose,
    "weight": weight,
    "unmarked": _unmarked,
    "same_json": lambda text: same_json(text, "[1]"),
    "converted": converted,
    "trace_fault": lambda text: trace_fault(text, "math"),
    "thinking_fault": thinking_fault,
    "unit_test": read_unit_test,
    "unit_test_of_call": lambda text: read_unit_test(text, True),
    "concepts": lambda text: read_concepts(_sample(text), 1, 9),
    "rationale": formats.parse_rationale,
    "completion": formats.parse_completion,
    "opinion": lambda text: opinion(_sample(text)),
    "scores": lambda text: _refused(scores_of, text, "ticket", ("score",), 5),
    "valid_form": lambda text: DEMANDING.fault_of(text, "math"),
    "script": script_gate(("Latin",)),
    "leaks": LeakIndex(
        {"given": {"long": "let a be the sum of 1 and 2 " * 3, "short": "Find 1 + 2 now"}}, Curation()
    ).find,
    "copy_rate": lambda text: copy_rate(text, "let a , 1 " * 20),
    "truncated": truncated,
    "proof": proof,
    "tells_answer": tells_answer,
    "words": words,
    "is_trivial": is_trivial,
    "decode": lambda text: _refused(decode, text),
    "modules": named_modules,
    "between": lambda text: _between(text, "mark"),
}
PUMPED = [
    ("\\boxed{5", " cm", "}"),
    ("\\text{", " ", "}"),
    ("```", " ", "\n```"),
    ("```python\n", "\n``` ", "x"),
    ("", "{", "}"),
    ("", "{x", ""),
    ("x", "}", ""),
    ("1", ",", "2"),
    ("", "$", ""),
    ("$", "\\$ ", "$"),
    ("5", "\\text{ m}", ""),
    ("5", " hundred", ""),
    ("", "\\boxed{", ""),
    ("", "\\boxed{1} or ", ""),
    ("1", " 234", ""),
    ("0.", "3", "\\ldots"),
    ("", "the answer is ", ""),
    ("", "A or ", "B"),
    ("(", "1,", ")"),
    ("", "\\frac", "12"),
    ("", "\\left(", ""),
    ("5", "^\\circ ", "'"),
    ("", '["', ""),
    ("['x'", ", 'y'", "]"),
    ('{"input": "', "\\", '"}'),
    ('"', '\\"', "["),
    ("", "mark:", ""),
    ("", "<|channel|>final", "<|message|>"),
    ("<think>", "</think>", ""),
    ("", "</s> ", ""),
    ("", "`", ""),
    ("", "1 + 2 = 3.\n", ""),
    ("Prove", "\n", "that"),
    ("", "let a ", "be"),
    ("import ", "a, ", "b"),
]


@pytest.mark.parametrize("name", READERS)
def test_a_reader_reads_a_pumped_text_in_linear_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds of the readers lie above these sizes, so that they save none."""
    for before, repeated, after in PUMPED:
        texts = [before + repeated * (size // len(repeated)) + after for size in SIZES]
        READERS[name](texts[0])
        costs = []
        for text in texts:
            with counted(monkeypatch, lines=True) as steps:
                READERS[name](text)
            costs.append(steps[0])
        check_growth(costs, f"{name} on {before!r}, many {repeated!r}, {after!r}")
