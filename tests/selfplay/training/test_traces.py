"""Traces of a teacher: their formats, their filters, and files of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.config.recipe import Recipe
from selfplay.config.teacher import TraceFiles
from selfplay.seeds.rows import SeedError
from selfplay.training.traces import converted, file_traces, trace_fault, trace_files

THOUGHT = "<think>\nTwo and two.\n</think>\n\n\\boxed{4}"


@pytest.mark.parametrize(
    "raw",
    [
        "analysisTwo and two.assistantfinal\\boxed{4}",
        "<|channel|>analysis<|message|>Two and two.<|end|><|start|>assistant"
        "<|channel|>final<|message|>\\boxed{4}<|return|>",
        "<|start|>assistant<|channel|>analysis<|message|>Two and two.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>\\boxed{4}",
    ],
)
def test_channels_become_a_think_block(raw: str) -> None:
    assert converted(raw) == THOUGHT
    assert trace_fault(converted(raw), "math") == ""


def test_thinking_that_never_ends_is_an_open_block() -> None:
    assert converted("<|channel|>analysis<|message|>Two and") == "<think>Two and"


def test_what_needs_no_conversion_stays_as_it_is() -> None:
    for text in (THOUGHT, "\\boxed{4}", "An analysis of assistantfinal: \\boxed{4}", ""):
        assert converted(text) == text


def test_the_answer_is_what_follows_the_last_mark() -> None:
    raw = "analysisThe word assistantfinal ends it.assistantfinal\\boxed{4}"
    assert converted(raw) == "<think>\nThe word assistantfinal ends it.\n</think>\n\n\\boxed{4}"


def test_several_channels_of_thinking_are_one_block() -> None:
    raw = (
        "<|channel|>analysis<|message|>One.<|end|><|start|>assistant<|channel|>commentary to=x<|message|>Two.<|call|>"
        "<|start|>assistant<|channel|>final<|message|>\\boxed{4}"
    )
    assert converted(raw) == "<think>\nOne.\n\nTwo.\n</think>\n\n\\boxed{4}"


@pytest.mark.parametrize(
    ("trace", "verifier", "says"),
    [
        (THOUGHT, "math", ""),
        ("It is 4.", "math", "no boxed answer"),
        ("\\boxed{ }", "math", "no boxed answer"),
        ("<think>\\boxed{4}</think>It is four.", "math", "no boxed answer"),
        (converted("<|channel|>analysis<|message|>Two and"), "math", "the thinking never ends"),
        ("<think>a</think>\n```python\nprint(1)\n```", "code", ""),
        ("<think>\n```python\nprint(1)\n```\n</think>It prints 1.", "code", "no code block"),
        ("```python\nprint(1)", "code", "no code block"),
        ("\\boxed{4}", "mine:Judge", ""),
        ("```python\nprint(1)\n```", "mine:Judge", ""),
        ("It is 4.", "mine:Judge", "neither a boxed answer nor a code block"),
    ],
)
def test_what_a_trace_needs(trace: str, verifier: str, says: str) -> None:
    assert trace_fault(trace, verifier) == says


PARTS = ["<|channel|>", "analysis", "final", "<|message|>", "<|end|>", "assistant"]
PARTS += ["<think>", "</think>", " x ", "\\boxed{4}"]


@given(text=st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
def test_any_text_is_read_and_what_passes_has_its_answer_after_the_thinking(text: str) -> None:
    trace = converted(text)
    if not trace_fault(trace, "math"):
        assert "\\boxed{4}" in trace.rpartition("</think>")[2]
        assert trace.count("<think>") <= 1


def recipe(**domains: str) -> Recipe:
    seeds = {"kind": "quickstart", "grammar": "math"}
    own = {name: {"seeds": seeds, "verifier": verifier} for name, verifier in (domains or {"math": "math"}).items()}
    return Recipe.model_validate({"name": "x", "model": {"kind": "scratch"}, "domains": own})


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_other_traces_in_the_same_file_have_another_hash(tmp_path: Path) -> None:
    file = write(tmp_path / "t.jsonl", [{"problem": "1 + 1?", "completion": THOUGHT}])
    settings = recipe().model_dump() | {"training": {"algorithm": "sft", "sft": {"files": {"paths": [str(file)]}}}}
    reads = Recipe.model_validate(settings)
    first = trace_files(reads)
    write(file, [{"problem": "1 + 2?", "completion": THOUGHT}])
    assert first
    assert trace_files(reads) != first
    assert trace_files(recipe()) == ""


@pytest.mark.parametrize("name", ["t.jsonl", "t.parquet"])
def test_files_give_problems_or_whole_prompts(tmp_path: Path, name: str) -> None:
    rows = [
        {"question": "1 + 1?", "trace": THOUGHT, "prompt": None},
        {"question": None, "trace": "b", "prompt": "Say 2."},
    ]
    file = write(tmp_path / name, rows)
    settings = TraceFiles(paths=(str(file),), problem="question", completion="trace")
    found = list(file_traces(recipe(), settings))
    assert [(one.domain, one.prompt, one.text) for one in found] == [
        ("math", "1 + 1?\n\nReason step by step, and put the final answer within \\boxed{}.", THOUGHT),
        ("math", "Say 2.", "b"),
    ]


def test_traces_of_functions_and_other_languages_are_told_apart(tmp_path: Path) -> None:
    block = "```cpp\nint main() {}\n```"
    rows = [
        {"problem": "Echo.", "language": "cpp", "completion": block},
        {"problem": "Add.", "entry_point": "add", "completion": block},
    ]
    settings = TraceFiles(paths=(str(write(tmp_path / "t.jsonl", rows)),))
    cpp, function = file_traces(recipe(code="code"), settings)
    assert "Write a C++ program" in cpp.prompt
    assert "named `add`" in function.prompt
    assert [trace_fault(one.text, "code", one.language) for one in (cpp, function)] == ["", "no code block"]
    about_words = {"problem": "2 + 2?", "language": "en", "completion": "\\boxed{4}"}
    [plain] = file_traces(recipe(), TraceFiles(paths=(str(write(tmp_path / "m.jsonl", [about_words])),)))
    assert plain.prompt.startswith("2 + 2?\n\nReason")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"problem": "x"}, r"line 1: `completion` must be a text"),
        ({"completion": "x"}, r"line 1: needs `problem` .* or `prompt`"),
        ({"problem": "x", "completion": "y", "domain": "art"}, r"belongs to no domain .*\['code', 'math'\]"),
        ({"problem": "x", "completion": "y"}, "belongs to no domain"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: dict[str, Any], says: str) -> None:
    file = write(tmp_path / "t.jsonl", [row])
    # Only the rows that get as far need to say where they belong.
    domain = None if "problem" in row and "completion" in row else "math"
    settings = TraceFiles(paths=(str(file),), domain=domain)
    with pytest.raises(SeedError, match=says):
        list(file_traces(recipe(math="math", code="code"), settings))
