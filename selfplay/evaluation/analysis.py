"""The analysis of data sets as one object: how varied they are, how far apart, which concepts, which benchmarks.

What is of a run is kept beside it as `analysis.json`, which the run's report shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfplay.config.curation import Curation
from selfplay.evaluation.concept_coverage import concept_coverage
from selfplay.evaluation.contamination import contaminated, near_problems
from selfplay.evaluation.data_sets import DataSet
from selfplay.evaluation.diversity import compared_sets, placed_in_two_dimensions
from selfplay.evaluation.sentence_vectors import sentence_embedder
from selfplay.evaluation.solvability import SolvedProblem, doubts, two_way
from selfplay.run.analysis import KEPT, read_analysis
from selfplay.run.files import write_json
from selfplay.run.place import inside
from selfplay.suites.load import Suite

Found = dict[str, Any]
EXAMPLES = 5
"""Doubtful problems that are kept for the report."""


def analysed(
    sets: Mapping[str, DataSet], suites: Sequence[Suite], settings: Curation, near: float, embeddings: str | None
) -> Found:
    """The analysis of data sets side by side.

    Args:
        sets: by name.
        suites: benchmarks that no text should hold.
        settings: what counts as holding one; see `contaminated`.
        near: cosine from which on a problem of a suite counts as near a text; 0 looks for none.
        embeddings: a sentence model, by folder or hub name; None takes TF-IDF.

    Returns:
        `sets` (figures by name), `concepts` (likewise), the matrices `apart`, `overlap` and `covered`, `places` in two
        dimensions, `contaminated` and `near` (by name), and the names `suites` and `vectors`.
    """
    embed = None if embeddings is None else sentence_embedder(embeddings)
    compared = compared_sets([one.texts for one in sets.values()], embed=embed)
    concepts = concept_coverage([one.concepts for one in sets.values()])
    covered = [[None if math.isnan(one) else one for one in row] for row in concepts.covered.tolist()]
    return {
        "vectors": embeddings or "TF-IDF",
        "sets": {name: one.model_dump() for name, one in zip(sets, compared.figures, strict=True)},
        "concepts": {name: one.model_dump() for name, one in zip(sets, concepts.figures, strict=True)},
        "apart": compared.apart.tolist(),
        "overlap": compared.overlap.tolist(),
        "covered": covered,
        "places": placed_in_two_dimensions(compared.apart).tolist(),
        "contaminated": {
            name: [asdict(one) for one in contaminated(given.texts, suites, settings)] for name, given in sets.items()
        },
        "near": {
            name: [asdict(one) for one in near_problems(given.texts, suites, near, embed)] if near else []
            for name, given in sets.items()
        },
        "suites": [one.name for one in suites],
    }


def difficulty_facts(problems: Sequence[SolvedProblem], threshold: int, weak: str, strong: str) -> Found:
    """The two-way table of difficulty and solvability, as the report shows it.

    Args:
        problems: as both solvers were measured.
        threshold: score of the judge below which a problem is ill-posed.
        weak: name of the weak solver.
        strong: that of the reference.
    """
    doubtful = [{"problem": one.problem, "why": why} for one in problems if (why := doubts(one, threshold))]
    return {"weak": weak, "strong": strong, "rows": two_way(problems, threshold), "doubtful": doubtful[:EXAMPLES]}


def keep_distribution(run: Path, found: Found) -> None:
    """Keeps an analysis of data sets beside a run, in place of an earlier one.

    Raises:
        RunError: the file is damaged, cannot be written, or leads elsewhere.
    """
    names = list(found["sets"])
    shown = [
        {"name": name, "place": found["places"][at], **found["sets"][name], "concepts": found["concepts"][name]}
        for at, name in enumerate(names)
    ]
    pairs = [
        {
            "first": first,
            "other": other,
            "apart": found["apart"][one][two],
            "overlap": [found["overlap"][one][two], found["overlap"][two][one]],
            "covered": [found["covered"][one][two], found["covered"][two][one]],
        }
        for one, first in enumerate(names)
        for two, other in enumerate(names)
        if one < two
    ]
    leaks = [
        {"name": name, "suite": suite, "count": sum(leak["suite"] == suite for leak in found["contaminated"][name])}
        for name in names
        for suite in found["suites"]
    ]
    _keep(run, "distribution", {"vectors": found["vectors"], "sets": shown, "pairs": pairs, "leaks": leaks})


def keep_difficulty(run: Path, facts: Found) -> None:
    """Keeps a two-way table beside a run, in place of an earlier one. Raises RunError as `keep_distribution` does."""
    _keep(run, "difficulty", facts)


def _keep(run: Path, part: str, facts: Found) -> None:
    known = read_analysis(run)
    write_json(inside(run, KEPT), {name: one for name, one in known.items() if one} | {part: facts})
