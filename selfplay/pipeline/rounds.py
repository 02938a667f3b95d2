"""The rounds of a run, in order: new prompts or labels where the recipe asks for them, one update, and what came of it.

feedback_N    p and q learn from the prompts of the last round that the policy found learnable
synthesis_N   new prompts for this round, curation_N what is kept of them
labelling_N   labels and difficulty by the policy of the last round
selfplay_N    the update
evaluation_N  held-out accuracy
selection_N   accuracy on development problems, by which the best round is named, and the run may end
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from selfplay.concepts.choice import choice_files
from selfplay.config.synthesis import Synthesis
from selfplay.curation.benchmarks import benchmark_contents
from selfplay.curation.gates import curation_stage
from selfplay.engines.base import ModelRef
from selfplay.evaluation.evaluate import evaluation_stage
from selfplay.evaluation.selection import selection_outcome, selection_stage
from selfplay.labelling.label import labelling_stage
from selfplay.labelling.relabel import relabelling_stage
from selfplay.pipeline.stage_runner import StageRunner
from selfplay.run.directory import Stage
from selfplay.run.records import LabelledTask, Prompt, Rollout, RoundPrompt, Seed
from selfplay.stage.plan import renewing_stages, round_stages
from selfplay.synthesis.cold_start import ModelPair
from selfplay.synthesis.em import em_stage, round_models
from selfplay.synthesis.generate import synthesis_stage
from selfplay.training.external_prompts import external_files, external_tasks
from selfplay.training.feedback import learnable_pairs
from selfplay.training.prompt_pool import Pools
from selfplay.training.stage import round_policy, selfplay_stage
from selfplay.training.traces import trace_files

SYNTHESIS_SETTINGS = tuple(f"synthesis.{name}" for name in Synthesis.model_fields if name != "feedback")
"""What new prompts depend on, besides the model that writes them."""


@dataclass(frozen=True, slots=True)
class Problems:
    """The run's seed problems, by what they are for."""

    train: Sequence[Seed]
    measured: Sequence[Seed]
    """Held-out ones, on which each round is evaluated."""
    development: Sequence[Seed]
    """Those by which the best round is chosen."""
    reserved: Sequence[Seed]
    """None of which may be learnt from."""
    pairs: Sequence[Seed]
    """Held-out pairs (c, x), on which p and q are measured."""


@dataclass(slots=True)
class Synthesised:
    """What makes prompts, and what it has made for each round; nothing where all prompts are external."""

    pair: ModelPair
    base: ModelRef
    curated: dict[int, Stage]


@dataclass(slots=True)
class SelfPlay:
    """The rounds of one run."""

    stages: StageRunner
    problems: Problems
    synthesised: Synthesised | None
    teacher: ModelRef | None = None
    labelled: list[Stage] = field(default_factory=list)
    """The labelling of the first round's prompts, and those in which later policies looked at it again."""
    tasks: dict[int, Sequence[LabelledTask]] = field(default_factory=dict)
    """Synthesised tasks by the round whose prompts and labels they are."""

    def play(self, policy: ModelRef, tasks: Sequence[LabelledTask]) -> None:
        """Tells all rounds, from the base's evaluation to the last or to the one after which the run ends.

        Args:
            policy: the base.
            tasks: synthesised ones for the first round.
        """
        context = self.stages.context
        external = external_tasks(context.recipe, self.problems.train, self.problems.reserved)
        self.tasks[1] = tasks
        self._measure(0, policy)
        scores = self._select(0, policy, [])
        rounds = context.recipe.training.rounds
        for number in range(1, rounds + 1):
            if number > 1:
                self._renew(number, policy)
            policy = self._update(number, policy, external)
            self._measure(number, policy)
            scores = self._select(number, policy, scores)
            settings = context.recipe.training.selection
            outcome = selection_outcome(settings, scores) if settings else None
            if outcome is not None and outcome.stopped:
                context.listener.note(outcome.stopped)
                later = range(number + 1, rounds + 1)
                self.stages.pass_over([name for n in later for name in round_stages(context.recipe, n)])
                break

    def _update(self, number: int, policy: ModelRef, external: Sequence[RoundPrompt]) -> ModelRef:
        context = self.stages.context
        pools = Pools(dict(self.tasks), external)
        done = self.stages.run_stage(
            f"selfplay_{number}",
            ["training"],
            lambda stage: selfplay_stage(stage, context, number, policy, pools, self.problems.train, self.teacher),
            external_files(context.recipe) + trace_files(context.recipe),
        )
        return round_policy(done, context)

    def _measure(self, number: int, policy: ModelRef) -> None:
        context, problems = self.stages.context, self.problems.measured
        sections = ["evaluation"] if number == 0 else []
        self.stages.run_stage(
            f"evaluation_{number}",
            sections,
            lambda stage: evaluation_stage(stage, context, number, policy, problems),
        )

    def _select(self, number: int, policy: ModelRef, scores: list[dict[str, Any]]) -> list[dict[str, Any]]:
        context = self.stages.context
        if context.recipe.training.selection is None:
            return []
        done = self.stages.run_stage(
            f"selection_{number}",
            ["training.selection"],
            lambda stage: selection_stage(stage, context, number, policy, self.problems.development, scores),
        )
        return [*scores, done.manifest["counts"]["score"]]

    def _renew(self, number: int, policy: ModelRef) -> None:
        """Gives a round its own prompts or labels, or those of the round before."""
        context, planned = self.stages.context, renewing_stages(self.stages.context.recipe, number)
        self.tasks[number] = self.tasks[number - 1]
        if self.synthesised is None or not planned:
            return
        if f"relabelling_{number}" in planned:
            self._look_again(number, policy)
            return
        curated = self.synthesised.curated
        curated[number] = curated[number - 1]
        if f"synthesis_{number}" in planned:
            self._feed_back(number)
            curated[number] = self._new_prompts(number)
        if f"labelling_{number}" in planned:
            kept = kept_prompts(curated[number])
            done = self.stages.run_stage(
                f"labelling_{number}",
                ["labelling"],
                lambda stage: labelling_stage(stage, context, policy, kept, self.problems.train, number),
            )
            self.tasks[number] = done.read("tasks", LabelledTask)
        else:
            self.tasks[number] = unlabelled_tasks(kept_prompts(curated[number]))

    def _look_again(self, number: int, policy: ModelRef) -> None:
        context, earlier = self.stages.context, list(self.labelled)
        done = self.stages.run_stage(
            f"relabelling_{number}",
            ["labelling"],
            lambda stage: relabelling_stage(stage, context, number, policy, earlier),
        )
        self.labelled.append(done)
        self.tasks[number] = done.read("tasks", LabelledTask)

    def _new_prompts(self, number: int) -> Stage:
        context, own, problems = self.stages.context, self.synthesised, self.problems
        assert own is not None
        recipe = context.recipe
        made = self.stages.run_stage(
            f"synthesis_{number}",
            SYNTHESIS_SETTINGS,
            lambda stage: synthesis_stage(
                stage, context, own.pair.p, problems.train, problems.reserved, own.base, number
            ),
            choice_files(recipe),
        )
        earlier = list(own.curated.values())
        return self.stages.run_stage(
            f"curation_{number}",
            ["curation"],
            lambda stage: curation_stage(stage, context, made, problems.train, problems.reserved, earlier),
            benchmark_contents(recipe.curation),
        )

    def _feed_back(self, number: int) -> None:
        """One more round of EM, on the seeds' pairs and on what the last round found learnable."""
        context, own, problems = self.stages.context, self.synthesised, self.problems
        settings = context.recipe.synthesis.feedback
        if settings is None or own is None:
            return
        before, last = own.pair, context.run.stage(f"selfplay_{number - 1}")
        stages = {stage.name: stage for stage in own.curated.values()}

        def work(stage: Stage) -> dict[str, Any]:
            prompts = [prompt for curated in stages.values() for prompt in kept_prompts(curated)]
            tasks = {row.task.id: row.task.prompt_id for row in last.read("prompts", RoundPrompt)}
            seed = context.seed("feedback", number)
            outcomes = last.columns("rollouts", Rollout, ("task_id", "passed"))
            pairs = learnable_pairs(outcomes, tasks, prompts, settings, seed)
            # The rounds of EM before the first synthesis have the lower numbers.
            em = context.recipe.em.rounds + number - 1
            counts = em_stage(stage, context, em, before, problems.train, problems.pairs, pairs)
            return {"fed_back": len(pairs), "measured": counts.pop("row")} | counts

        own.pair = round_models(self.stages.run_stage(f"feedback_{number}", ["em", "synthesis.feedback"], work), before)


def kept_prompts(curated: Stage) -> list[Prompt]:
    """The prompts that curation kept."""
    return [row for batch in curated.batches("prompts", Prompt, only_kept=True) for row in batch]


def unlabelled_tasks(prompts: Sequence[Prompt]) -> list[LabelledTask]:
    """Prompts as tasks without answers, for a rule that needs none."""
    return [LabelledTask.unlabelled(prompt) for prompt in sorted(prompts, key=lambda prompt: prompt.id)]
