"""The closing table's part on the rounds, from the figures that stages left."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from selfplay.config.section import PretrainedModel, ScratchModel
from selfplay.pipeline.rounds_summary import Best, best_policy, link_best, prompt_counts, round_rows, selection_summary
from selfplay.run.plan import Kind
from selfplay.run.results import (
    CurationResult,
    LabellingResult,
    SelectionResult,
    SelfplayResult,
    StageResult,
    SynthesisResult,
)


def stage(kind: Kind, number: int, result: StageResult) -> Any:
    planned = SimpleNamespace(kind=kind, round=number)

    def of(asked: type[StageResult]) -> StageResult:
        assert isinstance(result, asked)
        return result

    return planned, SimpleNamespace(result=of)


def run_at(path: Path, model: Any) -> Any:
    return SimpleNamespace(
        path=path,
        recipe=SimpleNamespace(model=model),
        stage=lambda name: SimpleNamespace(folder=path / "stages" / name),
    )


PRETRAINED = PretrainedModel(kind="pretrained", name="Qwen/Qwen3-4B")
ROUNDS = [
    stage(Kind.SELFPLAY, number, SelfplayResult(prompts=8, sources={}, stopped=stopped))
    for number, stopped in ((1, None), (2, "collapsed"))
]


def selected(number: int, score: float, best: int, stopped: str | None = None) -> Any:
    figures = SelectionResult(score={"round": number, "score": score}, best=best, stopped=stopped)
    return stage(Kind.SELECTION, number, figures)


def test_prompts_are_counted_over_all_rounds_and_by_their_first_labels() -> None:
    stages = [
        stage(Kind.SYNTHESIS, 1, SynthesisResult(made=10, lost={"parse": 2})),
        stage(Kind.CURATION, 1, CurationResult(kept=7, lost={"exact duplicate": 1})),
        stage(Kind.LABELLING, 1, LabellingResult(tasks=5, lost={"tie": 2})),
        stage(Kind.RELABELLING, 2, LabellingResult(tasks=1, lost={"tie": 6})),
        stage(Kind.SYNTHESIS, 2, SynthesisResult(made=4, lost={"parse": 1})),
        stage(Kind.CURATION, 2, CurationResult(kept=3, lost={})),
    ]
    lost = {"parse": 3, "exact duplicate": 1, "tie": 2}
    assert prompt_counts(stages) == {"made": 14, "kept": 8, "lost": lost}
    assert prompt_counts([]) == {"made": 0, "kept": 0, "lost": {}}


def test_each_round_has_a_row() -> None:
    assert round_rows(ROUNDS) == [
        {"round": 1, "prompts": 8, "sources": {}},
        {"round": 2, "prompts": 8, "sources": {}, "stopped": "collapsed"},
    ]


def test_the_best_is_the_last_round_or_the_one_that_was_selected(tmp_path: Path) -> None:
    run = run_at(tmp_path, PRETRAINED)
    assert selection_summary(ROUNDS) is None
    last = tmp_path / "stages/selfplay_2/policy"
    assert best_policy(run, ROUNDS) == Best(2, "being the last", None, str(last))
    assert best_policy(run, []).place == "Qwen/Qwen3-4B"
    chosen = [*ROUNDS, selected(0, 0.4, 0), selected(1, 0.6, 1), selected(2, 0.5, 1, "no better round")]
    found = best_policy(run, chosen)
    assert (found.round, found.score, found.chosen_by) == (1, 0.6, "development problems")
    told = selection_summary(chosen)
    assert told is not None
    assert (told["best"], told["stopped"], len(told["scores"])) == (1, "no better round", 3)
    scratch = run_at(tmp_path, ScratchModel(kind="scratch"))
    assert best_policy(scratch, [selected(0, 0.4, 0)]).place == str(tmp_path / "stages/base/model")


def test_the_link_to_the_best_moves_with_the_run(tmp_path: Path) -> None:
    run, first, second = run_at(tmp_path / "run", PRETRAINED), *(tmp_path / "run" / name for name in ("one", "two"))
    first.mkdir(parents=True)
    second.mkdir()
    link_best(run, Best(1, "", None, str(first)))
    link_best(run, Best(2, "", None, str(second)))
    (tmp_path / "run").rename(tmp_path / "moved")
    assert (tmp_path / "moved/best").resolve() == tmp_path / "moved/two"
    assert os.readlink(tmp_path / "moved/best") == "two"


def test_the_link_leads_nowhere_else_and_replaces_nothing_of_a_person(tmp_path: Path) -> None:
    run, outside = run_at(tmp_path / "run", PRETRAINED), tmp_path / "outside"
    (tmp_path / "run/policy").mkdir(parents=True)
    outside.mkdir()
    for place in ("Qwen/Qwen3-4B", str(outside)):
        link_best(run, Best(0, "", None, place))
        assert not os.path.lexists(tmp_path / "run/best")
    (tmp_path / "run/best").write_text("mine")
    link_best(run, Best(1, "", None, str(tmp_path / "run/policy")))
    assert (tmp_path / "run/best").read_text() == "mine"
