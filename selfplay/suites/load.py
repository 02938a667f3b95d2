"""Loads suites: named ones from the hub or from files one has downloaded, and people's own."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from selfplay.config.domains import ProblemKind
from selfplay.config.evaluation import UserSuite
from selfplay.config.values.places import ROW_FILES
from selfplay.formats import solver_template
from selfplay.run.records import Seed
from selfplay.run.seeding import content_id
from selfplay.run.store import content_key
from selfplay.seeds.csv_files import TEXT_FILES, of_texts
from selfplay.seeds.row_files import Row
from selfplay.suites.catalogue import SUITES, NamedSuite
from selfplay.suites.livecodebench import contest_day
from selfplay.suites.lock import Pin, SuiteLock
from selfplay.suites.published import id_of, task_of
from selfplay.suites.rows import SuiteError, commit_of, hub_files, is_row_file, rows_of_data_set, rows_of_files
from verifiers.model import Task
from verifiers.programs.task_rows import TASK_FIELDS, json_value, read_task, task_to_json

WINDOWED = "livecodebench"
RELEASED_WORDING, NAMED_WORDING = "as released", "ours for this suite"
"""Whose prompt a named suite has: that of rows which hold it, or ours in the form that is published."""
DEFAULT_WORDING, OWN_WORDING = "the default", "the suite's"
"""Whose prompt a suite of one's own has: ours where it says nothing, or its own."""
Wanted = str | UserSuite
"""A named suite, or one of one's own."""


@dataclass(frozen=True)
class Suite:
    """Problems with labels, how they are asked for, and where they came from."""

    name: str
    problems: tuple[Seed, ...]
    solving: ProblemKind
    source: str
    """The data set with its revision, or the files."""
    licence: str
    expected: int | None
    """Problems as published; None where nobody says."""
    remark: str
    revision: str | None = None
    """The commit on the hub; None for files and folders, and where no hub said it."""
    wording: str = NAMED_WORDING
    """Whose its prompt is, for people."""

    @property
    def is_named(self) -> bool:
        """Whether it is known by name, and so always asked alike."""
        return self.wording in (RELEASED_WORDING, NAMED_WORDING)

    @property
    def prompts(self) -> tuple[str, ...]:
        """The templates by which its problems are asked: one, or one for each kind of program."""
        return tuple(dict.fromkeys(solver_template(self.solving, one.task) for one in self.problems))

    @cached_property
    def content(self) -> str:
        """A hash of all problems with their labels; of one after the other, since tests may be gigabytes."""
        return content_key("suite", [[one.source, content_key(task_to_json(one.task))] for one in self.problems])

    @property
    def note(self) -> str:
        """How it differs from what was published, as people should be told beside its figures; empty if it does not."""
        count = len(self.problems)
        return "" if self.expected in (None, count) else f"{count} of {self.expected} published problems"


def load_suite(
    wanted: Wanted,
    data: Path | None,
    limit: int | None = None,
    incomplete: bool = False,
    lock: SuiteLock | None = None,
) -> Suite:
    """Loads one suite.

    Args:
        wanted: which.
        data: a folder of downloaded files, which named suites are taken from; None takes them from the hub.
        limit: takes only the first so many problems.
        incomplete: whether another number of problems than was published is taken, too.
        lock: pins; a suite of the hub is loaded at its commit there, and must have its content.

    Raises:
        SuiteError: it is unknown, cannot be loaded, has bad rows, no problems, or another number of them, or is not
            what the lock pins.
    """
    suite = _own(wanted, lock) if isinstance(wanted, UserSuite) else _named(find_suite(wanted), data, lock)
    if not suite.problems:
        raise SuiteError(f"{suite.name}: {suite.source} has 0 problems; give another file, split or window of dates")
    if suite.note and not incomplete:
        raise SuiteError(
            f"{suite.name}: {suite.source} has {suite.note}; give the whole suite, or accept that with --incomplete"
        )
    if lock is not None:
        lock.check(suite.name, Pin(suite.source, suite.revision, len(suite.problems), suite.content))
    return suite if limit is None else replace(suite, problems=suite.problems[:limit])


def _commit(
    name: str, dataset: str, revision: str | None, lock: SuiteLock | None, shipped: str | None = None
) -> str | None:
    """The commit at which a data set of the hub is loaded: that of the lock, else the one that is shipped, else the one
    that its revision means."""
    pinned = lock.revision_of(name) if lock is not None else None
    return pinned or shipped or commit_of(dataset, revision)


def find_suite(name: str) -> NamedSuite:
    """A named suite; `livecodebench:FROM..TO` is that of a window of dates.

    Raises:
        SuiteError: nobody knows it; the message has the nearest name.
    """
    plain, colon, dates = name.partition(":")
    if colon and plain == WINDOWED:
        first, dots, last = dates.partition("..")
        if not dots or not _is_day(first) or not _is_day(last) or first > last:
            raise SuiteError(f"{name}: a window is written as in {WINDOWED}:2024-08-01..2025-02-01")
        return replace(SUITES[plain], name=f"{plain}-{first}-to-{last}", window=(first, last))
    if name not in SUITES:
        near = difflib.get_close_matches(name, SUITES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(SUITES)}, or give a file"
        raise SuiteError(f"{name}: no suite has this name; {hint}")
    return SUITES[name]


def is_downloaded(name: str, data: Path | None) -> bool:
    """Whether a folder of downloaded files has those of a named suite."""
    try:
        return data is not None and bool(_files(find_suite(name), data))
    except SuiteError:
        return False


def _is_day(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == [4, 2, 2] and all(part.isdigit() and part.isascii() for part in parts)


def _named(suite: NamedSuite, data: Path | None, lock: SuiteLock | None) -> Suite:
    if data is None and suite.elsewhere:
        raise SuiteError(
            f"{suite.name}: is on no hub; download {suite.elsewhere} of github.com/{suite.dataset}, and give its "
            "folder with --data"
        )
    commit = _commit(suite.name, suite.dataset, None, lock, suite.revision) if data is None else None
    if data is not None:
        files = _files(suite, data)
        suite = suite.as_released() if suite.released and files[0].stem == suite.released else suite
        source, rows = ", ".join(map(str, files)), rows_of_files(files, suite.form == WINDOWED)
    elif suite.files:
        files = hub_files(suite.name, suite.dataset, suite.files, commit)
        source, rows = suite.dataset, rows_of_files(files, long=True)
    else:
        source = f"{suite.dataset}@{suite.revision or 'main'}"
        rows = rows_of_data_set(suite.name, suite.dataset, suite.subset, suite.split, commit, " with --data")
    problems = tuple(_problems(suite.name, _tasks(suite, rows)))
    return Suite(
        suite.name,
        problems,
        suite.solving,
        source,
        suite.licence,
        suite.problems,
        suite.remark,
        commit,
        RELEASED_WORDING if suite.asks_as_released else NAMED_WORDING,
    )


def _files(suite: NamedSuite, data: Path) -> list[Path]:
    """The files of a named suite below a folder: by its name or an alias, or all in a folder of that name."""
    if not data.is_dir():
        raise SuiteError(f"--data {data}: is no folder; give the one with the files that were downloaded")
    names = (WINDOWED if suite.form == WINDOWED else suite.name, suite.name, *suite.aliases)
    names += (suite.released,) if suite.released else ()
    for folder in (data, *sorted(one for one in data.iterdir() if one.is_dir())):
        for name in names:
            found = [folder / f"{name}{ending}" for ending in ROW_FILES if (folder / f"{name}{ending}").is_file()]
            if found:
                return found[:1]
            inside = folder / name
            if inside.is_dir() and (files := sorted(one for one in inside.iterdir() if is_row_file(one))):
                return [one for one in files if one.name in suite.files] or files
    looked = " or ".join(f"{name}.jsonl" for name in dict.fromkeys(names))
    raise SuiteError(f"{suite.name}: --data {data} has no file {looked} (or .json, .parquet, .csv, .tsv); download it")


def _tasks(suite: NamedSuite, rows: Iterable[Row]) -> Iterator[tuple[str, str, Task]]:
    for number, (where, row) in enumerate(rows):
        if suite.window is not None and not suite.window[0] <= contest_day(where, row) <= suite.window[1]:
            continue
        yield where, id_of(row, number), task_of(where, suite, row)


def _own(settings: UserSuite, lock: SuiteLock | None) -> Suite:
    commit = None
    if settings.file is not None:
        source, rows = settings.file, rows_of_files([Path(settings.file)])
    else:
        name = str(settings.dataset)
        source = f"{name}@{settings.revision or 'main'}, split {settings.split}"
        commit = _commit(settings.name, name, settings.revision, lock)
        revision = commit or settings.revision
        rows = rows_of_data_set(settings.name, name, settings.subset, settings.split, revision)
    solving = ProblemKind(
        verifier=settings.verifier,
        verifier_params=settings.verifier_params,
        solver_template=settings.solver_template,
    )
    tasks = (_own_task(where, number, row, settings) for number, (where, row) in enumerate(rows))
    wording = OWN_WORDING if "solver_template" in settings.model_fields_set else DEFAULT_WORDING
    problems = tuple(_problems(settings.name, tasks))
    return Suite(settings.name, problems, solving, source, "", None, "", commit, wording)


def _own_task(where: str, number: int, row: dict[str, Any], settings: UserSuite) -> tuple[str, str, Task]:
    columns = ", ".join(sorted(map(str, row)))[:200]
    for ours, theirs in settings.fields.items():
        if theirs not in row:
            raise SuiteError(
                f"{where}: has no column `{theirs}`, which the field map has for `{ours}`; it has {columns}"
            )
    named = {str(ours): theirs for ours, theirs in settings.fields.items()}
    # An empty cell of a table is no value.
    known = {name: value for name in TASK_FIELDS if (value := row.get(named.get(name, name))) not in (None, "")}
    if str(settings.file).lower().endswith(TEXT_FILES):
        known = of_texts(where, known, SuiteError)
    if isinstance(known.get("tests"), str):
        known["tests"] = _listed(where, known["tests"])
    task = read_task(known, lambda field, fault: SuiteError(f"{where}: `{field}` {fault}"), settings.verifier == "code")
    if not task.problem.strip():
        raise SuiteError(f"{where}: has no text in `problem`; map it with --fields problem=COLUMN; it has {columns}")
    if task.answer is None and not task.tests and not settings.unlabelled:
        raise SuiteError(
            f"{where}: has neither `answer` nor `tests`; map one with --fields answer=COLUMN, or ask without judging "
            "with --unlabelled"
        )
    own = row.get(named["id"]) if "id" in named else None
    return where, id_of(row, number) if own is None else str(own), task


def _listed(where: str, text: str) -> Any:
    try:
        return json_value(text)
    except ValueError as error:
        raise SuiteError(f"{where}: `tests` {error}") from error


def _problems(name: str, tasks: Iterable[tuple[str, str, Task]]) -> Iterator[Seed]:
    seen: dict[str, str] = {}
    for where, published, task in tasks:
        if published in seen:
            raise SuiteError(f"{where}: bears the id {published!r}, as {seen[published]} does; each problem has one")
        seen[published] = where
        yield Seed(
            id=content_id("suite", name, published, task.problem),
            domain=name,
            split="heldout",
            source=published,
            concepts=(),
            level="",
            rationale="",
            task=task,
            solution="",
            solution_is_right=None,
        )
