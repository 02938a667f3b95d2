"""Checks before anything expensive: trainer arguments, engines, models, endpoints, files and the sandbox's limits."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sandbox.doctor import examine
from sandbox.model import SandboxUnavailable
from sandbox.warm.visible_files import PackageMissing
from selfplay.config.annotation import AnnotatorEngine, Budget, LocalEngine, OpenAIEngine
from selfplay.config.errors import UserError
from selfplay.config.recipe import Recipe
from selfplay.config.section import PretrainedModel, SamplingSettings, ScratchModel
from selfplay.curation.reserved import Reserved
from selfplay.engines.base import ModelRef, Sampling
from selfplay.evaluation.suites_of_run import load_suites
from selfplay.planning.architecture import UnknownArchitecture, cut_fault
from selfplay.preflight.quantised import training_fault
from selfplay.preflight.vllm import check_rollouts, check_served
from selfplay.quickstart.seed_problem import Split
from selfplay.rollouts.judge import JudgeSettings
from selfplay.run.records import Seed
from selfplay.seeds.stage import SPLITS, load_seeds, may_lack
from selfplay.training.external_prompts import external_tasks
from selfplay.training.pair_files import file_pairs
from selfplay.training.traces import file_traces

RULES = {"grpo": "grpo", "dpo": "dpo", "rft": "sft", "sft": "sft", "continued_sft": "sft"}
"""Update rules, and the kind of training that each is to TRL."""


class PreflightError(UserError):
    """Rewards or settings that would spoil the run; one sentence each, with the remedy."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked, for the person who runs `selfplay check`."""

    name: str
    detail: str


def check_trainer_arguments(recipe: Recipe, workers: int) -> None:
    """Refuses arguments that TRL would refuse; loads TRL, but no model.

    Raises:
        ArgumentsError, PreflightError: names the field.
    """
    from selfplay.trl_trainers.arguments import check_ahead, check_arguments, check_group, check_lora, check_top_up

    training = recipe.training
    for field, args in _sft_arguments(recipe).items():
        check_arguments("sft", args, field)
    for rule, kind in _kinds(recipe).items():
        check_arguments(kind, getattr(training, rule).args, f"training.{rule}.args", workers)
    if training.grpo.trainer == "grpo":
        if training.grpo.max_staleness:
            check_ahead(training.grpo.args, "training.grpo", workers)
        check_top_up(training.grpo.top_up, training.grpo.args, "training.grpo", workers)
    else:
        check_group(training.grpo.args, training.grpo.max_staleness, "training.grpo", workers)
    check_lora(training.lora, "training.lora")
    check_lora(recipe.generator_lora, "generator_lora")
    _check_shape(recipe, _sft_arguments(recipe))


def check_sharding(recipe: Recipe, workers: int) -> None:
    """Refuses sharding over one worker, and sequences that are cut over more workers than there are.

    Raises:
        PreflightError: names the field.
    """
    ranks = recipe.compute.sequence_parallel
    if workers % ranks:
        raise PreflightError(
            f"compute.sequence_parallel: is {ranks}, but there are {workers} workers; set compute.workers to a "
            "multiple of it, or sequence_parallel to 1"
        )
    if recipe.compute.sharding != "none" and workers == 1:
        raise PreflightError(
            f"compute.sharding: is {recipe.compute.sharding}, but one worker has nobody to share a model with; raise "
            "compute.workers, or set it to none"
        )


def check_argument_names(recipe: Recipe) -> None:
    """Refuses arguments of trainers that TRL does not know, at once: it is not loaded for that.

    Raises:
        ArgumentsError: names the field.
    """
    from selfplay.trl_trainers.arguments import check_names

    for field, args in _sft_arguments(recipe).items():
        check_names("sft", args, field)
    for rule, kind in _kinds(recipe).items():
        check_names(kind, getattr(recipe.training, rule).args, f"training.{rule}.args")


def _kinds(recipe: Recipe) -> dict[str, str]:
    """`RULES`, with the trainer that the recipe names for grpo."""
    return RULES | {"grpo": recipe.training.grpo.trainer}


def _sft_arguments(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """The arguments of TRL's SFT outside the rounds, by field."""
    teacher = recipe.training.scratch_teacher
    return {
        "model.args": recipe.model.args if isinstance(recipe.model, ScratchModel) else {},
        "training.sft.teacher.engine.args": teacher.args if teacher is not None else {},
        "cold_start.prompt_model_args": recipe.cold_start.prompt_model_args,
        "cold_start.rationale_model_args": recipe.cold_start.rationale_model_args,
        "em.e_step_args": recipe.em.e_step_args,
        "em.m_step_args": recipe.em.m_step_args,
    }


def _check_shape(recipe: Recipe, of_sft: Mapping[str, dict[str, Any]]) -> None:
    """Refuses bases in 4 bits, and shards by DeepSpeed, where these trainings cannot have them."""
    from selfplay.trl_trainers.sharded import sequence, zero
    from selfplay.trl_trainers.variants import quantised

    training, sharding, cut = recipe.training, recipe.compute.sharding, recipe.compute.sequence_parallel > 1
    _check_heads(recipe)
    for field, args in of_sft.items():
        # A model from scratch has no adapter.
        lora = recipe.generator_lora if field.startswith(("cold_start", "em.")) else None
        if fault := quantised.fault_of(args, lora, "generator_lora", sharding):
            raise PreflightError(f"{field}.model_init_kwargs: {fault}")
        if fault := zero.fault_of(args, sharding):
            raise PreflightError(f"compute.sharding: is {sharding}, which {fault} ({field})")
        if cut and (fault := sequence.fault_of(args)):
            raise PreflightError(f"{field}.{fault}")
    for rule, kind in RULES.items():
        by_vllm = rule == "grpo" and training.grpo.rollouts != "transformers"
        args = getattr(training, rule).args
        if fault := quantised.fault_of(args, training.lora, "training.lora", sharding, by_vllm):
            raise PreflightError(f"training.{rule}.args.model_init_kwargs: {fault}")
        if fault := zero.fault_of(args, sharding, by_vllm):
            raise PreflightError(f"compute.sharding: is {sharding}, which {fault} (training.{rule}.args)")
        if cut and kind == "sft" and (fault := sequence.fault_of(args)):
            raise PreflightError(f"training.{rule}.args.{fault}")


def _check_heads(recipe: Recipe) -> None:
    """Refuses to cut sequences over ranks that cannot have equal parts of a model's heads, where these are known."""
    from selfplay.planning.known_models import architecture_of

    ranks = recipe.compute.sequence_parallel
    for field, model in {"model": recipe.model, "generator": recipe.generator}.items():
        if ranks > 1 and model is not None:
            with suppress(UnknownArchitecture):
                sizes = architecture_of(model, field)
                if fault := cut_fault(ranks, sizes.heads, sizes.kv_heads):
                    raise PreflightError(f"compute.sequence_parallel: {fault} ({field})")


def check_all_but_rewards(recipe: Recipe, workers: int) -> None:
    """Checks that need heavy libraries, for a worker to do.

    Raises:
        ArgumentsError, EngineMissing, PreflightError: see what it calls.
    """
    check_served(recipe)
    check_rollouts(recipe, workers)
    check_models(recipe)
    check_sharding(recipe, workers)
    check_trainer_arguments(recipe, workers)


def check_models(recipe: Recipe) -> list[Finding]:
    """Looks up the configuration and the tokenizer of named models, and whether weights on this machine are whole.

    Raises:
        PreflightError: a folder is not there, the hub does not know the name, a chat template is missing, or tensors,
            its weights are quantised and are to be trained, or its positions cannot be stretched.
    """
    from selfplay.engines.configurations import stretched_settings
    from selfplay.engines.loading import look_up
    from selfplay.engines.model_files import ModelError, check_weights

    findings = []
    for field, settings in named_models(recipe).items():
        try:
            found = look_up(settings.name, settings.revision)
            here = found is not None and check_weights(settings.name, settings.revision)
            if found is not None:
                stretched_settings(ModelRef(settings.name, "", settings.revision, stretch=recipe.engine.yarn))
        except ModelError as error:
            raise PreflightError(f"{field}.name: {error}") from error
        if found is None:
            findings.append(Finding(field, f"{settings.name} is not on this machine and no hub answers: not looked up"))
            continue
        if fault := training_fault(recipe, field, found.quantised):
            raise PreflightError(f"{field}.name: {settings.name} {fault}")
        if field != "generator" and settings.prompt_style == "chat" and not found.chat_template:
            raise PreflightError(f"{field}.prompt_style: {settings.name} has no chat template; set it to raw")
        weights = "with all its tensors" if here else "whose weights are not on this machine yet"
        findings.append(Finding(field, f"{settings.name} is a {found.architecture} {weights}"))
    return findings


def named_models(recipe: Recipe) -> dict[str, PretrainedModel | LocalEngine]:
    """The models that the recipe names, by the field that does."""
    named: dict[str, Any] = {"model": recipe.model, "generator": recipe.generator}
    named |= {one.field: one.engine for one in (*annotators(recipe), *teachers(recipe), *prompt_engines(recipe))}
    return {field: model for field, model in named.items() if isinstance(model, PretrainedModel | LocalEngine)}


@dataclass(frozen=True, slots=True)
class NamedEngine:
    """An engine that the recipe names beside the run's own."""

    field: str
    engine: AnnotatorEngine
    sampling: SamplingSettings | None
    """How its completions are drawn; None for one that only scores."""
    budget: Budget | None = None
    """A wider budget than its own that its answers count against."""


def annotators(recipe: Recipe) -> list[NamedEngine]:
    """Those that give seeds concepts and rationales, and the one that scores these."""
    settings, budget = recipe.cold_start, recipe.cold_start.annotation.budget
    found = [
        NamedEngine(f"cold_start.annotators.{name}.engine", one.engine, one.sampling, budget)
        for name, one in settings.annotators.items()
    ]
    if found and settings.annotation.scorer is not None:
        found.append(NamedEngine("cold_start.annotation.scorer", settings.annotation.scorer, None, budget))
    return found


def teachers(recipe: Recipe) -> list[NamedEngine]:
    """The teacher, unless the run trains it first."""
    teacher = recipe.training.sft.teacher if recipe.training.algorithm == "sft" else None
    if teacher is None or isinstance(teacher.engine, ScratchModel):
        return []
    return [NamedEngine("training.sft.teacher.engine", teacher.engine, teacher.sampling)]


def prompt_engines(recipe: Recipe) -> list[NamedEngine]:
    """Those that synthesis, curation and labelling ask."""
    judging, solving = recipe.curation.judging, recipe.curation.solving
    found: dict[str, tuple[AnnotatorEngine, SamplingSettings]] = {}
    if recipe.synthesis.generator is not None:
        found["synthesis.generator"] = (recipe.synthesis.generator, recipe.synthesis.sampling)
    for name, judge in (judging.judges if judging else {}).items():
        found[f"curation.judging.judges.{name}"] = (judge.engine, judge.sampling)
    for name, solver in (solving.solvers if solving else {}).items():
        found[f"curation.solving.solvers.{name}"] = (solver.engine, solver.sampling)
    found |= recipe.labelling.engines
    return [NamedEngine(field, engine, sampling) for field, (engine, sampling) in found.items()]


def check_endpoints(named: Sequence[NamedEngine]) -> list[Finding]:
    """Asks every endpoint among these a short question, and for scores where they will be needed.

    Raises:
        PreflightError: one of them cannot do what will be asked of it.
    """
    from selfplay.engines.api.probe import probe
    from verifiers.endpoint.client import EndpointRefused

    findings = []
    for one in named:
        if isinstance(one.engine, OpenAIEngine):
            sampling = None if one.sampling is None else Sampling.of(one.sampling)
            try:
                found = probe(one.engine, one.field, sampling, scores=sampling is None, budget=one.budget)
            except EndpointRefused as error:
                raise PreflightError(str(error)) from error
            findings.append(Finding(one.field, found))
    return findings


def check_pool(recipe: Recipe) -> list[Finding]:
    """Reads the external prompts and the traces that the recipe names.

    Raises:
        SeedError: a file has a bad row, or holds a held-out problem.
    """
    findings = []
    if recipe.training.pool.external:
        splits: dict[Split, list[Seed]] = {split: [] for split in SPLITS}
        for split, (name, domain) in itertools.product(SPLITS, recipe.domains.items()):
            splits[split] += load_seeds(recipe.seed, name, domain, split, may_lack(recipe))
        reserved = Reserved(recipe.curation, splits["dev"] + splits["heldout"], splits["train"])
        found, leaks = external_tasks(recipe, splits["train"], reserved)
        lost = f"; {leaks} more hold a problem that must stay unseen" if leaks else ""
        findings.append(Finding("training.pool.external", f"{len(found)} prompts with answers or tests{lost}"))
    files = recipe.training.sft.files
    if recipe.training.algorithm == "sft" and files is not None:
        count = sum(1 for _ in file_traces(recipe, files))
        findings.append(Finding("training.sft.files", f"{count} traces"))
    if recipe.training.pair_files is not None:
        count = sum(1 for _ in file_pairs(recipe, recipe.training.pair_files))
        findings.append(Finding("training.dpo.files", f"{count} pairs"))
    return findings


def check_suites(recipe: Recipe) -> list[Finding]:
    """Loads the suites that the recipe measures on.

    Raises:
        SuiteError: one cannot be used.
    """
    return [
        Finding(f"suite {one.name}", f"{len(one.problems)} problems from {one.source}{', ' * bool(one.note)}{one.note}")
        for one in load_suites(recipe.evaluation.suites)
    ]


def check_sandbox(recipe: JudgeSettings) -> list[Finding]:
    """Tries every limit of the sandbox, where a domain runs programs.

    Raises:
        PreflightError: a limit is not enforced and not waived, or there is no sandbox.
    """
    if not any(domain.runs_programs for domain in recipe.domains.values()):
        return []
    settings = recipe.sandbox
    try:
        examined = examine(settings.backend, settings.server, settings.packages)
    except PackageMissing as error:
        raise PreflightError(f"sandbox.packages: {error}") from error
    except SandboxUnavailable as error:
        raise PreflightError(f"sandbox: {error}") from error
    found = examined.findings
    open_doors = [f"{f.limit} ({f.detail})" for f in found if not f.enforced and f.limit not in settings.waive]
    if open_doors:
        raise PreflightError(
            f"sandbox: {examined.backend} does not enforce {', '.join(open_doors)}; name them in sandbox.waive to "
            "accept that"
        )
    enforced = ", ".join(f.limit for f in found if f.enforced)
    return [Finding("sandbox", f"enforces {enforced}, by {examined.backend} ({examined.about})")]
