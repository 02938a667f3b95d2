"""One line for people on each kind of stage: its work under a recipe, as `selfplay check` shows it."""

from __future__ import annotations

from collections.abc import Callable

from selfplay.config.annotation import AnnotatorEngine
from selfplay.config.recipe import Recipe
from selfplay.config.rules import UpdateRule
from selfplay.config.section import PretrainedModel, ScratchModel
from selfplay.run.plan import Kind


def line_of(recipe: Recipe, kind: Kind) -> str:
    """The work of a stage of that kind, in one line."""
    return _LINES[kind](recipe)


def _seeds(recipe: Recipe) -> str:
    return ", ".join(f"{name} from {domain.seeds.kind}" for name, domain in recipe.domains.items())


def _annotation(recipe: Recipe) -> str:
    annotators = recipe.cold_start.annotators.items()
    listed = ", ".join(f"{name} ({_model_of(annotator.engine)})" for name, annotator in annotators)
    return f"{recipe.cold_start.annotation.concepts} concepts and a rationale a problem, by {listed}"


def _model_of(engine: AnnotatorEngine) -> str:
    return f"{engine.model} at {engine.endpoint.base_url}" if engine.kind == "openai" else engine.name


def _base(recipe: Recipe) -> str:
    if isinstance(recipe.model, PretrainedModel):
        return f"{recipe.model.name} as it is"
    return "train a tiny Qwen3 from scratch on the seeds' worked solutions"


def _cold_start(recipe: Recipe) -> str:
    if not recipe.cold_start.enabled:
        return "none: p and q are the generator as it is"
    if not recipe.em.rationales:
        return "train p (c -> x) on the seeds by maximum likelihood, without rationales"
    return "train p (c -> z, x) and q (c, x -> z) on the seeds by maximum likelihood"


def _em(recipe: Recipe) -> str:
    em = recipe.em
    pairs = f"{em.pairs or 'all'} pairs a domain"
    if not em.rationales:
        return f"p goes on (c -> x), {pairs}"
    if em.e_step == "annotated":
        return f"p goes on with the seeds' own rationales, {pairs}"
    if em.e_step == "frozen":
        return f"p learns from {em.m_step_rationales} rationales of q, which is frozen, {pairs}"
    weight = "" if em.rationale_weight == 1.0 else f", {em.rationale_weight:g} log p(z|c)"
    chosen = "the best" if em.assignment == "hard" else "all, by weight,"
    return f"q learns {chosen} of {em.candidates} rationales a pair ({em.reward}{weight}), {pairs}"


def _synthesis(recipe: Recipe) -> str:
    counts = ", ".join(f"{recipe.synthesis.prompts_of(name)} {name}" for name in recipe.domains)
    settings = recipe.synthesis
    passes = f" in each of {settings.passes} passes" if settings.passes > 1 else ""
    writer = f", by {_model_of(settings.generator)}" if settings.generator is not None else ""
    return f"{counts} prompts{passes} at T={settings.sampling.temperature:g}{writer}"


def _curation(recipe: Recipe) -> str:
    curation = recipe.curation
    parts = [
        f"near duplicates above Jaccard {curation.near_duplicate_jaccard:g}",
        f"{curation.decontamination_ngram}-gram decontamination",
        *([f"{len(curation.benchmarks)} benchmarks"] if curation.benchmarks else []),
        *(f"drop {name}" for name in curation.drop),
    ]
    if curation.judging is not None:
        parts.append(f"judges: {', '.join(curation.judging.judges)} ({curation.judging.rule})")
    if curation.solving is not None:
        parts.append(f"solvers: {', '.join(curation.solving.solvers)}")
    return ", ".join(parts)


def _labelling(recipe: Recipe) -> str:
    labelling = recipe.labelling
    voters = ", ".join(
        f"{labeller.samples} completions of {name or 'the policy'}" for name, labeller in labelling.voters.items()
    )
    parts = [
        f"majority of {voters}, agreement >= {labelling.min_agreement:g}",
        *(["votes weighed by likelihood"] if labelling.votes == "likelihood" else []),
        *(["a second look"] if labelling.verification else []),
        *(["tests by a model"] if labelling.inputs == "generated" else []),
        *(["checkers by a model"] if labelling.checkers else []),
        *([f"difficulty by {labelling.difficulty.rollouts} rollouts"] if labelling.difficulty else []),
    ]
    return ", ".join(parts)


def _relabelling(recipe: Recipe) -> str:
    again = recipe.labelling.relabelling
    if again is None:
        return "nothing"
    whose = "all labels" if again.votes == "all" else "contradicted labels"
    return f"{again.samples} completions of the last round's policy: {whose} are voted on again, difficulty is measured"


def _feedback(recipe: Recipe) -> str:
    settings = recipe.synthesis.feedback
    if settings is None:
        return "nothing"
    which = "whatever their pass rate" if settings.choice == "any" else f"passed {settings.low:g} to {settings.high:g}"
    return f"p and q learn from up to {settings.prompts} prompts a domain of the last round, {which}"


def _teacher(recipe: Recipe) -> str:
    return "train a tiny Qwen3 from scratch, whose traces the policy will learn from"


def _selection(recipe: Recipe) -> str:
    settings = recipe.training.selection
    if settings is None:
        return "nothing"
    ends = "" if settings.patience is None else f"; {settings.patience} rounds without a better one end the run"
    return f"{settings.problems} development problems a domain, {settings.samples} at T={settings.temperature:g}{ends}"


def _learns_from(recipe: Recipe) -> str:
    pool = recipe.training.pool
    shares = {"synthetic_only": "", "mixed": f", {pool.external_share:.0%} external", "external": ", all external"}
    return shares[pool.arm] + (f", {pool.replay:.0%} of earlier rounds" if pool.replay else "")


def _selfplay(recipe: Recipe) -> str:
    training = recipe.training
    if training.algorithm == "sft":
        return f"SFT on traces {_traces_from(recipe)}, answers {training.sft.answers}"
    if training.pair_files is not None:
        return f"dpo on pairs in {len(training.pair_files.paths)} files"
    control = "" if training.rewards == "verified" else f", control: {training.rewards} rewards"
    rule = getattr(training, training.algorithm)
    prompts = f", {rule.prompts or 'all'} prompts" if isinstance(rule, UpdateRule) else " on the seeds' solutions"
    return f"{training.algorithm}{prompts}{_learns_from(recipe)}{control}"


def _traces_from(recipe: Recipe) -> str:
    settings = recipe.training.sft
    parts = [f"in {len(settings.files.paths)} files"] if settings.files is not None else []
    if settings.teacher is not None:
        engine = settings.teacher.engine
        parts.insert(0, "of the run's own teacher" if isinstance(engine, ScratchModel) else f"of {_model_of(engine)}")
    return " and ".join(parts)


def _evaluation(recipe: Recipe) -> str:
    evaluation = recipe.evaluation
    temperatures = ", ".join(f"{t:g}" for t in evaluation.temperatures)
    greedy = " and greedy" if evaluation.greedy else ""
    held_out = f"{evaluation.problems} problems a domain, {evaluation.samples} completions at T={temperatures}{greedy}"
    suites = evaluation.suites
    if suites is None:
        return held_out
    named = ", ".join([*suites.names, *(suite.name for suite in suites.own)])
    every = "" if suites.every == 1 else f" every {suites.every} rounds"
    return f"{held_out}; suites {named}, {suites.samples} at T={suites.sampling.temperature:g}{every}"


_LINES: dict[Kind, Callable[[Recipe], str]] = {
    Kind.SEEDS: _seeds,
    Kind.ANNOTATION: _annotation,
    Kind.BASE: _base,
    Kind.COLD_START: _cold_start,
    Kind.EM: _em,
    Kind.SYNTHESIS: _synthesis,
    Kind.CURATION: _curation,
    Kind.LABELLING: _labelling,
    Kind.TEACHER: _teacher,
    Kind.EVALUATION: _evaluation,
    Kind.SELECTION: _selection,
    Kind.FEEDBACK: _feedback,
    Kind.RELABELLING: _relabelling,
    Kind.SELFPLAY: _selfplay,
}
