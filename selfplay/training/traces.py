"""Traces of a teacher: their formats read into one, from models and from files, and what makes one worth keeping.

The one format is `<think>…</think>` and then the answer. GPT-OSS writes channels instead, `analysis` with the thinking
and `final` with the answer; where its special tokens were stripped, their names run into the text:
`analysis…assistantfinal…`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.config.teacher import TraceFiles
from selfplay.run.files import contents_hash
from selfplay.seeds.row_files import rows_of_file
from selfplay.seeds.rows import SeedError
from selfplay.training.pair_files import domain_of, plain_text
from selfplay.training.validity import thinking_fault
from verifiers.extraction import boxed_answer, code_block, final_text
from verifiers.patterns import linear
from verifiers.programs.task_rows import read_task

_CHANNEL = linear.compile(r"<\|channel\|>\s{0,4}(analysis|commentary|final)\b[^<]{0,200}<\|message\|>")
_TOKEN = linear.compile(r"<\|(?:start|end|return|call|message|channel)\|>(?:assistant)?")
_STRIPPED_START = "analysis"
_STRIPPED_FINAL = "assistantfinal"


class FoundTrace(NamedTuple):
    """A trace as it comes from a file or a teacher."""

    where: str
    """Where it stands in a file, or the model that wrote it."""
    domain: str
    prompt: str
    """The policy's prompt."""
    problem: str
    """The problem in it, without the template where a row tells them apart."""
    language: str
    """That of the program, where it is one."""
    text: str


def converted(text: str) -> str:
    """A trace in the one format; text that has neither of the others' marks is returned as it is."""
    channels = list(_CHANNEL.finditer(text))
    if channels:
        return _of_channels(text, channels)
    if text.startswith(_STRIPPED_START) and _STRIPPED_FINAL in text:
        # The thinking may quote the mark; the answer is what follows the last one.
        thinking, _, answer = text.removeprefix(_STRIPPED_START).rpartition(_STRIPPED_FINAL)
        return _joined(thinking, answer)
    return text


def _of_channels(text: str, channels: list[linear.Match]) -> str:
    thinking, answer = [], ""
    for place, match in enumerate(channels):
        end = channels[place + 1].start() if place + 1 < len(channels) else len(text)
        content = _TOKEN.sub("", text[match.end() : end])
        if match.group(1) == "final":
            answer = content
        else:
            thinking.append(content.strip())
    # Without a final channel the thinking never ended, which the filter of form then says.
    return _joined("\n\n".join(thinking), answer) if answer.strip() else "<think>" + "\n\n".join(thinking)


def _joined(thinking: str, answer: str) -> str:
    return f"<think>\n{thinking.strip()}\n</think>\n\n{answer.strip()}"


def trace_fault(trace: str, verifier: str, language: str = "python") -> str:
    """Why a trace is not learnt from; empty where it may be (paper section 4.2: a boxed answer or a code block).

    Args:
        verifier: that of its domain: `math` wants a box, `code` a block, any other is content with either.
        language: that of the block.
    """
    form = thinking_fault(trace)
    if form:
        return form
    answer = boxed_answer(final_text(trace) or "")
    boxed = answer is not None and bool(answer.strip())
    written = code_block(trace, language).text is not None
    if verifier == "math":
        return "" if boxed else "no boxed answer"
    if verifier == "code":
        return "" if written else "no code block"
    return "" if boxed or written else "neither a boxed answer nor a code block"


def file_traces(recipe: Recipe, settings: TraceFiles) -> Iterator[FoundTrace]:
    """The traces of the recipe's files, in their order.

    Raises:
        SeedError: a file cannot be read, or a row lacks a column or has a domain that the recipe lacks.
    """
    for name in settings.paths:
        for where, row in rows_of_file(Path(name), SeedError):
            yield _read(recipe, settings, where, row)


def trace_files(recipe: Recipe) -> str:
    """A hash of the files of traces that the recipe reads; empty where it reads none."""
    files = recipe.training.sft.files if recipe.training.algorithm == "sft" else None
    return "" if files is None else contents_hash(map(Path, files.paths))


def _read(recipe: Recipe, settings: TraceFiles, where: str, row: dict[str, Any]) -> FoundTrace:
    domain = domain_of(recipe, row.get("domain", settings.domain), where, "training.sft.files.domain")
    problem, prompt = row.get(settings.problem), plain_text(row.get("prompt"))
    trace = plain_text(row.get(settings.completion))
    if trace is None:
        raise SeedError(
            f"{where}: `{settings.completion}` must be a text, or a list of one message; training.sft.files.completion "
            "names it"
        )
    own = recipe.domains[domain]
    asked = {name: row.get(name) for name in ("entry_point", "language") if own.runs_programs}
    task = read_task(asked, lambda field, fault: SeedError(f"{where}: `{field}` {fault}"), own.runs_programs)
    if isinstance(problem, str):
        prompt = formats.solver_input(own, dataclasses.replace(task, problem=problem))
    if isinstance(prompt, str):
        return FoundTrace(where, domain, prompt, problem if isinstance(problem, str) else prompt, task.language, trace)
    raise SeedError(f"{where}: needs `{settings.problem}` (training.sft.files.problem) or `prompt`, a text")
