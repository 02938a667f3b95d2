"""Every prompt of a run can be looked up, with what became of it and why."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.run.files import RunError
from selfplay.run.records import Prompt
from selfplay.run.tables import RecordError, read_table, write_table
from selfplay.watching.prompts import Fate, fates, find, whole_story
from tests.selfplay.export.conftest import prompt
from tests.selfplay.export.conftest import relabelled as relabelled  # noqa: PLC0414
from tests.selfplay.export.conftest import rounds as rounds  # noqa: PLC0414
from tests.selfplay.export.conftest import run as run  # noqa: PLC0414


def test_every_prompt_has_a_fate(run: Path) -> None:
    found = {fate.id: (fate.stage, fate.dropped) for fate in fates(run)}
    assert found == {
        "p1": ("labelling", ""),
        "p2": ("synthesis", "parse: no problem block"),
        "p3": ("labelling", "label: tie"),
        "p4": ("labelling", ""),
        "p5": ("curation", "near duplicate (of p1)"),
        "p6": ("curation", "judged: format (j gives 1 of 5)"),
        "p7": ("labelling", ""),
    }


@pytest.mark.parametrize(
    ("dropped", "reason", "domain", "expected"),
    [
        (False, "", "", ["p1", "p2", "p3", "p4", "p5", "p6", "p7"]),
        (True, "", "", ["p2", "p3", "p5", "p6"]),
        (False, "near duplicate", "", ["p5"]),
        (True, "judged", "math", ["p6"]),
        (False, "", "code", ["p7"]),
        (True, "no such reason", "", []),
    ],
)
def test_prompts_are_found_by_their_fate(
    run: Path, dropped: bool, reason: str, domain: str, expected: list[str]
) -> None:
    assert [fate.id for fate in find(run, dropped, reason, domain)] == expected


def test_the_whole_story_of_one(run: Path) -> None:
    story = whole_story(run, "p6")
    assert story["problem"] == "What is 6 + 6? “ü”"
    assert story["dropped"].startswith("judged: format")
    assert story["judgements"][0]["reason"] == "it breaks off"
    assert story["label"] is None
    assert whole_story(run, "p1")["label"]["task"]["answer"] == "2"
    with pytest.raises(RunError, match="has no prompt 'p99'"):
        whole_story(run, "p99")


def test_a_run_that_is_half_done(run: Path) -> None:
    (run / "stages/labelling/tasks.parquet").unlink()
    assert {fate.stage for fate in fates(run)} == {"synthesis", "curation"}
    (run / "stages/curation/prompts.parquet").unlink()
    assert next(iter(fates(run))) == Fate("p1", "math", 1, "synthesis", "", prompt(1).problem)
    (run / "stages/synthesis/prompts.parquet").unlink()
    with pytest.raises(RunError, match="has made no prompts yet"):
        list(fates(run))


def test_prompts_of_all_rounds_have_a_fate(rounds: Path) -> None:
    found = {fate.id: (fate.round, fate.stage, fate.dropped) for fate in fates(rounds)}
    assert len(found) == 7 + 5
    assert found["p1"] == (1, "labelling", "")
    assert {key: found[key] for key in ("p11", "p12", "p13", "p14")} == {
        "p11": (2, "labelling_2", ""),
        "p12": (2, "synthesis_2", "parse: no problem block"),
        "p13": (2, "curation_2", "near duplicate (of p1)"),
        "p14": (2, "labelling_2", "label: tie"),
    }
    assert found["p21"] == (10, "synthesis_10", ""), "a round that has just begun, after round 2 and not before it"
    assert [fate.id for fate in fates(rounds)][-1] == "p21"
    assert [fate.id for fate in find(rounds, True, "", "", 2)] == ["p12", "p13", "p14"]
    with pytest.raises(RunError, match=r"--round 3: .* has made no prompts for it; it has for 1, 2, 10"):
        list(fates(rounds, 3))


def test_the_story_of_a_prompt_of_a_later_round(rounds: Path) -> None:
    story = whole_story(rounds, "p11")
    assert (story["round"], story["stage"], story["label"]["task"]["answer"]) == (2, "labelling_2", "22")
    assert whole_story(rounds, "p13")["judgements"][0]["reason"] == "said in round 2"


def test_the_newest_label_counts(relabelled: Path) -> None:
    found = {fate.id: (fate.round, fate.stage, fate.dropped) for fate in fates(relabelled)}
    assert found["p1"] == (1, "relabelling_3", "label: tie")
    assert found["p3"] == (1, "relabelling_3", "")
    assert whole_story(relabelled, "p3")["label"]["task"]["answer"] == "6"
    assert [fate.id for fate in fates(relabelled, 1)] == [f"p{number}" for number in range(1, 8)]


def test_where_nothing_is_found_that_is_said(run: Path) -> None:
    done = CliRunner().invoke(app, ["prompts", str(run), "--reason", "near duplicat of"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "nothing of the kind" in done.stderr


@pytest.mark.parametrize("options", [["--json"], ["--id", "p1"], ["--id", "p1", "--json"], []])
def test_what_a_model_wrote_cannot_steer_the_terminal(run: Path, options: list[str]) -> None:
    hostile = dataclasses.replace(prompt(1), problem="\x9b2J \x1b[2J \x7f \u202e \U000e0001 1\u00d71 “ü” 🙂")
    for stage in ("synthesis", "curation"):
        rows = read_table(run / f"stages/{stage}/prompts.parquet", Prompt)
        write_table(run / f"stages/{stage}/prompts.parquet", Prompt, [hostile, *rows[1:]])
    done = CliRunner().invoke(app, ["prompts", str(run), *options])
    assert done.exit_code == 0
    assert all(character.isprintable() or character == "\n" for character in done.stdout)
    assert "1\u00d71 “ü” 🙂" in done.stdout
    if options:
        rows = [json.loads(done.stdout)] if "--id" in options else [json.loads(done.stdout.splitlines()[0])]
        assert rows[0]["problem"] == hostile.problem


def test_tables_that_do_not_belong_together_are_refused(run: Path) -> None:
    write_table(run / "stages/curation/prompts.parquet", Prompt, [prompt(3), prompt(1)])
    with pytest.raises(RecordError, match="do not belong together"):
        list(fates(run))
