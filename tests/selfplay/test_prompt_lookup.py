"""Every prompt of a run can be looked up, with what became of it and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfplay.prompt_lookup import Fate, fates, find, whole_story
from selfplay.records import Prompt, RecordError, write_table
from selfplay.run import RunError
from tests.selfplay.export.conftest import prompt
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
    assert whole_story(run, "p1")["label"]["answer"] == "2"
    with pytest.raises(RunError, match="has no prompt 'p99'"):
        whole_story(run, "p99")


def test_a_run_that_is_half_done(run: Path) -> None:
    (run / "stages/labelling/tasks.parquet").unlink()
    assert {fate.stage for fate in fates(run)} == {"synthesis", "curation"}
    (run / "stages/curation/prompts.parquet").unlink()
    assert next(iter(fates(run))) == Fate("p1", "math", "synthesis", "", prompt(1).problem)
    (run / "stages/synthesis/prompts.parquet").unlink()
    with pytest.raises(RunError, match="has made no prompts yet"):
        list(fates(run))


def test_tables_that_do_not_belong_together_are_refused(run: Path) -> None:
    write_table(run / "stages/curation/prompts.parquet", Prompt, [prompt(3), prompt(1)])
    with pytest.raises(RecordError, match="do not belong together"):
        list(fates(run))
