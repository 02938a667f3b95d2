"""A run's completions with their verdicts: from the tables of its stages, or from the log of a round that goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from selfplay import formats
from selfplay.run.files import RunError
from selfplay.run.plan import Kind, read_plan
from selfplay.run.records import LabelledTask, Rollout, RoundPrompt, Seed
from selfplay.run.tables import read_columns, read_plain, typed_row
from verifiers.model import Task, Test
from verifiers.programs.task_rows import json_text
from verifiers.untrusted.files import UnusableFile, json_object, open_file

KINDS = (Kind.SELFPLAY, Kind.EVALUATION, Kind.LABELLING, Kind.RELABELLING)
"""Kinds of stages with rollouts; the first that a run has is shown unless another is named, then others."""
LABELLINGS = (Kind.LABELLING, Kind.RELABELLING)
GIVEN = "external"
"""The source of a prompt that came with its label."""
TABLE = ".parquet"
BLOCK_BYTES = 1_000_000
FIELDS = ("task_id", "domain", "mode", "index", "completion", "passed", "reward", "status", "reason")


@dataclass(frozen=True, slots=True)
class TaskRollouts:
    """A task with its completions."""

    stage: str
    task_id: str
    domain: str
    task: Task | None
    """With its label, or that of the held-out problem; None where no table has it."""
    agreement: float | None
    """Share of the votes behind the label."""
    rollouts: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        return asdict(self)


def stages_with_rollouts(run_path: Path) -> list[str]:
    """Names of the stages that have rollouts, the newest rounds first."""
    stages = [stage for stage in read_plan(run_path) if sources(run_path / "stages" / stage.name)]
    return [stage.name for stage in sorted(stages, key=lambda stage: (_rank(stage.kind), -stage.round, stage.name))]


def find_rollouts(
    run_path: Path, stage: str | None = None, task: str = "", failed: bool = False, domain: str = "", limit: int = 0
) -> list[TaskRollouts]:
    """The tasks of a stage with their completions; of a round that goes on, the newest first.

    Args:
        stage: where to look; None takes the newest round, or the newest evaluation or labelling before there is one.
        task: only the task whose id begins so.
        failed: only tasks with a completion that did not pass, and only those completions.
        limit: most tasks; 0 for all. The log of a round that goes on, which may be long, is then read only as far
            back as they reach, unless `task` says which.

    Raises:
        RunError: the stage has no rollouts, or no task is found.
        RecordError: a table is damaged.
    """
    known = stages_with_rollouts(run_path)
    if not known:
        raise RunError(f"{run_path}: no rollouts yet; the first come with the labelling")
    if stage is not None and stage not in known:
        raise RunError(f"--stage {stage}: has no rollouts; those that have are {', '.join(known)}")
    where = run_path / "stages" / (stage or known[0])
    files = sources(where)
    goes_on = files[:1] != [] and files[0].suffix != TABLE
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rollout_rows(files):
        if (domain and row["domain"] != domain) or (failed and row["passed"]) or not row["task_id"].startswith(task):
            continue
        if row["task_id"] in groups or not limit or len(groups) < limit:
            groups.setdefault(row["task_id"], []).append(row)
        elif goes_on and not task:
            break
    if goes_on:
        groups = {task_id: rows[::-1] for task_id, rows in groups.items()}
    if not groups and task:
        raise RunError(f"--task {task}: {where.name} has no {'failed ' if failed else ''}rollouts of such a task")
    return joined(run_path, where.name, groups)


def joined(run_path: Path, stage: str, groups: Mapping[str, list[dict[str, Any]]]) -> list[TaskRollouts]:
    """Rollouts of a stage with their tasks, as far as the run knows these."""
    about = _tasks(run_path, stage, list(groups))
    return [_joined(stage, task_id, rows, about.get(task_id, {})) for task_id, rows in groups.items()]


def _joined(stage: str, task_id: str, rows: list[dict[str, Any]], about: Mapping[str, Any]) -> TaskRollouts:
    names = [name for name in (*FIELDS, "step") if name not in ("task_id", "domain")]
    kept = [{name: row.get(name) for name in names if name in FIELDS or name in row} for row in rows]
    task = typed_row(Task, about["task"]) if "task" in about else None
    return TaskRollouts(stage, task_id, rows[0]["domain"], task, about.get("agreement"), kept)


def sources(folder: Path) -> list[Path]:
    """The files that a stage's rollouts are in: its table, or the logs of a training that goes on."""
    tables = [folder / f"{name}.parquet" for name in ("rollouts", "completions")]
    return [table for table in tables if table.exists()] or sorted(folder.glob("*-training/rollouts-*.jsonl"))


def _rank(kind: Kind) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def rollout_rows(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Rollouts as `FIELDS` name their parts; those of logs, which have a `step` too, from the last to the first."""
    for file in files:
        if file.suffix == TABLE:
            yield from read_plain(file, Rollout, FIELDS)
        else:
            yield from _logged(file)


def _logged(file: Path) -> Iterator[dict[str, Any]]:
    """Rollouts of a training that goes on, the last first; its last line may not be whole yet."""
    for line in _lines_from_behind(file):
        try:
            row = json_object(line, "")
        except UnusableFile:
            continue
        if isinstance(row.get("task_id"), str):
            yield {name: row.get(name) for name in FIELDS} | {
                "mode": f"step {row.get('step')}",
                "step": row.get("step"),
            }


def _lines_from_behind(file: Path) -> Iterator[bytes]:
    with open_file(file, RunError) as handle:
        start, rest = handle.seek(0, os.SEEK_END), b""
        while start:
            size = min(BLOCK_BYTES, start)
            start -= size
            handle.seek(start)
            rest, *lines = (handle.read(size) + rest).split(b"\n")
            yield from reversed(lines)
        yield rest


def _tasks(run_path: Path, stage: str, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Tasks by id, as far as the run knows them: labels first, then the prompts of a round, then seed problems."""
    stages = run_path / "stages"
    found: dict[str, Mapping[str, Any]] = {}
    for labelling in reversed(read_plan(run_path).of_kind(*LABELLINGS)):
        file = stages / labelling.name / "tasks.parquet"
        if not file.exists():
            continue
        found = _read(file, LabelledTask, ids) | found
    if (stages / stage / "prompts.parquet").exists():
        found = _read(stages / stage / "prompts.parquet", RoundPrompt, ids) | found
    if len(found) < len(ids):
        for file in sorted((stages / Kind.SEEDS).glob("*.parquet")):
            found = _read(file, Seed, ids) | found
    return found


def _read(file: Path, record: type[Any], ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The rows of these tasks, by id; of the prompts of a round, what they hold of their tasks."""
    wanted = pa.array(ids, pa.string())
    found = {}
    names = {LabelledTask: ["id", "task", "agreement"], RoundPrompt: ["task", "source"], Seed: ["id", "task"]}[record]
    for batch in read_columns(file, record, names):
        keys = pc.struct_field(batch["task"], "id") if record is RoundPrompt else batch["id"]
        for row in batch.filter(pc.is_in(keys, value_set=wanted)).to_pylist():
            about = _label_of(row) if record is RoundPrompt else row
            found[about["id"]] = about
    return found


def _label_of(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """A round's task; where its label was given, nobody voted on it."""
    task: dict[str, Any] = prompt["task"]
    return task | {"agreement": None} if prompt["source"] == GIVEN else task


def how_judged(task: Task) -> str:
    """Terms of a task beside the problem: a function, a language, limits and comparisons that are not the usual."""
    usual, asked = Task(), formats.asked_for(task)
    parts = [asked] if asked else []
    if (task.time_limit_s, task.memory_mb) != (usual.time_limit_s, usual.memory_mb):
        parts.append(f"{task.time_limit_s:g} s, {task.memory_mb} MB")
    if task.float_tolerance is not None:
        parts.append(f"{task.tolerance_kind} error up to {task.float_tolerance:g}")
    if task.comparison is not None:
        parts.append(f"compared by {task.comparison}")
    if task.checker is not None:
        parts.append("a checker of its own")
    return "; ".join(parts)


def test_text(task: Task, test: Test) -> str:
    """A test on one or several lines: what is put in, and what is to come out."""
    if test.args is None:
        return f"{test.input}\n→ {test.output}"
    return f"{task.entry_point}({', '.join(map(json_text, test.args))})\n→ {json_text(test.expected)}"
