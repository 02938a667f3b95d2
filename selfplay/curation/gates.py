"""The curation stage: gates in order, each of which drops prompts with a reason; nothing leaves the table."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from selfplay.config import Curation
from selfplay.context import Context
from selfplay.curation.decontamination import NgramIndex
from selfplay.curation.duplicates import exact_duplicates, near_duplicates
from selfplay.curation.words import words
from selfplay.records import Prompt, Seed
from selfplay.run import Stage

Reasons = Mapping[str, str]


def curation_stage(
    stage: Stage, context: Context, prompts: Sequence[Prompt], seeds: Sequence[Seed], heldout: Sequence[Seed]
) -> dict[str, Any]:
    """Writes `prompts`: those that parsed, with the gate that dropped them where one did."""
    parsed = [prompt for prompt in prompts if not prompt.dropped]
    rows = curate(parsed, context.recipe.curation, seeds, heldout)
    stage.write("prompts", Prompt, rows)
    return {
        "kept": sum(not row.dropped for row in rows),
        "lost": dict(Counter(row.dropped.partition(" (")[0] for row in rows if row.dropped)),
    }


def curate(
    prompts: Sequence[Prompt], settings: Curation, seeds: Sequence[Seed], heldout: Sequence[Seed]
) -> list[Prompt]:
    """The prompts with `dropped` filled in by the first gate that refuses each."""
    dropped: dict[str, str] = {}
    for domain in sorted({prompt.domain for prompt in prompts}):
        theirs = [seed.problem for seed in heldout if seed.domain == domain]
        common = [seed.problem for seed in seeds if seed.domain == domain]
        left = {prompt.id: prompt.problem for prompt in prompts if prompt.domain == domain}
        for reasons in (
            _length(left, settings),
            _contaminated(left, settings, theirs, common),
            _copied(left, common),
            {key: f"exact duplicate (of {other})" for key, other in exact_duplicates(left).items()},
        ):
            dropped.update({key: reason for key, reason in reasons.items() if key not in dropped})
        left = {key: text for key, text in left.items() if key not in dropped}
        dropped |= {key: f"near duplicate (of {other})" for key, other in near_duplicates(left, settings).items()}
    return [dataclasses.replace(prompt, dropped=dropped.get(prompt.id, "")) for prompt in prompts]


def _length(problems: Reasons, settings: Curation) -> dict[str, str]:
    counts = {key: len(text.split()) for key, text in problems.items()}
    short = {key: "too short" for key, count in counts.items() if count < settings.min_words}
    return short | {key: "too long" for key, count in counts.items() if count > settings.max_words}


def _copied(problems: Reasons, seeds: Sequence[str]) -> dict[str, str]:
    known = {tuple(words(seed)) for seed in seeds}
    return {key: "copy of a seed" for key, text in problems.items() if tuple(words(text)) in known}


def _contaminated(
    problems: Reasons, settings: Curation, heldout: Sequence[str], seeds: Sequence[str]
) -> dict[str, str]:
    if not settings.decontamination_ngram:
        return {}
    common = seeds if settings.decontamination_spares_seed_wording else ()
    index = NgramIndex(heldout, settings.decontamination_ngram, common)
    return {key: "contaminated" for key, text in problems.items() if index.hits(text)}
