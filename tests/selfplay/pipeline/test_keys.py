"""Every setting of a recipe, changed one by one: the keys that change are those of the stages that can read it."""

from __future__ import annotations

import ast
import copy
import functools
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from selfplay.config.load import deciding
from selfplay.config.recipe import Recipe
from selfplay.pipeline.stage_runner import StageRunner
from selfplay.pipeline.stages import stage_table
from selfplay.rollouts.judge import Judge
from selfplay.run.directory import RunDirectory
from selfplay.run.files import write_json
from selfplay.run.plan import Kind, PlannedStage
from selfplay.run.results import ScratchResult
from selfplay.stage.recipe_view import ALWAYS, UndeclaredSetting, covers, restricted
from selfplay.stage.spec import StageSpec, StageWork, all_sections, stage_key
from tests.selfplay.pipeline.test_stages import RECIPES, recipe
from verifiers import registry

ROOT = Path(__file__).parents[3]
LOCAL = {"kind": "local", "name": "me/other"}
SOLVING = {"solvers": {"a": {"engine": LOCAL, "samples": 2}}}
SCRATCH_TEACHER = {"engine": {"kind": "scratch"}, "sampling": {}, "traces": 2}
ALL = RECIPES | {
    rule: recipe(training={"algorithm": rule, "rounds": 2, "selection": {}}) for rule in ("dpo", "rft", "continued_sft")
}
ALL |= {
    "teacher": recipe(training={"algorithm": "sft", "sft": {"teacher": SCRATCH_TEACHER, "answers": "labels"}}),
    "every engine": recipe(
        generator={"kind": "pretrained", "name": "me/big"},
        engine={"kind": "vllm", "supervision": {}},
        em={"stop": {}, "guards": {"max_repetition": 0.5}},
        cold_start={"annotators": {"a": {"engine": LOCAL}}, "annotation": {"scorer": LOCAL}},
        synthesis={"generator": LOCAL, "embeddings": {"model": "me/embeds"}, "coverage": {}},
        curation={
            "judging": {"judges": {"a": {"engine": LOCAL}}},
            "solving": SOLVING,
        },
        labelling={"labellers": {"a": {"engine": LOCAL}}, "relabelling": {}},
    ),
}
NO_PART = {"name", "training.rounds", "hooks.stages"}  # the last is empty here: its stages have keys of their own
"""The name, and how many rounds there are: each stage is what it would be in a longer run."""


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """The settings below a value, by their paths."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{at}.{key}" if at else key)
    else:
        yield at, value


def other(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, list):
        return [*value, "x"]
    return {"x": 1} if value == {} else "x"


def changed(settings: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The settings with another value at a path; names of domains and engines have no dots."""
    found = copy.deepcopy(settings)
    at = found
    *above, last = path.split(".")
    for key in above:
        at = at[key]
    at[last] = value
    return found


def keys(table: dict[str, StageSpec], settings: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for spec in table.values():
        found[spec.name] = stage_key(spec, settings, "", found)
    return found


@pytest.mark.parametrize("name", ALL)
def test_a_setting_changes_the_keys_of_the_stages_that_can_read_it_and_no_others(name: str) -> None:
    table = stage_table(ALL[name])
    readable = {stage: all_sections(spec, table) for stage, spec in table.items()}
    settings = deciding(ALL[name].model_dump(mode="json"))
    before = keys(table, settings)
    for path, value in leaves(settings):
        after = keys(table, changed(settings, path, other(value)))
        differ = {stage for stage in table if after[stage] != before[stage]}
        can_read = {stage for stage in table if path == "seed" or covers(readable[stage], path)}
        assert differ == can_read, path


def test_no_setting_is_read_by_nobody() -> None:
    """Over recipes that use everything: what no stage depends on would never be missed when it is forgotten."""
    covered, known = set(), set()
    for one in ALL.values():
        table = stage_table(one)
        for path, _ in leaves(deciding(one.model_dump(mode="json"))):
            known.add(path)
            if path == "seed" or any(covers(all_sections(spec, table), path) for spec in table.values()):
                covered.add(path)
    empty = {path for path in known if any(other.startswith(f"{path}.") for other in covered)}
    assert known - covered - empty == NO_PART


@pytest.mark.parametrize("name", ["whole", "external"])
def test_what_the_table_hands_to_a_stage_is_in_its_key(name: str) -> None:
    """Its work may come with arguments that the table found in the whole recipe."""
    whole = ALL[name].model_dump(mode="json")
    table, before = stage_table(ALL[name]), keys(stage_table(ALL[name]), deciding(whole))
    for path, value in leaves(deciding(whole)):
        settings = changed(whole, path, other(value))
        try:
            one = Recipe.model_validate(settings)
        except ValidationError:
            continue
        anew = stage_table(one)
        after = keys(anew, deciding(one.model_dump(mode="json")))
        for stage in table.keys() & anew.keys():
            if arguments(table[stage]) != arguments(anew[stage]) or table[stage].sections != anew[stage].sections:
                assert after[stage] != before[stage], f"{path}: {stage}"


def arguments(spec: StageSpec) -> Any:
    return spec.run.keywords if isinstance(spec.run, functools.partial) else None


def test_the_view_of_a_stage_shows_no_more_by_the_methods_of_a_section() -> None:
    view = restricted(recipe(), "x", {"training.algorithm"})
    for method in ("model_dump", "model_dump_json", "model_copy", "dict", "json", "copy", "__dict__"):
        with pytest.raises(UndeclaredSetting, match="shows all settings"):
            getattr(view.training, method)
    assert recipe().model_dump()["em"]["rounds"], "the recipe itself is as it was"


def test_stages_see_no_recipe_but_their_own_view() -> None:
    """`context.run` leads to the whole recipe; what works within a stage must not go that way."""
    rooms = ("seeds", "concepts", "curation", "synthesis", "labelling", "training", "evaluation", "rollouts")
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for room in rooms
        for file in sorted((ROOT / "selfplay" / room).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in ("recipe", "settings")
        and isinstance(node.value, ast.Attribute | ast.Name)
        and (node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id) == "run"
    ]
    assert found == []


def test_what_every_stage_may_read_decides_no_result() -> None:
    assert set(ALWAYS) == {"name", "seed", "compute", "tracking"}


@pytest.mark.parametrize(("section", "again"), [("sandbox", True), ("engine", False)])
def test_what_another_verifier_judged_is_not_reused(section: str, again: bool, tmp_path: Path) -> None:
    """Such as a plug-in whose file was edited: its name, which the recipe has, stays. What judges nothing is reused."""
    made: list[str] = []

    def run(name: str, fingerprint: str) -> None:
        with RunDirectory.open(tmp_path / name, recipe(), tmp_path / "first") as own:
            verifiers = {"math": SimpleNamespace(name="mine:check", fingerprint=fingerprint)}
            context: Any = SimpleNamespace(run=own, recipe=own.recipe)
            context.listener = SimpleNamespace(stage=lambda *_: None, note=lambda *_: None)
            context.clock = SimpleNamespace(mark=lambda *_: None)
            context.end_stage, context.of_stage = lambda: None, lambda *_: context
            context.judge = SimpleNamespace(fingerprints=Judge.fingerprints.fget(SimpleNamespace(verifiers=verifiers)))  # type: ignore[attr-defined]
            spec = StageSpec(PlannedStage(Kind.OWN), (section,), (), lambda _: work(name), ScratchResult)
            StageRunner(context, {spec.name: spec}, None).run_stage(spec)

    def work(name: str) -> ScratchResult:
        made.append(name)
        return ScratchResult(trained=0)

    run("first", "mine:check/1")
    run("same", "mine:check/1")
    run("edited", "mine:check/2")
    assert made == (["first", "edited"] if again else ["first"])


@pytest.mark.parametrize(("trained_by", "says"), [(1, True), (2, False), (None, False)])
def test_a_stage_that_another_number_of_workers_trained_is_taken_over_and_told(
    trained_by: int | None, says: bool, tmp_path: Path
) -> None:
    """The global batch, which is theirs together, was another; the key has no setting of the machine."""
    notes: list[str] = []

    def work(this: StageWork) -> ScratchResult:
        (this.stage.folder / "policy-training").mkdir()
        write_json(this.stage.folder / "policy-training" / "workers.json", {"workers": trained_by})
        return ScratchResult(trained=0)

    for name in ("first", "second"):
        with RunDirectory.open(tmp_path / name, recipe(), tmp_path / "first") as own:
            context: Any = SimpleNamespace(run=own, recipe=own.recipe, workers=SimpleNamespace(count=2))
            context.listener = SimpleNamespace(stage=lambda *_: None, note=notes.append)
            context.clock = SimpleNamespace(mark=lambda *_: None)
            context.end_stage, context.of_stage = lambda: None, lambda *_, context=context: context
            spec = StageSpec(PlannedStage(Kind.OWN), ("engine",), (), work, ScratchResult)
            StageRunner(context, {spec.name: spec}, None).run_stage(spec)
    assert len(notes) == 1
    assert ("trained by compute.workers: 1, so at another global batch than with the 2 of this run" in notes[0]) is says


def test_how_many_sandboxes_there_are_changes_no_key() -> None:
    """So that a run goes on with more of them on a larger machine."""
    settings = [recipe(sandbox=own).model_dump(mode="json") for own in ({}, {"workers": 7, "concurrency": 9})]
    plain, more = (keys(stage_table(recipe()), deciding(one)) for one in settings)
    assert plain == more


def test_libraries_that_decide_verdicts_are_in_the_fingerprints(monkeypatch: pytest.MonkeyPatch) -> None:
    def fingerprints() -> list[str]:
        verifiers = [registry.load("math"), registry.load("math_verify"), registry.load("language", {"language": "en"})]
        for one in verifiers:
            one.close()
        return [str(getattr(one, "fingerprint")) for one in verifiers]  # noqa: B009

    before, real = fingerprints(), importlib.metadata.version
    for package, changed in (("sympy", [0, 1]), ("latex2sympy2_extended", [0, 1]), ("py3langid", [2]), ("rich", [])):
        own = {package: "0.1"}
        monkeypatch.setattr(importlib.metadata, "version", lambda name, own=own: own.get(name) or real(name))
        assert [place for place, one in enumerate(fingerprints()) if one != before[place]] == changed, package
