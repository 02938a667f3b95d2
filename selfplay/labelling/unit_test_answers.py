"""Tests of programs that a model wrote, read strictly and never evaluated: an input and an output as texts, or the
arguments of a function and the value that it returns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from selfplay.labelling import trial_texts
from verifiers.extraction import final_text
from verifiers.patterns import linear

LONGEST_ANSWER = 1 << 18
"""Most characters of an answer that are looked at, its thinking left out."""
LONGEST_TEXT = 1 << 16
"""Most bytes of an input, and of an output."""

# An escaped quotation mark has a backslash before it, so that no object inside a text is found.
_BEGINNING = linear.compile(r'\{\s{0,64}"(?:input|output)"\s{0,64}:')
_BEGINNING_OF_CALL = linear.compile(r'\{\s{0,64}"(?:args|expected)"\s{0,64}:')
_CONTROL = linear.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class WrittenTest:
    """A test as its writer meant it; `fault` says why it cannot be used."""

    input: str = ""
    """A text, or the JSON text of a function's arguments."""
    output: str = ""
    """A text, or the JSON text of a value."""
    fault: str = ""


def read_unit_test(answer: str, of_function: bool = False) -> WrittenTest:
    """Takes the last JSON object of an answer that begins with an input or an output; it must have both and no more.

    Of a function it is `args`, a list, and `expected`.
    """
    text = final_text(answer)
    if text is None:
        return WrittenTest(fault="the thinking never ends")
    if of_function:
        row, fault = _last_object(text, _BEGINNING_OF_CALL, ("args", "expected"))
        return WrittenTest(fault=fault) if fault else _call(row["args"], row["expected"])
    row, fault = _last_object(text, _BEGINNING, ("input", "output"))
    if not fault:
        fault = next((found for name in ("input", "output") if (found := _text_fault(name, row[name]))), "")
    return WrittenTest(fault=fault) if fault else WrittenTest(row["input"], row["output"])


def _last_object(text: str, beginning: linear.Pattern, names: tuple[str, str]) -> tuple[dict[str, Any], str]:
    """The object, or why there is none."""
    if len(text) > LONGEST_ANSWER:
        return {}, "too long"
    begun = [found.start() for found in beginning.finditer(text)]
    if not begun:
        return {}, "no test"
    try:
        row, _ = json.JSONDecoder(object_pairs_hook=_without_twins).raw_decode(text, begun[-1])
    except (ValueError, RecursionError):
        return {}, "a broken test"
    if not isinstance(row, dict) or set(row) != set(names):
        return {}, f"a test without both {names[0]} and {names[1]}, or with more"
    return row, ""


def _call(args: object, expected: object) -> WrittenTest:
    if not isinstance(args, list):
        return WrittenTest(fault="args that are no list")
    texts = trial_texts.of_value(args), trial_texts.of_value(expected)
    if not all(texts):
        return WrittenTest(fault="a value that JSON has not")
    if max(map(len, texts)) > LONGEST_TEXT:
        return WrittenTest(fault="a value too long")
    return WrittenTest(*texts)


def _text_fault(name: str, value: object) -> str:
    if not isinstance(value, str):
        return f"an {name} that is no text"
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        return f"an {name} that is no valid text"
    if size > LONGEST_TEXT:
        return f"an {name} too long"
    if _CONTROL.search(value):
        return f"an {name} with control characters"
    # An input may be empty: some programs read nothing. An output says what is right.
    return "an empty output" if name == "output" and not value.strip() else ""


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a field stands twice")
    return row
