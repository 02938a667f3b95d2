"""Synthesis at volume: passes, parse failures by reason, and writers at an endpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef, Sample, Sampling
from selfplay.engines.sharded import ShardedEngine
from selfplay.run.directory import RunDirectory
from selfplay.run.records import Prompt, Seed
from selfplay.run.seeding import derive
from selfplay.run.store import ShardStore
from selfplay.stage.context import Context
from selfplay.synthesis.generate import combinations_of, synthesis_stage
from tests.selfplay.engines.openai_server import OpenAIServer, prompt_of
from tests.selfplay.in_process import InProcess
from verifiers.model import Task

GOOD = "<!-- BEGIN RATIONALE -->think {n}<!-- END RATIONALE --><!-- BEGIN PROBLEM -->What is {n}?<!-- END PROBLEM -->"
SEEDS = [
    Seed(str(n), "math", "train", "s", concepts, "easy", "z", Task("x", "1"), "", None)
    for n, concepts in enumerate([("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")])
]
P = ModelRef("p", "p")


class Writer:
    """Writes what its seed says, and garbage to every third prompt."""

    model = P

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], int]] = []

    def stream(
        self, prompts: Sequence[str], how: Sampling, seed: int, on_progress: Any = None
    ) -> Iterator[list[Sample]]:
        self.asked.append((list(prompts), seed))
        texts = [GOOD.format(n=derive(seed, place)) for place in range(len(prompts))]
        faulty = ["no block at all", "<!-- BEGIN RATIONALE --> it breaks off"]
        cut = [place % 6 == 5 for place in range(len(prompts))]
        yield [
            Sample(faulty[place % 6 == 5] if place % 3 == 2 else text, (), not cut[place])
            for place, text in enumerate(texts)
        ]


def settings(**synthesis: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "r",
            "model": {"kind": "scratch"},
            "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
            "synthesis": {"prompts": 6} | synthesis,
        }
    )


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    with RunDirectory.open(tmp_path / "run", settings()) as run:
        yield run


def synthesised(
    run: RunDirectory,
    recipe: Recipe,
    writer: Any = None,
    workers: Any = None,
    base: ModelRef = P,
    notes: list[str] | None = None,
) -> tuple[list[Prompt], dict[str, Any]]:
    context = Context.__new__(Context)
    context.workers = workers
    context.run, context.recipe = run, recipe
    said: list[str] = [] if notes is None else notes
    heard = SimpleNamespace(begin=lambda *_: None, advance=lambda _: None, note=said.append)
    context.listener = heard  # type: ignore[assignment]
    context.engine = lambda model: writer  # type: ignore[method-assign]
    stage = run.stage("synthesis")
    counts = synthesis_stage(stage, context, P, SEEDS, [], base)
    return stage.read("prompts", Prompt), counts


def test_every_pass_has_the_same_combinations_and_a_seed_of_its_own(run: RunDirectory) -> None:
    writer = Writer()
    rows, counts = synthesised(run, settings(passes=3), writer)
    assert len(rows) == counts.made == 18
    assert len({tuple(prompts) for prompts, _ in writer.asked}) == 1
    assert len({seed for _, seed in writer.asked}) == 3
    assert [row.seed for row in rows] == [seed for _, seed in writer.asked for _ in range(6)]
    assert max(Counter(row.concepts for row in rows).values()) >= 3
    assert len({row.id for row in rows}) == 18
    assert len({row.problem for row in rows if not row.dropped}) == 12


def test_no_combination_is_used_again_silently(run: RunDirectory) -> None:
    notes: list[str] = []
    rows, counts = synthesised(run, settings(prompts=15), Writer(), notes=notes)
    new = len({row.concepts for row in rows})
    assert (len(rows), new) == (15, 6), "four concepts make six pairs"
    assert counts.repeated == {"math": 9}
    [said] = notes
    assert "math: its concepts have only 6 new combinations for 15 prompts, so that 9 are asked of one again" in said
    enough: list[str] = []
    _, counts = synthesised(run, settings(prompts=4), Writer(), notes=enough)
    assert (counts.repeated, enough) == (None, [])


def test_a_prompt_carries_its_round_and_the_seeds_of_its_concepts(run: RunDirectory) -> None:
    rows, _ = synthesised(run, settings(), Writer())
    first = {"a": "0", "b": "0", "c": "1", "d": "2"}
    assert {row.round for row in rows} == {1}
    assert all(row.parents == tuple(first[concept] for concept in row.concepts) for row in rows)


def test_a_single_pass_is_the_first_of_many(run: RunDirectory) -> None:
    one, _ = synthesised(run, settings(), Writer())
    many, _ = synthesised(run, settings(passes=2), Writer())
    assert many[:6] == one


def test_what_could_not_be_parsed_is_counted_by_reason(run: RunDirectory) -> None:
    rows, counts = synthesised(run, settings(passes=2), Writer())
    reasons = Counter(row.dropped for row in rows if row.dropped)
    assert counts.lost == dict(reasons) == {"parse: no rationale block": 2, "parse: cut at the token limit": 2}
    assert all(row.completion for row in rows)


def test_finished_shards_of_every_pass_are_found_again(
    run: RunDirectory, tiny_model: ModelRef, in_process: InProcess
) -> None:
    recipe = settings(passes=2, embeddings={"model": "policy"}, sampling={"max_new_tokens": 4})
    own = recipe.engine.model_copy(update={"shard": 2})
    engine = ShardedEngine(tiny_model, own, in_process, ShardStore(run.store_folder / "shards"))  # type: ignore[arg-type]
    rows, _ = synthesised(run, recipe, engine, in_process, tiny_model)
    assert len(rows) == 12
    made = in_process.jobs
    assert made == 1 + 2 * 4, "the embeddings, and four even shards of six prompts a pass"
    for shard in sorted((run.store_folder / "shards").rglob("*.parquet"))[:2]:
        shard.unlink()
    again, _ = synthesised(run, recipe, engine, in_process, tiny_model)
    assert again == rows
    assert in_process.jobs == made + 2


def test_a_writer_at_an_endpoint_is_asked_for_nothing_twice(run: RunDirectory) -> None:
    server = OpenAIServer(reply=lambda prompt, seed: GOOD.format(n=seed))
    server.fault_of = lambda body: "400" if "1. a\n2. b" in prompt_of(body) else ""
    try:
        engine = {"kind": "openai", "model": "writer", "prompt_style": "raw", "endpoint": {"base_url": server.url}}
        recipe = settings(generator=engine, passes=2)
        rows, counts = synthesised(run, recipe)
        asked = len(server.requests)
        again, _ = synthesised(run, recipe)
    finally:
        server.close()
    assert again == rows
    refused = [row for row in rows if row.dropped]
    assert {row.concepts for row in refused} == {("a", "b")}
    assert counts.lost == {"parse: the endpoint refused it": len(refused)}
    assert len(server.requests) == asked + len(refused), "only what was refused is asked again"
    assert {row.model for row in rows} == {"openai/writer"}
    assert len({row.problem for row in rows if not row.dropped}) == len(rows) - len(refused)


def test_domains_and_rounds_draw_apart_and_nobody_what_is_reserved(run: RunDirectory) -> None:
    own = settings(prompts=3)
    context = Context.__new__(Context)
    context.run = run
    context.recipe = own.model_copy(update={"domains": own.domains | {"other": own.domains["math"]}})
    drawn = {
        (domain, number): combinations_of(context, domain, SEEDS, SEEDS[:2], None, number)
        for domain in ("math", "other")
        for number in (1, 2)
    }
    assert len({tuple(planned) for planned in drawn.values()}) == 4
    reserved = {seed.concepts for seed in SEEDS[:2]}
    assert not reserved & {concepts for planned in drawn.values() for concepts, _ in planned}
