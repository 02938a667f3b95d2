"""Checks of what synthesis, curation and labels read: concept lists, earlier runs, gates, benchmarks."""

from __future__ import annotations

from pathlib import Path

from selfplay.concepts.choice import earlier_runs
from selfplay.concepts.listing import read_concept_list
from selfplay.config.recipe import Recipe
from selfplay.curation.benchmarks import benchmark_problems
from selfplay.curation.statements import script_gate, text_gates
from selfplay.preflight.recipe import Finding, PreflightError
from selfplay.seeds.rows import Unreachable


def check_prompts(recipe: Recipe, offline: bool = False) -> list[Finding]:
    """Reads what the recipe names beside its seeds; asks nobody.

    Args:
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
        script_gate(recipe.labelling.scripts, "labelling.scripts")
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
