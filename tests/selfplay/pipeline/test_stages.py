"""The table of stages: what each entry may read, and what a change of settings costs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.recipe import Recipe
from selfplay.pipeline.extension import Extension
from selfplay.pipeline.stage_runner import StageRunner
from selfplay.pipeline.stages import planned, stage_table
from selfplay.run.directory import RunDirectory
from selfplay.run.files import RunError
from selfplay.run.plan import Kind, PlannedStage, read_plan
from selfplay.run.results import SeedsResult, StageResult
from selfplay.stage.recipe_view import UndeclaredSetting, restricted
from selfplay.stage.spec import StageSpec, StageWork, all_sections, by_name, stage_key


def recipe(**changes: Any) -> Recipe:
    seeds = {"kind": "quickstart", "grammar": "math", "dev": 10}
    base: dict[str, Any] = {"name": "r", "model": {"kind": "scratch"}, "domains": {"math": {"seeds": seeds}}}
    return Recipe.model_validate(base | changes)


WHOLE = recipe(
    training={"rounds": 3, "pool": {"arm": "mixed", "each_round": "resynthesise"}, "selection": {}},
    synthesis={"feedback": {}},
    cold_start={
        "annotators": {
            "a": {"engine": {"kind": "openai", "model": "m", "endpoint": {"base_url": "http://127.0.0.1:1/v1"}}}
        }
    },
)
RECIPES = {
    "plain": recipe(),
    "whole": WHOLE,
    "relabelled": recipe(training={"rounds": 3}, labelling={"relabelling": {}}),
    "labelled anew": recipe(training={"rounds": 3, "pool": {"each_round": "relabel"}}),
    "external": recipe(training={"pool": {"arm": "external"}}),
}


ROUND = "selfplay_{0} evaluation_{0}"
PROMPTS = "seeds base cold_start em_1 em_2 em_3 synthesis curation labelling evaluation_0"
ORDERS = {
    "plain": [PROMPTS, ROUND.format(1), ROUND.format(2)],
    "relabelled": [PROMPTS, ROUND.format(1), *(f"relabelling_{n} {ROUND.format(n)}" for n in (2, 3))],
    "labelled anew": [PROMPTS, ROUND.format(1), *(f"labelling_{n} {ROUND.format(n)}" for n in (2, 3))],
    "external": ["seeds base evaluation_0", ROUND.format(1), ROUND.format(2)],
    "whole": [
        PROMPTS.replace("seeds", "seeds annotation"),
        f"selection_0 {ROUND.format(1)} selection_1",
        *(f"feedback_{n} synthesis_{n} curation_{n} labelling_{n} {ROUND.format(n)} selection_{n}" for n in (2, 3)),
    ],
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_order_of_stages(name: str) -> None:
    assert " ".join(stage_table(RECIPES[name])) == " ".join(ORDERS[name])


@pytest.mark.parametrize("name", RECIPES)
def test_every_input_comes_before_the_stage_that_reads_it(name: str) -> None:
    table = stage_table(RECIPES[name])
    seen: set[str] = set()
    for spec in table.values():
        assert set(spec.inputs) <= seen, spec.name
        assert spec.planned.line
        seen.add(spec.name)


@pytest.mark.parametrize("name", RECIPES)
def test_every_section_is_a_setting(name: str) -> None:
    for spec in stage_table(RECIPES[name]).values():
        for section in spec.sections:
            at: Any = RECIPES[name]
            for part in section.split("."):
                assert at is None or part in type(at).model_fields, f"{spec.name}: {section}"
                at = None if at is None else getattr(at, part)


def test_the_plan_is_kept_in_the_run_directory(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path, WHOLE) as run:
        run.claim(planned(stage_table(WHOLE)).stages)
    assert list(read_plan(tmp_path)) == list(planned(stage_table(WHOLE)))


def keys(settings: Recipe) -> dict[str, str]:
    """The key of every stage."""
    plain = settings.model_dump(mode="json")
    found: dict[str, str] = {}
    for spec in stage_table(settings).values():
        found[spec.name] = stage_key(spec, plain, "", found)
    return found


@pytest.mark.parametrize(
    ("changed", "concerned"),
    [
        ({"evaluation": {"samples": 9}}, {"evaluation"}),
        ({"training": {"dpo": {"rollouts": 3}}}, set()),
        ({"training": {"rounds": 4}}, set()),
        ({"training": {"selection": {"patience": 2}}}, {"selection"}),
        ({"training": {"grpo": {"prompts": 3}}}, {"selfplay", "evaluation"}),
        ({"labelling": {"sharpness": 2.0}}, {"labelling", "selfplay", "evaluation"}),
        ({"curation": {"min_words": 3}}, {"curation", "labelling", "selfplay", "evaluation"}),
        (
            {"em": {"rounds": 3, "candidates": 2}},
            {"em", "synthesis", "curation", "labelling", "selfplay", "evaluation"},
        ),
    ],
    ids=["evaluation", "another rule", "rounds", "selection", "the rule", "labelling", "curation", "em"],
)
def test_a_setting_concerns_the_stages_that_read_it_and_what_is_made_of_them(
    changed: dict[str, Any], concerned: set[str]
) -> None:
    before, after = keys(recipe()), keys(recipe(**changed))
    table = stage_table(recipe())
    differ = {str(table[name].kind) for name in before.keys() & after.keys() if before[name] != after[name]}
    assert differ - {"selection"} == concerned - {"selection"}


def test_a_setting_that_is_not_named_cannot_be_read() -> None:
    view = restricted(recipe(), "em_1", {"em.candidates", "training.grpo"})
    assert view.em.candidates == 8
    assert view.training.grpo.top_up == 0.0
    assert view.seed == 0
    for read in (
        lambda: view.em.rounds,
        lambda: view.labelling,
        lambda: view.training.rule_args,
        lambda: view.em.decides,
    ):
        with pytest.raises(UndeclaredSetting, match="the stage em_1 reads"):
            read()


def test_a_property_sees_what_its_section_may_show() -> None:
    view = restricted(recipe(), "x", {"training.algorithm", "training.grpo"})
    assert view.training.rule_args == {}
    assert view.training.needs_labels


def test_a_teacher_from_scratch_is_told_of_by_what_its_stage_may_read() -> None:
    teacher = {"engine": {"kind": "scratch", "hidden_size": 64}}
    given = recipe(training={"algorithm": "sft", "sft": {"teacher": teacher}})
    spec = stage_table(given)["teacher"]
    assert restricted(given, spec.name, spec.sections).training.scratch_teacher == given.training.scratch_teacher


class Quiet:
    """Hears of stages."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def stage(self, name: str, index: int, total: int, done: bool) -> None:
        """Nothing to note."""

    def note(self, text: str) -> None:
        self.notes.append(text)


class Means:
    """A run without models."""

    def __init__(self, run: RunDirectory) -> None:
        self.run, self.recipe, self.listener = run, run.recipe, Quiet()
        self.clock: Any = self

    def mark(self, name: str) -> None:
        """No time is kept."""

    def skip(self) -> None:
        """No time is kept."""

    def end_stage(self) -> None:
        """No memory is given back."""

    def of_stage(self, own: Recipe, sections: Any) -> Means:
        """The same, with the settings of a stage."""
        means = Means(self.run)
        means.recipe = own
        return means


def table_of(calls: list[str], fail: str = "") -> dict[str, StageSpec]:
    """Two stages, the second made of the first."""

    def work(this: StageWork) -> StageResult:
        calls.append(this.spec.name)
        assert sorted(this.inputs) == sorted(this.spec.inputs)
        if this.spec.name == fail:
            raise RuntimeError("cut off")
        (this.stage.folder / "out.txt").write_text("made")
        return SeedsResult(problems={"math": 1})

    first = StageSpec(PlannedStage(Kind.SEEDS), ("domains",), (), work, SeedsResult)
    second = StageSpec(PlannedStage(Kind.BASE), ("training",), ("seeds",), work, SeedsResult)
    third = StageSpec(PlannedStage(Kind.EVALUATION), ("evaluation",), ("base",), work, SeedsResult)
    return by_name([first, second, third])


def run_all(path: Path, settings: Recipe, table: dict[str, StageSpec], reuse: Path | None = None) -> list[str]:
    """Runs a table; returns what a person was told."""
    with RunDirectory.open(path, settings, reuse) as run:
        extension = Extension(run, table)
        extension.begin()
        run.claim(planned(table).stages)
        means: Any = Means(run)
        runner = StageRunner(means, table, None)
        for spec in table.values():
            assert runner.run_stage(spec) == SeedsResult(problems={"math": 1})
        return list(means.listener.notes)


def test_a_stage_runs_once(tmp_path: Path) -> None:
    calls: list[str] = []
    for _ in range(2):
        run_all(tmp_path, recipe(), table_of(calls))
    assert calls == ["seeds", "base", "evaluation_0"]


def test_a_stage_that_failed_runs_again(tmp_path: Path) -> None:
    calls: list[str] = []
    with pytest.raises(RuntimeError):
        run_all(tmp_path, recipe(), table_of([], fail="base"))
    run_all(tmp_path, recipe(), table_of(calls))
    assert calls == ["base", "evaluation_0"]


def test_stages_are_taken_over_where_settings_and_inputs_agree(tmp_path: Path) -> None:
    calls: list[str] = []
    run_all(tmp_path / "a", recipe(), table_of(calls))
    calls.clear()
    notes = run_all(tmp_path / "b", recipe(training={"algorithm": "dpo"}), table_of(calls), tmp_path / "a")
    assert calls == ["base", "evaluation_0"], "the evaluation is made of another model"
    assert notes == ["seeds: taken over from the run that --reuse names"]
    assert (tmp_path / "b/stages/seeds/out.txt").read_text() == "made"
    calls.clear()
    run_all(tmp_path / "c", recipe(seed=1), table_of(calls), tmp_path / "a")
    assert calls == ["seeds", "base", "evaluation_0"]


def test_evaluations_alone_are_made_again_where_only_they_are_concerned(tmp_path: Path) -> None:
    calls: list[str] = []
    run_all(tmp_path, recipe(), table_of(calls))
    calls.clear()
    run_all(tmp_path, recipe(evaluation={"samples": 9}), table_of(calls))
    assert calls == ["evaluation_0"]


def test_other_changes_are_refused_with_the_difference_and_the_remedy(tmp_path: Path) -> None:
    run_all(tmp_path, recipe(), table_of([]))
    with pytest.raises(RunError, match=r"(?s)stages \(base\).*--reuse.*training.algorithm: \S*grpo\S* -> \S*dpo"):
        run_all(tmp_path, recipe(training={"algorithm": "dpo"}), table_of([]))
    assert (tmp_path / "stages/evaluation_0/manifest.json").exists(), "nothing is removed by what is refused"


@pytest.mark.parametrize(("fail", "done"), [("seeds", "no stage"), ("base", "nothing but the seeds")])
def test_after_a_first_attempt_that_failed_a_mended_recipe_goes_on(tmp_path: Path, fail: str, done: str) -> None:
    """In one line, since nothing is lost; while the settings stay nothing is said, and what is done stays."""
    with pytest.raises(RuntimeError):
        run_all(tmp_path, recipe(), table_of([], fail=fail))
    mended = recipe(seed=1)
    with RunDirectory.open(tmp_path, recipe()) as same:
        unchanged = Extension(same, table_of([]))
    assert (unchanged.note, unchanged.again) == ("", [])
    with RunDirectory.open(tmp_path, mended) as run:
        note = Extension(run, table_of([])).note
    with RunDirectory.open(tmp_path, recipe(training={"algorithm": "dpo"})) as of_another_rule:
        assert Extension(of_another_rule, table_of([])).note.split("; ")[0].endswith(f"finished {done}"), "seeds stay"
    assert note.startswith(f"{tmp_path}: an earlier attempt finished {done}")
    assert note.endswith("begins anew with the recipe as it is")
    calls: list[str] = []
    run_all(tmp_path, mended, table_of(calls))
    assert calls == ["seeds", "base", "evaluation_0"]


def test_seeds_whose_file_was_mended_are_read_again_while_nothing_was_made_of_them(tmp_path: Path) -> None:
    def table(content: str, fail: str = "") -> dict[str, StageSpec]:
        specs = table_of(calls, fail)
        return specs | {"seeds": dataclasses.replace(specs["seeds"], contents=lambda: content)}

    calls: list[str] = []
    with pytest.raises(RuntimeError):
        run_all(tmp_path, recipe(), table("a typo", fail="base"))
    run_all(tmp_path, recipe(), table("mended"))
    assert calls == ["seeds", "base", "seeds", "base", "evaluation_0"]


def test_half_done_work_of_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        run_all(tmp_path, recipe(), table_of([], fail="base"))
    (tmp_path / "stages/base/half").touch()
    with pytest.raises(RuntimeError):
        run_all(tmp_path, recipe(), table_of([], fail="base"))
    assert (tmp_path / "stages/base/half").exists()
    run_all(tmp_path, recipe(training={"algorithm": "dpo"}), table_of([]))
    assert not (tmp_path / "stages/base/half").exists()


def test_a_run_of_an_earlier_version_is_refused_in_one_sentence(tmp_path: Path) -> None:
    run_all(tmp_path, recipe(), table_of([]))
    (tmp_path / "plan.json").unlink()
    with pytest.raises(RunError, match=r"has no plan.json, so an earlier version of promptcot made it"):
        run_all(tmp_path, recipe(), table_of([]))


def test_sections_of_inputs_may_be_read(tmp_path: Path) -> None:
    table = stage_table(recipe())
    assert {"domains", "model", "engine", "training.grpo", "evaluation"} <= all_sections(table["evaluation_1"], table)
    assert "evaluation" not in all_sections(table["selfplay_1"], table)
