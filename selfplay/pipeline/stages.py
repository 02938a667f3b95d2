"""The table of stages: for a recipe, every stage in order, with what it depends on and what it does.

One entry is one stage. Running, checking, status, reuse and the report all read this table, whose order is that of
`selfplay.planning.stages`. A new kind of stage has its place there, a function in `work`, a result in
`selfplay.run.results`, a line in `lines`, and an entry here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping

from selfplay.concepts.choice import choice_files
from selfplay.config.em import EM
from selfplay.config.recipe import Recipe
from selfplay.config.seeds import UserSeeds
from selfplay.config.synthesis import Synthesis
from selfplay.curation.benchmarks import benchmark_contents
from selfplay.curation.reserved import SETTINGS
from selfplay.evaluation.suites_of_run import suite_contents
from selfplay.pipeline import work
from selfplay.pipeline.lines import line_of
from selfplay.pipeline.own import with_own_stages
from selfplay.planning.stages import stages_of
from selfplay.run import results
from selfplay.run.directory import RunDirectory
from selfplay.run.plan import Kind, Plan, PlannedStage, expected, stage_name
from selfplay.seeds.stage import may_lack, seed_files
from selfplay.stage.spec import StageSpec, StageWork, by_name, no_files
from selfplay.training.external_prompts import external_files, reads_given_data
from selfplay.training.pair_files import pair_files
from selfplay.training.traces import trace_files

ROUNDS = frozenset(
    {Kind.FEEDBACK, Kind.SYNTHESIS, Kind.CURATION, Kind.LABELLING, Kind.RELABELLING}
    | {Kind.SELFPLAY, Kind.EVALUATION, Kind.SELECTION}
)
"""Kinds of stages that belong to rounds of self-play."""


def stage_table(recipe: Recipe) -> dict[str, StageSpec]:
    """The stages of a recipe by name, in order; EM and the rounds may end before their last one."""
    return by_name(list(with_own_stages(_Table(recipe).specs(), recipe)))


def planned(table: Mapping[str, StageSpec]) -> Plan:
    """The plan of a table, as the run directory keeps it."""
    return Plan(spec.planned for spec in table.values())


def is_finished(run: RunDirectory, table: Mapping[str, StageSpec]) -> bool:
    """Whether nothing is left to do."""
    return run.stage(expected(run.path, planned(table)).names[-1]).done


def synthesis_stages(table: Mapping[str, StageSpec]) -> list[str]:
    """The stages that come before self-play: from seed problems to labels."""
    names = list(table)
    last = Kind.LABELLING if Kind.LABELLING in table else end_of_prompts(table)
    return names[: names.index(last) + 1]


def end_of_prompts(table: Mapping[str, StageSpec]) -> str:
    """The stage that leaves curated prompts, or the base, where none are made."""
    return Kind.CURATION if Kind.CURATION in table else Kind.BASE


def _fields(section: str, model: type[EM | Synthesis], without: Collection[str]) -> tuple[str, ...]:
    return tuple(f"{section}.{name}" for name in model.model_fields if name not in without)


class _Table:
    """Makes the entries of one recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._source = stage_name(Kind.ANNOTATION if recipe.is_annotated else Kind.SEEDS, 0)
        self._made: list[PlannedStage] = []

    def specs(self) -> Iterator[StageSpec]:
        """All of them, in order."""
        makers: dict[Kind, Callable[[int], StageSpec]] = {
            Kind.SEEDS: self._seeds,
            Kind.ANNOTATION: self._annotation,
            Kind.BASE: self._base,
            Kind.COLD_START: self._cold_start,
            Kind.EM: self._em,
            Kind.FEEDBACK: self._feedback,
            Kind.SYNTHESIS: self._synthesis,
            Kind.CURATION: self._curation,
            Kind.LABELLING: self._labelling,
            Kind.RELABELLING: self._relabelling,
            Kind.TEACHER: self._teacher,
            Kind.SELFPLAY: self._selfplay,
            Kind.EVALUATION: self._evaluation,
            Kind.SELECTION: self._selection,
        }
        for stage in stages_of(self._recipe):
            yield makers[stage.kind](stage.round)

    def _seeds(self, number: int) -> StageSpec:
        recipe = self._recipe
        seeds = functools.partial(work.seeds, lacking=may_lack(recipe))
        given = any(isinstance(domain.seeds, UserSeeds) for domain in recipe.domains.values())
        sections = ("domains", *(SETTINGS if given else ()))
        return self._spec(
            Kind.SEEDS,
            number,
            sections,
            [],
            seeds,
            results.SeedsResult,
            lambda: seed_files(recipe) + (benchmark_contents(recipe.curation) if given else ""),
        )

    def _annotation(self, number: int) -> StageSpec:
        # Which problems need what depends on those that will be measured.
        measured = ("em.rationales", "em.stop", "em.guards", "evaluation.split")
        sections = ("cold_start.annotators", "cold_start.annotation", "engine", *measured)
        inputs = self._names(Kind.SEEDS)
        return self._spec(Kind.ANNOTATION, number, sections, inputs, work.annotation, results.AnnotationResult)

    def _base(self, number: int) -> StageSpec:
        return self._spec(Kind.BASE, number, ("model", "engine"), [self._source], work.base, results.ScratchResult)

    def _teacher(self, number: int) -> StageSpec:
        own = ("training.algorithm", "training.sft.teacher.engine", "engine.rounding")
        return self._spec(Kind.TEACHER, number, own, [self._source], work.teacher, results.ScratchResult)

    def _cold_start(self, number: int) -> StageSpec:
        # A pair is measured as it will be used: on held-out problems, and with p drawing as synthesis draws.
        measured = ("em.heldout_pairs", "em.bound_samples", "em.sampling", "em.stop", "em.guards", "synthesis.sampling")
        start = ("generator", "generator_lora", "router", "cold_start", "em.rationales", *measured)
        held_out = ("evaluation.problems", "evaluation.split")
        inputs = [self._source, *self._names(Kind.BASE)]
        return self._spec(Kind.COLD_START, number, start + held_out, inputs, work.cold_start, results.ColdStartResult)

    def _em(self, number: int) -> StageSpec:
        sections, ends = _fields("em", EM, ["rounds"]), frozenset({Kind.EM})
        return self._spec(Kind.EM, number, sections, self._of_models(), work.em, results.EMResult, ends=ends)

    def _feedback(self, number: int) -> StageSpec:
        inputs = [*self._of_models(), stage_name(Kind.SELFPLAY, number - 1), *self._names(Kind.CURATION)]
        sections = ("em", "synthesis.feedback")
        return self._spec(Kind.FEEDBACK, number, sections, inputs, work.feedback, results.FeedbackResult)

    def _synthesis(self, number: int) -> StageSpec:
        sections = _fields("synthesis", Synthesis, ["feedback"])
        files = functools.partial(choice_files, self._recipe)
        inputs = self._of_models()
        return self._spec(Kind.SYNTHESIS, number, sections, inputs, work.synthesis, results.SynthesisResult, files)

    def _curation(self, number: int) -> StageSpec:
        inputs = [self._source, stage_name(Kind.SYNTHESIS, number), *self._names(Kind.CURATION)]
        sections = ("curation", "sandbox")
        files = functools.partial(benchmark_contents, self._recipe.curation)
        return self._spec(Kind.CURATION, number, sections, inputs, work.curation, results.CurationResult, files)

    def _labelling(self, number: int) -> StageSpec:
        inputs = [self._source, *self._policy(number - 1), *self._names(Kind.CURATION)[-1:]]
        sections = ("labelling", "sandbox")
        return self._spec(Kind.LABELLING, number, sections, inputs, work.labelling, results.LabellingResult)

    def _relabelling(self, number: int) -> StageSpec:
        inputs = [*self._policy(number - 1), *self._names(Kind.LABELLING, Kind.RELABELLING)]
        sections = ("labelling", "sandbox")
        return self._spec(Kind.RELABELLING, number, sections, inputs, work.relabelling, results.LabellingResult)

    def _selfplay(self, number: int) -> StageSpec:
        recipe = self._recipe
        shared = ("algorithm", recipe.training.algorithm, "pool", "thinking", "valid", "rewards", "sampling", "lora")
        reserved = SETTINGS if reads_given_data(recipe) else ()
        sections = (*(f"training.{name}" for name in shared), "router", "sandbox", "labelling", *reserved)
        prompts = self._names(Kind.LABELLING, Kind.RELABELLING) or self._names(Kind.CURATION)
        inputs = [self._source, *self._policy(number - 1), *prompts, *self._names(Kind.TEACHER)]
        return self._spec(
            Kind.SELFPLAY,
            number,
            sections,
            inputs,
            work.selfplay,
            results.SelfplayResult,
            lambda: (
                external_files(recipe)
                + trace_files(recipe)
                + pair_files(recipe)
                + (benchmark_contents(recipe.curation) if reserved else "")
            ),
        )

    def _evaluation(self, number: int) -> StageSpec:
        inputs = [self._source, *self._policy(number)]
        sections = ("evaluation", "sandbox")
        files = functools.partial(suite_contents, self._recipe.evaluation.suites)
        return self._spec(Kind.EVALUATION, number, sections, inputs, work.evaluation, results.EvaluationResult, files)

    def _selection(self, number: int) -> StageSpec:
        chosen_by = ("training.selection", "evaluation.max_new_tokens", "sandbox")
        inputs = [self._source, *self._policy(number), *self._names(Kind.SELECTION)]
        result = results.SelectionResult
        return self._spec(Kind.SELECTION, number, chosen_by, inputs, work.selection, result, ends=ROUNDS)

    def _policy(self, number: int) -> list[str]:
        """The stages of which the policy after a round is made; the base says what the policy is."""
        return [*self._names(Kind.BASE), *([stage_name(Kind.SELFPLAY, number)] if number else [])]

    def _of_models(self) -> list[str]:
        """The stages of which the newest prompt model and rationale model are made."""
        return [self._source, *self._names(Kind.BASE, Kind.COLD_START, Kind.EM, Kind.FEEDBACK)]

    def _names(self, *kinds: Kind) -> list[str]:
        """The stages of some kinds that come before, in order."""
        return [stage.name for stage in self._made if stage.kind in kinds]

    def _spec(
        self,
        kind: Kind,
        number: int,
        sections: tuple[str, ...],
        inputs: list[str],
        run: Callable[[StageWork], results.StageResult],
        result: type[results.StageResult],
        contents: Callable[[], str] = no_files,
        ends: frozenset[Kind] = frozenset(),
    ) -> StageSpec:
        stage = PlannedStage(kind, number, line_of(self._recipe, kind))
        self._made.append(stage)
        return StageSpec(stage, sections, tuple(inputs), run, result, contents, ends)
