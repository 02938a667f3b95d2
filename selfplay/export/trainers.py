"""Rows as other trainers read them: TRL's GRPO, verl, OpenRLHF.

verl            data_source, prompt as messages, ability, reward_model {style, ground_truth}, extra_info
openrlhf        prompt, label and datasource, all texts
openrlhf_pairs  prompt, chosen and rejected, all texts

A label is a text there. For verl, tests of programs become the JSON that its own code rewards read: `inputs` and
`outputs`, and for functions `fn_name`, with one JSON value a line for each argument. OpenRLHF has no such rewards, and
hands labels to a service: for it they are the JSON of a task's fields, as the reward service reads them. How outputs
are compared, such as by a checker where many are right, stands beside either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.run.records import LabelledTask, Pair
from selfplay.run.tables import schema_of
from verifiers.model import Task

_TEXT = pa.string()
_PLAIN = Task()
HOW_JUDGED = ("language", "time_limit_s", "memory_mb", "float_tolerance", "tolerance_kind", "comparison", "checker")
"""Fields of a task that say how its programs are run and judged; those that are as everywhere are not written."""
LABEL = [field for field in schema_of(LabelledTask).field("task").type if field.name != "problem"]
"""Columns of a whole label: the answer, the tests, and how programs are run and compared."""
LABELS = [field.name for field in LABEL]
VERL = [
    ("data_source", _TEXT),
    ("prompt", pa.list_(pa.struct([("role", _TEXT), ("content", _TEXT)]))),
    ("ability", _TEXT),
    ("reward_model", pa.struct([("style", _TEXT), ("ground_truth", _TEXT)])),
    (
        "extra_info",
        pa.struct(
            [
                *((name, _TEXT) for name in ("split", "id", "domain", "problem")),
                ("index", pa.int64()),
                ("agreement", pa.float64()),
                ("pass_rate", pa.float64()),
            ]
        ),
    ),
]
"""Columns of verl's data sets."""


def origin(task: LabelledTask) -> dict[str, str]:
    """Which task a row is of."""
    return {"id": task.id, "domain": task.domain}


def source_of(recipe: Recipe, task: LabelledTask) -> str:
    """The data source of a task, `NAME/DOMAIN`, by which trainers choose a reward or sum up their figures."""
    return f"{recipe.name}/{task.domain}"


def verl_rows(recipe: Recipe, tasks: Iterable[LabelledTask]) -> Iterator[dict[str, Any]]:
    """One row a task."""
    for index, task in enumerate(tasks):
        domain = recipe.domains[task.domain]
        more = {"split": "train", "problem": task.problem, "agreement": task.agreement, "pass_rate": task.pass_rate}
        yield {
            "data_source": source_of(recipe, task),
            "prompt": [{"role": "user", "content": formats.solver_input(domain, task.task)}],
            "ability": "code" if domain.runs_programs else task.domain,
            "reward_model": {"style": "rule", "ground_truth": ground_truth(task.task)},
            "extra_info": {"index": index} | origin(task) | more,
        }


def openrlhf_rows(recipe: Recipe, tasks: Iterable[LabelledTask]) -> Iterator[dict[str, Any]]:
    """One row a task."""
    for task in tasks:
        prompt = formats.solver_input(recipe.domains[task.domain], task.task)
        yield {"prompt": prompt, "label": service_label(task.task), "datasource": source_of(recipe, task)}


def openrlhf_pairs(pairs: Iterable[tuple[Pair, str]]) -> Iterator[dict[str, Any]]:
    """One row a pair."""
    for pair, _ in pairs:
        yield {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}


def ground_truth(task: Task) -> str:
    """A label as verl reads it: the answer, or the tests as JSON."""
    if not task.tests:
        return task.answer or ""
    if task.entry_point is None:
        told: dict[str, Any] = {"inputs": [test.input for test in task.tests]}
        told["outputs"] = [test.output for test in task.tests]
    else:
        told = {"fn_name": task.entry_point}
        told["inputs"] = ["\n".join(json.dumps(value) for value in test.args or ()) for test in task.tests]
        told["outputs"] = [json.dumps(test.expected) for test in task.tests]
    return json.dumps(told | _how_judged(task), ensure_ascii=False)


def service_label(task: Task) -> str:
    """A label as the reward service reads it: the answer, or the fields of the task as JSON."""
    if not task.tests:
        return task.answer or ""
    if task.entry_point is None:
        told: dict[str, Any] = {"tests": [{"input": test.input, "output": test.output} for test in task.tests]}
    else:
        calls = [{"args": list(test.args or ()), "expected": test.expected} for test in task.tests]
        told = {"entry_point": task.entry_point, "tests": calls}
    return json.dumps(told | _how_judged(task), ensure_ascii=False)


def _how_judged(task: Task) -> dict[str, Any]:
    return {name: getattr(task, name) for name in HOW_JUDGED if getattr(task, name) != getattr(_PLAIN, name)}
