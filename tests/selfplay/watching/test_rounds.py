"""The rounds in which a run made prompts, by its plan and the tables that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfplay.run.files import RunError
from selfplay.run.plan import Kind, PlannedStage, stage_name, write_plan
from selfplay.watching.rounds import prompt_rounds, table_file, table_rows


def a_run(folder: Path, *written: tuple[Kind, int]) -> Path:
    """A run of which these stages have their tables."""
    kinds = (Kind.SYNTHESIS, Kind.CURATION, Kind.LABELLING, Kind.RELABELLING)
    write_plan(folder, [PlannedStage(kind, number) for number in (1, 2, 3) for kind in kinds])
    for kind, number in written:
        name = "prompts" if kind in (Kind.SYNTHESIS, Kind.CURATION) else "tasks"
        file = table_file(folder, stage_name(kind, number), name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return folder


def test_no_round_has_prompts_before_the_first_synthesis_has_ended(tmp_path: Path) -> None:
    assert prompt_rounds(a_run(tmp_path)) == []
    assert prompt_rounds(tmp_path, 2) == []


def test_later_labels_belong_to_the_round_that_made_the_prompts(tmp_path: Path) -> None:
    run = a_run(
        tmp_path,
        *((Kind.SYNTHESIS, 1), (Kind.CURATION, 1), (Kind.LABELLING, 1), (Kind.RELABELLING, 2)),
        *((Kind.SYNTHESIS, 3), (Kind.LABELLING, 3)),
    )
    first, second = prompt_rounds(run)
    assert (first.number, first.synthesis, first.labellings) == (1, "synthesis", ("labelling", "relabelling_2"))
    assert first.labelled == "relabelling_2"
    assert (second.number, second.curation, second.labelled) == (3, "curation_3", "labelling_3")
    assert prompt_rounds(run, 3) == [second]
    with pytest.raises(RunError, match=r"--round 2: .* it has for 1, 3"):
        prompt_rounds(run, 2)


def test_prompts_without_labels_have_none(tmp_path: Path) -> None:
    [only] = prompt_rounds(a_run(tmp_path, (Kind.SYNTHESIS, 1)))
    assert only.labelled is None
    assert list(table_rows(tmp_path / "nowhere.parquet", object)) == []
