"""The run directory: done once, continued, guarded."""

from __future__ import annotations

import math
import multiprocessing
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import selfplay
from selfplay.config.recipe import Recipe
from selfplay.run.directory import RunDirectory, read_recipe, read_run
from selfplay.run.files import RunError, read_json, repair_lines, write_json, write_text
from selfplay.run.results import SeedsResult


def recipe(**changes: Any) -> Recipe:
    base: dict[str, Any] = {
        "name": "r",
        "model": {"kind": "scratch"},
        "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
    }
    return Recipe.model_validate(base | changes)


def test_changed_settings_are_listed(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path / "r", recipe()) as run:
        assert run.changed_settings() == []
        run.claim([])
    with RunDirectory.open(tmp_path / "r", recipe(seed=5)) as run:
        assert run.changed_settings() == ["seed: 0 -> 5"]


def test_a_directory_that_was_never_claimed_takes_any_recipe(tmp_path: Path) -> None:
    """Settings that the preflight refused must not stand in the way of the corrected ones."""
    with RunDirectory.open(tmp_path / "r", recipe()):
        pass
    with RunDirectory.open(tmp_path / "r", recipe(seed=5)) as run:
        assert run.recipe.seed == 5


def test_compute_and_tracking_may_change(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path / "r", recipe()) as run:
        run.claim([])
    changed = recipe(compute={"workers": 1}, tracking={"wandb": {"mode": "disabled"}})
    with RunDirectory.open(tmp_path / "r", changed) as run:
        assert run.recipe.compute.workers == 1
        assert run.changed_settings() == []


def _hold(path: Path, held: Any, release: Any) -> None:
    with RunDirectory.open(path, recipe()):
        held.set()
        release.wait(30)


def test_two_processes_cannot_run_one_directory(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "r", held, release))
    process.start()
    try:
        assert held.wait(30)
        with (
            pytest.raises(RunError, match="another process is running it"),
            RunDirectory.open(tmp_path / "r", recipe()),
        ):
            pass
    finally:
        release.set()
        process.join()


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run directory"):
        read_run(tmp_path)


def test_a_run_that_is_still_being_checked_is_not_called_no_run(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path / "r", recipe()), pytest.raises(RunError, match="has not begun yet"):
        read_run(tmp_path / "r")


def test_the_recipe_of_other_code_is_refused_with_what_is_unknown(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path / "r", recipe()) as run:
        run.claim([])
    assert read_recipe(tmp_path / "r") == recipe()
    file = tmp_path / "r" / "recipe.json"
    file.write_text(file.read_text().replace('"seed":', '"sead":'))
    with pytest.raises(RunError, match=r"recipe.json: another version .*sead"):
        read_recipe(tmp_path / "r")


def test_a_stage_that_is_done_says_what_it_was_made_of(tmp_path: Path) -> None:
    stage = RunDirectory(tmp_path, recipe()).stage("seeds")
    result = SeedsResult(problems={"math-train": 3})
    assert not stage.done
    stage.finish(1.23456, "key", "files", result, {"model": "print"}, {"torch": "2"})
    assert stage.done
    assert stage.manifest == {
        "stage": "seeds",
        "seconds": 1.235,
        "inputs": "key",
        "contents": "files",
        "code_version": selfplay.__version__,
        "models": {"model": "print"},
        "versions": {"torch": "2"},
        "counts": {"problems": {"math-train": 3}},
    }
    assert stage.result(SeedsResult) == result


def test_only_a_stage_of_the_same_name_and_key_is_taken_over(tmp_path: Path) -> None:
    theirs = RunDirectory(tmp_path / "theirs", recipe())
    theirs.stage("seeds").finish(1.0, "key", "", SeedsResult(problems={}))
    alone = RunDirectory(tmp_path / "alone", recipe())
    assert not alone.take_over(alone.stage("seeds"), "key")
    ours = RunDirectory(tmp_path / "ours", recipe(), reuse=theirs.path)
    assert not ours.take_over(ours.stage("seeds"), "another key")
    assert not ours.take_over(ours.stage("base"), "key")
    assert not ours.stage("seeds").done
    assert ours.take_over(ours.stage("seeds"), "key")
    assert ours.stage("seeds").manifest == theirs.stage("seeds").manifest


def test_json_is_written_in_order_and_without_what_it_lacks(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [math.inf, 1.5], "a": math.nan})
    assert (tmp_path / "a.json").read_text() == '{\n "a": null,\n "b": [\n  null,\n  1.5\n ]\n}\n'


def test_damaged_json_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text('{"a": ')
    with pytest.raises(RunError, match="is damaged"):
        read_json(file)


@pytest.mark.parametrize(("before", "after"), [(b"", b""), (b"a\nb\n", b"a\nb\n"), (b"a\nb", b"a\n"), (b"ab", b"")])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, before: bytes, after: bytes) -> None:
    file = tmp_path / "log.jsonl"
    file.write_bytes(before)
    repair_lines(file)
    assert file.read_bytes() == after


@pytest.mark.parametrize("torn", [0, 3_000_000])
def test_a_last_line_is_cut_off_without_reading_a_long_file_whole(tmp_path: Path, torn: int) -> None:
    file = tmp_path / "rollouts-0.jsonl"
    whole = (b"x" * 999 + b"\n") * 20_000
    file.write_bytes(whole + b"x" * torn)
    tracemalloc.start()
    repair_lines(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
    assert file.read_bytes() == whole


def test_two_processes_may_write_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the report, by the run at its end and by who looks on."""
    file = tmp_path / "report.html"
    other = (
        "import sys; from pathlib import Path; from selfplay.run.files import write_text\n"
        "write_text(Path(sys.argv[1]), '2')"
    )
    monkeypatch.setattr(
        "selfplay.run.files.os.fsync", lambda _: subprocess.run([sys.executable, "-c", other, str(file)], check=True)
    )
    write_text(file, "1")
    assert file.read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
