"""A run writes below its own directory alone: whatever names a recipe gives, whatever links lie in the directory."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from selfplay.config.recipe import Recipe
from selfplay.report.page import write_report
from selfplay.run.directory import RunDirectory, Stage
from selfplay.run.files import RunError
from selfplay.run.place import inside, refuse_ways_out
from selfplay.run.records import Seed
from selfplay.tracking.artifacts import of_stage
from selfplay.tracking.mirror import sync
from selfplay.tracking.tracker import Tracker

ENGINE = {"kind": "local", "name": "x/y"}
SETTINGS: dict[str, Any] = {
    "name": "r",
    "model": {"kind": "scratch"},
    "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
    "cold_start": {"annotators": {"math": {"engine": ENGINE}}},
    "curation": {
        "judging": {"judges": {"math": {"engine": ENGINE}}},
        "solving": {"solvers": {"math": {"engine": ENGINE, "samples": 2}}},
        "benchmarks": {"math": {"kind": "dataset", "name": "x/y"}},
    },
    "labelling": {"labellers": {"math": {"samples": 4}}},
    "tracking": {"trackio": "math", "wandb": {"mode": "disabled"}},
}
NAMED = (
    *("name", "domains", "cold_start.annotators", "curation.judging.judges", "curation.solving.solvers"),
    *("curation.benchmarks", "labelling.labellers", "tracking.trackio"),
)
PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PARTS = st.sampled_from(
    ["..", "/", "\\", ".", "~", "\0", "\n", "a", "Z9", "-", "_", "%2e", "é", " ", "$HOME", "x" * 70]
)
HOSTILE = st.lists(PARTS, max_size=8).map("".join) | st.text(max_size=12)


def named(field: str, name: str) -> dict[str, Any]:
    """The settings with the name in that field, as a key where the field holds a mapping."""
    found = copy.deepcopy(SETTINGS)
    *way, last = field.split(".")
    at = found
    for key in way:
        at = at[key]
    at[last] = {name: at[last]["math"]} if isinstance(at[last], dict) else name
    return found


@pytest.mark.parametrize("field", NAMED)
@settings(max_examples=100)
@given(name=HOSTILE)
def test_names_that_become_files_follow_the_pattern_of_names(field: str, name: str) -> None:
    try:
        Recipe.model_validate(named(field, name))
    except ValidationError:
        assert not PATTERN.fullmatch(name)
    else:
        assert PATTERN.fullmatch(name)


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=HOSTILE)
def test_whatever_a_table_or_stage_is_called_it_lies_in_the_run(tmp_path: Path, name: str) -> None:
    run = RunDirectory(tmp_path / "a" / "run", Recipe.model_validate(SETTINGS))
    for write in (
        lambda: run.stage(name).write("rows", Seed, []),
        lambda: Stage(run, "seeds").write(name, Seed, []),
        lambda: inside(run.path, name).relative_to(run.path),
        lambda: of_stage(run.path, name, "seeds", SETTINGS | {"seed": 0}, {}),
    ):
        try:
            write()
        except RunError as error:
            assert "\n" not in str(error)  # noqa: PT017
    assert all(path.is_relative_to(run.path) for path in files(tmp_path))


def test_tables_of_metrics_lie_in_the_run(tmp_path: Path) -> None:
    with Tracker(
        tmp_path / "run", Recipe.model_validate(SETTINGS | {"tracking": {"wandb": {"mode": "disabled"}}})
    ) as one:
        for name in ("../../x", "/x", "..", "", "a/b", "a\0b"):
            one.table(name, ["a"], [[1]])
    assert all(path.is_relative_to(tmp_path / "run") for path in files(tmp_path))


@pytest.mark.parametrize(
    "link",
    ["stages", "store", "lock", "metrics.jsonl", "stages/seeds", "store/shards/aa", "tables", "wandb", "recipe.json"],
)
def test_links_that_lead_out_are_refused(tmp_path: Path, link: str) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    outside.mkdir()
    (run / link).parent.mkdir(parents=True, exist_ok=True)
    (run / link).symlink_to(outside / "new" if "." in link or link == "lock" else outside)
    with (
        pytest.raises(RunError, match=f"{link}: leads out of"),
        RunDirectory.open(run, Recipe.model_validate(SETTINGS)),
    ):
        pass
    with pytest.raises(RunError, match=f"{link}: leads out of"):
        sync(run)
    assert not list(outside.iterdir())


def test_links_that_stay_inside_are_taken(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "wandb" / "run-1").mkdir(parents=True)
    (run / "wandb" / "latest-run").symlink_to("run-1")
    (run / "best").symlink_to(tmp_path)
    (tmp_path / "by-link").symlink_to(run)
    for way in (run, tmp_path / "by-link"):
        with RunDirectory.open(way, Recipe.model_validate(SETTINGS)) as opened:
            opened.stage("seeds").write("rows", Seed, [])


def test_a_run_may_be_moved_with_what_wandb_left(tmp_path: Path) -> None:
    """Its own link to a session's log names the place where the run was; no other link may do that."""
    logs = tmp_path / "run" / "wandb" / "offline-run-1" / "logs"
    logs.mkdir(parents=True)
    (logs / "debug-core.log").symlink_to(tmp_path / "before" / "debug-core.log")
    refuse_ways_out(tmp_path / "run")
    (logs / "debug.log").symlink_to(tmp_path / "before" / "debug.log")
    with pytest.raises(RunError, match="leads out of"):
        refuse_ways_out(tmp_path / "run")


def test_a_link_in_a_run_that_is_reused_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    with RunDirectory.open(theirs, Recipe.model_validate(SETTINGS)) as run:
        stage = run.stage("seeds")
        stage.write("rows", Seed, [])
        (stage.folder / "manifest.json").write_text('{"inputs": "k", "seconds": 1.0, "counts": {}}')
    (theirs / "stages" / "seeds" / "secret").symlink_to("/etc/passwd")
    ours = RunDirectory(tmp_path / "ours", Recipe.model_validate(SETTINGS), reuse=theirs)
    with pytest.raises(RunError, match="secret: leads out of"):
        ours.take_over(ours.stage("seeds"), "k")


def test_a_report_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "report.html").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="leads out of"):
        write_report(tmp_path / "run")


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a").symlink_to("b")
    (tmp_path / "run" / "b").symlink_to("a")
    with (
        pytest.raises(RunError, match="leads out of"),
        RunDirectory.open(tmp_path / "run", Recipe.model_validate(SETTINGS)),
    ):
        pass


def test_a_name_with_half_a_character_is_no_name(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no name"):
        inside(tmp_path, "\ud800")
