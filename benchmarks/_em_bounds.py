"""The importance-weighted bound at many K: one draw of rationales from each q serves every K and every p.

Of K_max samples a pair, the bound at a smaller K is the mean over all disjoint groups of K of them: each group is such
a bound, so the mean is one, too, with less noise. log q comes with the draw, and equal rationales are scored once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._em_draw import draw_many
from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef, Sample, Sampling, Segment
from selfplay.engines.sharded import ShardedEngine
from selfplay.run.files import read_json, write_json
from selfplay.run.records import Seed
from selfplay.run.seeding import derive
from selfplay.run.store import ShardStore, content_key
from selfplay.run.tables import read_table
from selfplay.synthesis.cold_start import PROMPT_MODEL, RATIONALE_MODEL, ModelPair
from selfplay.synthesis.em import measured_pairs
from selfplay.synthesis.likelihood import for_rationale_model, is_whole, joint, without_rationale
from selfplay.trl_trainers.model_folder import trained_model

SIZES = (8, 32, 128, 512, 1024)
"""K of the curve."""
FILE = "ablation-bounds.json"


class InThisProcess:
    """Stands for the workers of a run: every job is done here, one after the other."""

    device, count = "cpu", 1

    def as_done(self, function: Any, jobs: Any) -> Iterator[tuple[int, Any]]:
        """Does the jobs in order."""
        for place, job in enumerate(jobs):
            yield place, function(job)


def curves_of(folder: Path, sizes: Sequence[int], most: int | None = None) -> dict[str, dict[str, float]]:
    """The bound on -log p(x|c), nats a problem, by K, after the cold start and after the last round of a run.

    It is of the first `most` of the run's held-out pairs, or of all. What is found is kept beside the run, and drawn
    rationales in a store that all runs of the seed share.
    """
    recipe = Recipe.model_validate(read_json(folder / "recipe.json"))
    pairs = heldout_pairs(folder, recipe)[:most]
    store = ShardStore(folder.parent / "bounds")
    known = read_json(folder / FILE) if (folder / FILE).exists() else {}
    found = {}
    states = {"cold_start": models_after(folder, 0), "last": models_after(folder, recipe.em.rounds)}
    for name, models in states.items():
        of = [models.p.fingerprint, models.q and models.q.fingerprint]
        key = json.dumps([*of, list(sizes), len(pairs)])
        if key not in known:
            known[key] = curve(recipe, models, pairs, sizes, store)
            write_json(folder / FILE, known)
        found[name] = known[key]
    return found


def heldout_pairs(folder: Path, recipe: Recipe) -> list[Seed]:
    """The pairs on which the run's own measures were taken."""
    split = "dev" if recipe.em.decides else recipe.evaluation.split
    files = [folder / "stages" / "seeds" / f"{domain}-{split}.parquet" for domain in recipe.domains]
    seeds = [seed for file in files for seed in read_table(file, Seed)[: recipe.evaluation.problems]]
    return measured_pairs(recipe, [seed for seed in seeds if seed.concepts])


def models_after(folder: Path, rounds: int) -> ModelPair:
    """p and q after so many rounds of EM; a q that no round trained is the cold start's."""
    stages = [folder / "stages" / "cold_start", *(folder / "stages" / f"em_{n + 1}" for n in range(rounds))]
    q = next((stage / RATIONALE_MODEL for stage in reversed(stages) if (stage / RATIONALE_MODEL).exists()), None)
    return ModelPair(trained_model(stages[-1] / PROMPT_MODEL), None if q is None else trained_model(q))


def curve(
    recipe: Recipe, models: ModelPair, pairs: Sequence[Seed], sizes: Sequence[int], store: ShardStore
) -> dict[str, float]:
    """The mean bound over the pairs by K; one and the same, and exact, where p writes no rationale."""
    p = _engine(recipe, models.p, store)
    if models.q is None:
        exact = -float(np.mean(without_rationale(p, recipe, pairs)))
        return {str(size): exact for size in sizes}
    drawn = _draw(recipe, models.q, pairs, max(sizes), store)
    weights = np.array([log_weights(recipe, p, pair, own) for pair, own in zip(pairs, drawn, strict=True)])
    return {str(size): -float(np.mean(nested_bounds(weights, size))) for size in sizes}


def _engine(recipe: Recipe, model: ModelRef, store: ShardStore) -> ShardedEngine:
    return ShardedEngine(model, recipe.engine, InThisProcess(), store)  # type: ignore[arg-type]


def _draw(recipe: Recipe, q: ModelRef, pairs: Sequence[Seed], count: int, store: ShardStore) -> list[list[Sample]]:
    """`count` rationales a pair from q itself; each pair has a seed of its own, whatever the others are."""
    sampling = Sampling.of(recipe.em.sampling, temperature=1.0)
    found = []
    for pair in pairs:
        prompt, seed = for_rationale_model(recipe, pair), derive(recipe.seed, "bounds", pair.id)
        key = content_key("draw many", q.fingerprint, sampling.known(), prompt, count, seed)
        if not store.has(key):
            store.put(key, [asdict(sample) for sample in draw_many(q, prompt, sampling, count, seed)])
        found.append([_sample(row) for row in store.read(key)])
    return found


def _sample(row: Mapping[str, Any]) -> Sample:
    return Sample(row["text"], tuple(row["token_ids"]), row["complete"], logprobs=tuple(row["logprobs"]))


def log_weights(recipe: Recipe, p: ShardedEngine, pair: Seed, samples: Sequence[Sample]) -> list[float]:
    """log p(z, x|c) - log q(z|c,x) of a pair's samples, nats; -inf for one that is no whole rationale."""
    blocks: list[Segment] = list(dict.fromkeys(sample.token_ids for sample in samples if is_whole(sample)))
    scores = joint(p, recipe, [(pair, block) for block in blocks])
    of_block = dict(zip(blocks, (score.total for score in scores), strict=True))
    return [
        of_block[one.token_ids] - math.fsum(one.logprobs[: len(one.token_ids)]) if is_whole(one) else -math.inf
        for one in samples
    ]


def nested_bounds(weights: Any, size: int) -> Any:
    """The bound on log p(x|c) of each pair at K = `size`: the mean over all disjoint groups of so many samples.

    Args:
        weights: log weights [pairs, samples]; -inf counts in K with weight 0.
        size: K; what is left over of the samples is not looked at.

    Returns:
        [pairs], nats; -inf where some group has no weight at all.
    """
    groups = weights.shape[1] // size
    each = weights[:, : groups * size].reshape(len(weights), groups, size)
    return (np.logaddexp.reduce(each, axis=2) - math.log(size)).mean(axis=1)
