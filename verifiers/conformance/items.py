"""The items that the conformance kit puts to a verifier: labelled cases, and hostile completions of their tasks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verifiers.conformance.cases import Case, tasks_of
from verifiers.conformance.texts import Hostile, claimed, cut, hostile, may_be_right
from verifiers.model import Task
from verifiers.programs.task_rows import task_to_json

_TASKS = 2
_CASES_CUT = 3


@dataclass(frozen=True, slots=True)
class Item:
    """One question. `kind` is case, twin, or the kind of a hostile completion; a pass of an `excused` one may be
    right; `twin` is the place of the item that says the same without its claim."""

    name: str
    kind: str
    task: Task
    completion: str
    excused: bool = False
    twin: int | None = None


def items_of(cases: Sequence[Case], huge_chars: int) -> list[Item]:
    """Returns the cases in order, then the hostile items."""
    items = [Item(case.name, "case", case.task, case.completion) for case in cases]
    tasks = tasks_of(cases, _TASKS)
    for place, task in enumerate(tasks):
        for text in hostile(huge_chars):
            if text.kind != "huge" or place == 0:
                name = text.name if len(tasks) == 1 else f"{text.name} (task {place + 1})"
                _add(items, Hostile(name, text.kind, text.text, text.twin), task, may_be_right(task, text.text))
    for case in [case for case in cases if case.label == "right"][:_CASES_CUT]:
        for text in cut(case):
            in_box = text.name.endswith("box")
            _add(items, text, case.task, in_box and may_be_right(case.task, text.text))
    for case in [case for case in cases if case.label == "wrong"][:_CASES_CUT]:
        for text in claimed(case):
            _add(items, text, case.task, may_be_right(case.task, text.text.removeprefix(case.completion)))
    return items


def _add(items: list[Item], text: Hostile, task: Task, excused: bool) -> None:
    twin = None
    if text.twin is not None:
        twin = len(items)
        items.append(Item(f"{text.name}, neutral", "twin", task, text.twin))
    items.append(Item(text.name, text.kind, task, text.text, excused, twin))


def write_items(items: Sequence[Item], path: Path) -> None:
    """Writes the items for the process that judges them; lone surrogates survive as JSON's escapes."""
    rows = [{"task": task_to_json(item.task), "completion": item.completion} for item in items]
    path.write_text(json.dumps(rows), "ascii")


def sample(places: Sequence[int], most: int) -> list[int]:
    """Returns at most so many places, evenly spread."""
    if len(places) <= most:
        return list(places)
    return [places[index * len(places) // most] for index in range(most)]
