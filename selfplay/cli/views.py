"""Pages of the commands, as rich renders them: the plan, annotation, rollouts. Loaded when one is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from selfplay.config.recipe import Recipe
from selfplay.pipeline.stages import stage_table
from selfplay.watching.rollouts import TaskRollouts, how_judged, test_text
from selfplay.watching.terminal import plain, table_of

SHOWN = 3
LONGEST = 1500
"""Characters shown of one text, unless all are wanted."""
TESTS = 2
"""Tests of a program that are shown."""
MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}


def plan_view(recipe: Recipe) -> Table:
    """A table of the stages."""
    table = Table(title=Text(f"{recipe.name}, seed {recipe.seed}"), title_justify="left", box=None, pad_edge=False)
    table.add_column("stage", style="bold")
    table.add_column("what it does")
    for spec in stage_table(recipe).values():
        table.add_row(spec.name, Text(spec.planned.line))
    return table


def annotation_view(counts: Mapping[str, Any], folder: str) -> RenderableType:
    """A table from the counts in the annotation stage's manifest, and where its tables are."""
    table = table_of("annotator", "answers", "usable", "rationales", "tokens", "cost")
    table.add_column("not usable", overflow="fold")
    for row in counts["annotators"]:
        tokens = row["prompt_tokens"] + row["completion_tokens"]
        failures = sorted(row["failures"].items(), key=lambda item: -item[1])[:SHOWN]
        table.add_row(
            plain(row["name"]),
            str(row["asked"]),
            str(row["used"]),
            str(row["rationales"]),
            f"{tokens:,}",
            f"{row['cost']:.4f}",
            plain(", ".join(f"{reason} ({count})" for reason, count in failures), "dim"),
        )
    head = (
        f"{counts['triples']} triples, {counts['as_they_were']} of them as they came; {counts['failed']} problems "
        f"could not be annotated; {counts['tokens']:,} tokens, cost {counts['cost']:.4f}"
    )
    return Group(Text(head, "bold"), table, plain(folder, "dim", overflow="fold"))


def rollouts_view(found: TaskRollouts, whole: bool = False, failed: bool = False) -> RenderableType:
    """One task.

    Args:
        whole: shows texts of any length.
        failed: it has only those completions that did not pass.
    """
    passed, count = sum(bool(row["passed"]) for row in found.rollouts), len(found.rollouts)
    outcome = f"{count} did not pass" if failed else f"{passed} of {count} passed"
    title = plain(f"{found.task_id}  {found.domain}, {found.stage}: {outcome}", "bold")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_lines=True, expand=True)
    table.add_column("prompt", ratio=3, overflow="fold")
    table.add_column("completion", ratio=5, overflow="fold")
    table.add_column("verdict", ratio=2, overflow="fold")
    longest = None if whole else LONGEST
    for place, row in enumerate(found.rollouts):
        left = _prompt(found, longest) if place == 0 else Text()
        table.add_row(left, block(row["completion"], longest), _verdict(row))
    return Group(title, table)


def _prompt(found: TaskRollouts, longest: int | None) -> Text:
    if found.task is None:
        return block("(no table has its text)", longest)
    text = block(found.task.problem, longest)
    if found.task.answer is not None:
        text.append("\n\n").append_text(plain(f"label {found.task.answer}", "bold"))
    if asked := how_judged(found.task):
        text.append("\n\n").append_text(plain(asked, "bold"))
    for test in found.task.tests[:TESTS]:
        text.append("\n\n").append_text(block(test_text(found.task, test), longest))
    if len(found.task.tests) > TESTS:
        text.append(f"\n… {len(found.task.tests) - TESTS} more tests", "dim")
    if found.agreement is not None:
        text.append(f"\nagreement {found.agreement:.0%}", "dim")
    return text


def _verdict(row: Mapping[str, Any]) -> Text:
    mark, colour = MARKS[row["passed"]]
    text = Text(f"{mark} ", colour).append_text(plain(row["status"], colour))
    if row["reason"]:
        text.append("\n").append_text(plain(row["reason"]))
    reward = "no reward" if row["reward"] is None else f"reward {row['reward']:.3g}"
    return text.append("\n").append_text(plain(f"{reward}, {row['mode']}", "dim"))


def block(value: object, longest: int | None = LONGEST) -> Text:
    """Text of several lines that cannot steer the terminal, cut when long."""
    text = str(value)
    cut = longest is not None and len(text) > longest
    lines = text[:longest].replace("\t", "    ").split("\n")
    shown = Text("\n").join(plain(line) for line in lines)
    return shown.append(f"\n… {len(text) - len(text[:longest])} more characters", "dim") if cut else shown
