"""The work of each stage: takes from its inputs what the stage's function needs, and calls it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Sequence

from selfplay.curation.gates import curation_stage
from selfplay.curation.reserved import Reserved, without_leaks
from selfplay.engines.base import ModelRef
from selfplay.evaluation.evaluate import choose_problems, evaluation_stage
from selfplay.evaluation.selection import selection_stage
from selfplay.evaluation.suites_of_run import measure_suites, suite_values
from selfplay.formats import new_task
from selfplay.labelling.label import labelling_stage
from selfplay.labelling.relabel import relabelling_stage
from selfplay.run import results
from selfplay.run.directory import Stage
from selfplay.run.plan import Kind, stage_name
from selfplay.run.records import LabelledTask, Prompt, Rollout, RoundPrompt, Seed
from selfplay.seeds.stage import seeds_stage
from selfplay.stage.spec import StageWork
from selfplay.synthesis.annotation import annotation_stage
from selfplay.synthesis.cold_start import ModelPair, cold_start_stage, models_of
from selfplay.synthesis.em import em_stage, measured_pairs, round_models
from selfplay.synthesis.em_watch import stop_decision
from selfplay.synthesis.generate import synthesis_stage
from selfplay.synthesis.measures import measure
from selfplay.training.base_model import base_model, base_stage, generator_model, scratch_model, train_from_scratch
from selfplay.training.external_prompts import external_tasks, reads_given_data
from selfplay.training.feedback import learnable_pairs
from selfplay.training.prompt_pool import Pools
from selfplay.training.stage import round_policy, selfplay_stage


def seeds(this: StageWork, lacking: Collection[str]) -> results.SeedsResult:
    """The seed problems; the fields that they may lack are named."""
    recipe = this.context.recipe
    found = seeds_stage(this.stage, recipe, lacking, lambda splits: without_leaks(recipe.curation, splits))
    if found.contaminated:
        this.context.listener.note(
            f"seeds that hold a problem that must stay unseen were left out: {found.contaminated}; where problems are "
            "made from templates, curation.decontamination_spares_seed_wording: true spares the wording that they share"
        )
    return found


def annotation(this: StageWork) -> results.AnnotationResult:
    """Concepts and rationales by the annotators."""
    return annotation_stage(this.stage, this.context, this.input(Kind.SEEDS))


def base(this: StageWork) -> results.ScratchResult:
    """The model that the policy starts from."""
    return base_stage(this.stage, this.context, seed_problems(this, "train"))


def teacher(this: StageWork) -> results.ScratchResult:
    """A teacher that the run trains itself."""
    settings = this.context.recipe.training.scratch_teacher
    assert settings is not None
    return train_from_scratch(this.stage, this.context, settings, seed_problems(this, "train"))


def cold_start(this: StageWork) -> results.ColdStartResult:
    """The first prompt model and rationale model, measured."""
    start = generator_model(_base(this), this.context.recipe, this.context.models)
    heldout = _pairs(this)
    triples = cold_start_stage(this.stage, this.context, start, seed_problems(this, "train"), heldout)
    models = models_of(this.stage, start, this.context.recipe)
    row = measure(this.context, 0, models, heldout)
    this.context.listener.log(this.stage.name, row)
    return results.ColdStartResult(triples=triples, row=dict(row))


def em(this: StageWork) -> results.EMResult:
    """A round of EM; its result says whether it is the last one."""
    pairs, rows = _em_so_far(this)
    found = em_stage(this.stage, this.context, this.number, pairs[-1], seed_problems(this, "train"), _pairs(this))
    decision = stop_decision(this.context.recipe.em, [*rows, found.row])
    if not decision.reason:
        return found
    this.context.listener.note(decision.sentence)
    return found.model_copy(update={"stopped": decision.sentence})


def feedback(this: StageWork) -> results.FeedbackResult:
    """One more round of EM, on the seeds' pairs and on prompts of the last round that were learnable."""
    context, number = this.context, this.number
    settings = context.recipe.synthesis.feedback
    assert settings is not None
    last = this.input(Kind.SELFPLAY, number - 1)
    tasks = {row.task.id: row.task.prompt_id for row in last.read("prompts", RoundPrompt)}
    prompts = [prompt for stage in _curated(this) for prompt in kept_prompts(stage)]
    seed = context.seed("feedback", number)
    pairs = learnable_pairs(last.columns("rollouts", Rollout, ("task_id", "passed")), tasks, prompts, settings, seed)
    # The rounds of EM before the first synthesis have the lower numbers.
    of_em = context.recipe.em.rounds + number - 1
    made = em_stage(
        this.stage, context, of_em, prompt_models(this, number - 1), seed_problems(this, "train"), _pairs(this), pairs
    )
    return results.FeedbackResult(fed_back=len(pairs), measured=made.row, pairs=made.pairs, candidates=made.candidates)


def synthesis(this: StageWork) -> results.SynthesisResult:
    """New prompts."""
    p = prompt_models(this, this.number).p
    train, reserved = seed_problems(this, "train"), reserved_problems(this)
    return synthesis_stage(this.stage, this.context, p, train, reserved, _base(this), this.number)


def curation(this: StageWork) -> results.CurationResult:
    """The gates of the new prompts."""
    made = this.input(Kind.SYNTHESIS, this.number)
    train, reserved = seed_problems(this, "train"), reserved_problems(this)
    return curation_stage(this.stage, this.context, made, train, reserved, _curated(this))


def labelling(this: StageWork) -> results.LabellingResult:
    """Answers or tests for the newest prompts, by the policy of the last round."""
    kept = kept_prompts(_curated(this)[-1])
    number = this.number if this.number > 1 else 0
    policy = _policy(this, this.number - 1)
    return labelling_stage(this.stage, this.context, policy, kept, seed_problems(this, "train"), number)


def relabelling(this: StageWork) -> results.LabellingResult:
    """The labels, looked at again by the policy of the last round."""
    earlier = [this.input(Kind.LABELLING, 1), *_stages(this, Kind.RELABELLING, 2)]
    return relabelling_stage(this.stage, this.context, this.number, _policy(this, this.number - 1), earlier)


def selfplay(this: StageWork) -> results.SelfplayResult:
    """A round of self-play."""
    context, number = this.context, this.number
    train = seed_problems(this, "train")
    reserved = None
    if reads_given_data(context.recipe):
        reserved = Reserved(context.recipe.curation, reserved_problems(this), train)
    given, leaks = external_tasks(context.recipe, train, reserved)
    if leaks:
        context.listener.note(f"{leaks} given prompts hold a problem that must stay unseen, and were left out")
    pools = Pools(_tasks(this), given)
    own_teacher = scratch_model(this.input(Kind.TEACHER)) if this.has(Kind.TEACHER) else None
    made = selfplay_stage(this.stage, context, number, _policy(this, number - 1), pools, train, own_teacher, reserved)
    return made.model_copy(update={"contaminated": leaks}) if leaks else made


def evaluation(this: StageWork) -> results.EvaluationResult:
    """Held-out accuracy of the policy, and its accuracy on suites where the recipe names some."""
    problems = choose_problems(this.context, seed_problems(this, this.context.recipe.evaluation.split))
    policy = _policy(this, this.number)
    # Before the held-out problems, whose stage logs all figures together.
    measure_suites(this.stage, this.context, this.number, policy)
    return evaluation_stage(this.stage, this.context, this.number, policy, problems, suite_values(this.stage.folder))


def selection(this: StageWork) -> results.SelectionResult:
    """Accuracy on development problems, and whether the run goes on."""
    settings = this.context.recipe.training.selection
    assert settings is not None
    problems = choose_problems(this.context, seed_problems(this, "dev"), settings.problems)
    before = [stage.result(results.SelectionResult).score for stage in _stages(this, Kind.SELECTION, 0)]
    policy = _policy(this, this.number)
    found = selection_stage(this.stage, this.context, this.number, policy, problems, before)
    if found.stopped:
        this.context.listener.note(found.stopped)
    return found


def seed_problems(this: StageWork, split: str) -> list[Seed]:
    """The seed problems of a split, of all domains, as annotated where there are annotators."""
    source = this.input(Kind.ANNOTATION if this.has(Kind.ANNOTATION) else Kind.SEEDS)
    return [seed for domain in this.context.recipe.domains for seed in source.read(f"{domain}-{split}", Seed)]


def reserved_problems(this: StageWork) -> list[Seed]:
    """Problems that nothing may be trained on."""
    return seed_problems(this, "heldout") + seed_problems(this, "dev")


def kept_prompts(curated: Stage) -> list[Prompt]:
    """The prompts that curation kept."""
    return list(curated.stream("prompts", Prompt, only_kept=True))


def _base(this: StageWork) -> ModelRef:
    return base_model(this.input(Kind.BASE), this.context.recipe, this.context.models)


def _policy(this: StageWork, number: int) -> ModelRef:
    """The policy after a round; the base before the first."""
    if number == 0:
        return dataclasses.replace(_base(this), chat=this.context.chat)
    return round_policy(this.input(Kind.SELFPLAY, number), this.context)


def _pairs(this: StageWork) -> list[Seed]:
    """Held-out pairs (c, x) on which p and q are measured."""
    recipe = this.context.recipe
    # A measure that can end the loop is a choice, and choices are made on development problems.
    observed = seed_problems(this, "dev" if recipe.em.decides else recipe.evaluation.split)
    if not recipe.em.decides:
        observed = choose_problems(this.context, observed)
    # An annotator may have found no concepts for some; they are evaluated on, but make no pair.
    return measured_pairs(recipe, [seed for seed in observed if seed.concepts])


def _em_so_far(this: StageWork) -> tuple[list[ModelPair], list[results.Measures]]:
    """The models after the cold start and after each round of EM that took place, and their measures."""
    recipe, first = this.context.recipe, this.input(Kind.COLD_START)
    pairs = [models_of(first, generator_model(_base(this), recipe, this.context.models), recipe)]
    rows = [first.result(results.ColdStartResult).row]
    for stage in _stages(this, Kind.EM, 1):
        pairs.append(round_models(stage, pairs[-1]))
        rows.append(stage.result(results.EMResult).row)
    return pairs, rows


def prompt_models(this: StageWork, number: int) -> ModelPair:
    """The models that write the prompts of a round: those that EM kept, and what feedback made of them since."""
    recipe = this.context.recipe
    pairs, rows = _em_so_far(this)
    pair = pairs[stop_decision(recipe.em, rows).kept]
    for fed in range(2, number + 1):
        if this.has(Kind.FEEDBACK, fed):
            pair = round_models(this.input(Kind.FEEDBACK, fed), pair)
    return pair


def _stages(this: StageWork, kind: Kind, first: int) -> list[Stage]:
    """The inputs of a kind, from round `first` on, as far as there are any."""
    numbers = itertools.takewhile(lambda number: this.has(kind, number), itertools.count(first))
    return [this.input(kind, number) for number in numbers]


def _curated(this: StageWork) -> list[Stage]:
    """The curations among the inputs, oldest first."""
    names = [stage_name(Kind.CURATION, number) for number in range(1, this.number + 1)]
    return [this.inputs[name] for name in names if name in this.inputs]


def _unlabelled(this: StageWork, curated: Stage) -> list[LabelledTask]:
    """Prompts as tasks without labels, for a rule that needs none."""
    domains = this.context.recipe.domains
    prompts = sorted(kept_prompts(curated), key=lambda prompt: prompt.id)
    return [LabelledTask.unlabelled(one, new_task(domains[one.domain], one.problem)) for one in prompts]


def _tasks(this: StageWork) -> dict[int, Sequence[LabelledTask]]:
    """The synthesised tasks by the round whose prompts and labels they are; a round without its own has the last's."""
    found: dict[int, Sequence[LabelledTask]] = {0: []}
    for number in range(1, this.number + 1):
        if this.has(Kind.RELABELLING, number):
            found[number] = this.input(Kind.RELABELLING, number).read("tasks", LabelledTask)
        elif this.has(Kind.LABELLING, number):
            found[number] = this.input(Kind.LABELLING, number).read("tasks", LabelledTask)
        elif this.has(Kind.CURATION, number):
            found[number] = _unlabelled(this, this.input(Kind.CURATION, number))
        else:
            found[number] = found[number - 1]
    del found[0]
    return found
