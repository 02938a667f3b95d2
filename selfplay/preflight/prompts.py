"""Checks of what synthesis, curation and labels read and ask: concept lists, earlier runs, gates, endpoints."""

from __future__ import annotations

from pathlib import Path

from selfplay.concepts.choice import earlier_runs
from selfplay.concepts.listing import read_concept_list
from selfplay.config.annotation import AnnotatorEngine, OpenAIEngine
from selfplay.config.recipe import Recipe
from selfplay.config.section import SamplingSettings
from selfplay.curation.benchmarks import Unreachable, benchmark_problems
from selfplay.curation.statements import text_gates
from selfplay.engines.base import Sampling
from selfplay.labelling.filters import script_finder
from selfplay.preflight.recipe import Finding, PreflightError


def check_prompts(recipe: Recipe, offline: bool = False) -> list[Finding]:
    """Reads what the recipe names beside its seeds; asks nobody.

    Args:
        recipe: the run.
        offline: whether a benchmark that no hub answers for is only noted.

    Raises:
        SeedError: a list of concepts or a benchmark cannot be used.
        RunError: an earlier run is none.
        PreflightError: a language or a script that nobody knows.
    """
    findings = []
    for name, own in recipe.synthesis.concepts.items():
        if own.file is not None:
            listed = read_concept_list(Path(own.file))
            said = f"{len(listed.counts)} alone, {len(listed.combinations)} combinations"
            findings.append(Finding(f"concepts: {name}", f"{own.file}: {said}"))
    findings += [Finding("coverage", f"{run} counts") for run in earlier_runs(recipe)]
    try:
        text_gates(recipe.curation)
        script_finder(recipe.labelling.scripts)
    except ValueError as error:
        raise PreflightError(str(error)) from error
    return findings + _benchmarks(recipe, offline)


def _benchmarks(recipe: Recipe, offline: bool) -> list[Finding]:
    findings = []
    for name in recipe.curation.benchmarks:
        alone = recipe.curation.model_copy(update={"benchmarks": {name: recipe.curation.benchmarks[name]}})
        try:
            found = benchmark_problems(alone)
        except Unreachable:
            if not offline:
                raise
            findings.append(Finding(f"benchmark: {name}", "no hub answers: not read"))
        else:
            findings.append(Finding(f"benchmark: {name}", f"{len(found[name])} problems that no prompt may contain"))
    return findings


def named_engines(recipe: Recipe) -> dict[str, tuple[AnnotatorEngine, SamplingSettings]]:
    """The engines that synthesis, curation and labelling ask beside the run's own, by the field that names them."""
    found: dict[str, tuple[AnnotatorEngine, SamplingSettings]] = {}
    if recipe.synthesis.generator is not None:
        found["synthesis.generator"] = (recipe.synthesis.generator, recipe.synthesis.sampling)
    judging, solving = recipe.curation.judging, recipe.curation.solving
    for name, judge in (judging.judges if judging else {}).items():
        found[f"curation.judging.judges.{name}"] = (judge.engine, judge.sampling)
    for name, solver in (solving.solvers if solving else {}).items():
        found[f"curation.solving.solvers.{name}"] = (solver.engine, solver.sampling)
    return found | recipe.labelling.engines


def check_prompt_endpoints(recipe: Recipe) -> list[Finding]:
    """Asks every endpoint that synthesis, curation and labelling will ask a short question.

    Raises:
        PreflightError: one of them cannot do what will be asked of it.
    """
    from selfplay.engines.api.probe import probe
    from verifiers.endpoint.client import EndpointRefused

    findings = []
    for field, (engine, how) in named_engines(recipe).items():
        if isinstance(engine, OpenAIEngine):
            try:
                found = probe(engine, field, Sampling.of(how), scores=False)
            except EndpointRefused as error:
                raise PreflightError(str(error)) from error
            findings.append(Finding(field, found))
    return findings
