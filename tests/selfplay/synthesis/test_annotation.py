"""From seed problems to triples, against a real server that also misbehaves."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from selfplay import formats
from selfplay.cli.views import annotation_view
from selfplay.config.compute import EngineSettings
from selfplay.config.load import load_recipe
from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef, ScoringRequest
from selfplay.engines.sharded import ShardedEngine
from selfplay.pipeline.launch import uses_workers
from selfplay.pipeline.stages import end_of_prompts, stage_table, synthesis_stages
from selfplay.preflight.rewards import check_rewards
from selfplay.run.store import ShardStore
from selfplay.synthesis.annotation_wave import turns
from tests.selfplay.engines.openai_server import OpenAIServer, openai_server, scores_of
from tests.selfplay.synthesis.annotators import annotate, annotator, problem, recipe_file, teach

QUICKSTART = {"kind": "quickstart", "grammar": "math"}


def test_bare_problems_become_triples(server: OpenAIServer, tmp_path: Path, in_process: Any) -> None:
    recipe = recipe_file(tmp_path, {"teacher": annotator(server.url)}, [problem(n) for n in range(8)])
    found = annotate(tmp_path / "run", recipe, in_process)
    assert len(found.train) == 8
    for seed, row in zip(found.train, found.rows, strict=False):
        concepts, rationale = row.answers
        assert (seed.id, seed.level) == (row.seed_id, "easy")
        assert seed.concepts == (f"concept {concepts.seed % 5}", "sums", "whole numbers")
        assert seed.rationale == f"Start from {seed.concepts[0]}, seed {rationale.seed}."
        assert (row.concepts_by, row.rationale_by, row.attempts, row.dropped) == ("teacher", "teacher", 2, "")
        assert (concepts.asked_for, rationale.asked_for) == ("concepts", "rationale")
    assert found.counts["triples"] == 8
    assert found.listener.done == 11
    sent = server.prompts()
    assert any("What is 3 + 2?" in prompt and "Name the 3 concepts" in prompt for prompt in sent)
    assert any("1. concept" in prompt and "<level>easy</level>" in prompt for prompt in sent)


def test_held_out_problems_get_concepts_alone(server: OpenAIServer, tmp_path: Path, in_process: Any) -> None:
    found = annotate(tmp_path / "run", recipe_file(tmp_path, {"t": annotator(server.url)}, [problem(0)]), in_process)
    assert [len(seed.concepts) for seed in found.heldout] == [3, 3, 3]
    assert [seed.rationale for seed in found.heldout] == [""] * 3
    assert len(server.requests) == 2 + 3


def test_what_a_problem_carries_is_taken_as_it_is(server: OpenAIServer, tmp_path: Path, in_process: Any) -> None:
    whole = problem(0) | {"concepts": ["mine"], "rationale": "My own.", "level": "hard"}
    named = problem(1) | {"concepts": ["mine", "too"]}
    thought = problem(2) | {"rationale": "My thought."}
    heldout = [problem(1000) | {"concepts": ["known"]}]
    recipe = recipe_file(tmp_path, {"t": annotator(server.url)}, [whole, named, thought], heldout)
    found = annotate(tmp_path / "run", recipe, in_process)
    assert [(s.concepts, s.rationale, s.level) for s in found.train[:1]] == [(("mine",), "My own.", "hard")]
    assert found.train[1].concepts == ("mine", "too")
    assert found.train[1].rationale.startswith("Start from mine, seed")
    assert found.train[2].rationale == "My thought."
    assert [(row.concepts_by, row.rationale_by, row.attempts) for row in found.rows] == [
        ("seed", "seed", 0),
        ("seed", "t", 1),
        ("t", "seed", 1),
        ("seed", "", 0),
    ]
    assert found.counts["as_they_were"] == 1
    assert len(server.requests) == 2


def test_without_rationales_none_is_asked_for(server: OpenAIServer, tmp_path: Path, in_process: Any) -> None:
    recipe = recipe_file(tmp_path, {"t": annotator(server.url)}, [problem(0)], em={"rationales": False})
    found = annotate(tmp_path / "run", recipe, in_process)
    assert (len(found.train), found.train[0].rationale) == (1, "")


def test_unusable_answers_are_asked_for_again_with_other_seeds(
    server: OpenAIServer, tmp_path: Path, in_process: Any
) -> None:
    bad: dict[str, str] = {}

    def sometimes(prompt: str, seed: int) -> str:
        if prompt not in bad:
            bad[prompt] = f"I would rather not, {seed}."
            return bad[prompt]
        return teach(prompt, seed)

    server.reply = sometimes
    recipe = recipe_file(tmp_path, {"t": annotator(server.url)}, [problem(n) for n in range(4)])
    found = annotate(tmp_path / "run", recipe, in_process)
    assert len(found.train) == 4
    first = found.rows[0].answers
    assert [(a.asked_for, a.attempt, a.fault) for a in first] == [
        ("concepts", 0, "no list of concepts"),
        ("concepts", 1, ""),
        ("rationale", 0, "no rationale block"),
        ("rationale", 1, ""),
    ]
    assert len({answer.seed for answer in first}) == 4
    assert first[0].excerpt == f"I would rather not, {first[0].seed}."
    (row,) = found.counts["annotators"]
    assert row["failures"] == {"concepts: no list of concepts": 7, "rationale: no rationale block": 4}
    assert (row["asked"], row["used"], row["rationales"]) == (22, 11, 4)


def test_the_next_annotator_takes_over_and_keeps_the_concepts(tmp_path: Path, in_process: Any) -> None:
    def thoughtless(prompt: str, seed: int) -> str:
        return teach(prompt, seed) if "<concepts>" not in prompt else "no thoughts"

    with openai_server(thoughtless) as weak, openai_server(teach) as strong:
        annotators = {"weak": annotator(weak.url, share=1e6), "strong": annotator(strong.url, share=1e-6)}
        recipe = recipe_file(tmp_path, annotators, [problem(n) for n in range(3)], annotation={"attempts": 2})
        found = annotate(tmp_path / "run", recipe, in_process)
    assert [(row.concepts_by, row.rationale_by) for row in found.rows[:3]] == [("weak", "strong")] * 3
    assert [(a.annotator, a.asked_for) for a in found.rows[0].answers] == [
        ("weak", "concepts"),
        ("weak", "rationale"),
        ("weak", "rationale"),
        ("strong", "rationale"),
    ]
    assert len(strong.requests) == 3


@pytest.mark.parametrize("fault", ["400", "close", "404"])
def test_an_annotator_that_gives_no_answer_is_passed_over(tmp_path: Path, in_process: Any, fault: str) -> None:
    with openai_server(teach, fault_of=lambda body: fault) as bad, openai_server(teach) as good:
        annotators = {"bad": annotator(bad.url, endpoint={"attempts": 2}), "good": annotator(good.url)}
        recipe = recipe_file(tmp_path, annotators, [problem(n) for n in range(12)])
        found = annotate(tmp_path / "run", recipe, in_process)
    assert len(found.train) == 12
    assert {row.rationale_by for row in found.rows if row.split == "train"} == {"good"}
    failed = [answer for row in found.rows for answer in row.answers if answer.fault]
    assert {(a.annotator, a.fault) for a in failed} == {("bad", "request refused" if fault == "400" else "no answer")}
    assert failed[0].excerpt


def test_a_problem_that_nobody_can_annotate_is_dropped_with_a_reason(
    server: OpenAIServer, tmp_path: Path, in_process: Any
) -> None:
    server.reply = lambda prompt, seed: "no" if "What is 3 +" in prompt or "1001" in prompt else teach(prompt, seed)
    recipe = recipe_file(tmp_path, {"t": annotator(server.url)}, [problem(n) for n in range(5)])
    found = annotate(tmp_path / "run", recipe, in_process)
    assert [seed.problem for seed in found.train] == [f"What is {n} + 2?" for n in (0, 1, 2, 4)]
    (lost,) = [row for row in found.rows if row.dropped and row.split == "train"]
    assert (lost.dropped, lost.attempts) == ("annotation: no concepts: no list of concepts", 3)
    assert found.counts["lost"] == {lost.dropped: 1}
    # A held-out problem without concepts is still evaluated on.
    assert [seed.concepts == () for seed in found.heldout] == [False, True, False]
    assert found.counts["heldout_without_concepts"] == 1


def test_faults_and_concurrency_change_no_table(tmp_path: Path, in_process: Any) -> None:
    problems = [problem(n) for n in range(50)]
    kinds = ["429 0", "500", "garbage", "truncate", "close", *[""] * 12]
    tables = []
    for number, concurrency in enumerate((1, 16)):
        rng = random.Random(number)
        with openai_server(unsteady, fault_of=lambda body, rng=rng: rng.choice(kinds)) as server:
            endpoint = {"concurrency": concurrency, "attempts": 50, "pause_s": 0.001, "longest_pause_s": 0.01}
            annotators = {name: annotator(server.url, name, endpoint=endpoint) for name in ("a", "b")}
            recipe = recipe_file(tmp_path, annotators, problems)
            found = annotate(tmp_path / str(number), recipe, in_process)
        tables.append((found.train, found.heldout, found.rows, found.counts))
    assert tables[0] == tables[1]
    assert len(tables[0][0]) > 30
    assert tables[0][3]["annotators"][0]["failures"]


def unsteady(prompt: str, seed: int) -> str:
    """A third of its answers cannot be used."""
    return teach(prompt, seed) if seed % 3 else "..."


def test_shares_and_turns() -> None:
    shares = {"a": 3.0, "b": 1.0}
    first = Counter(turns(0, str(n), shares)[0] for n in range(4000))
    assert 0.72 < first["a"] / 4000 < 0.78
    assert turns(0, "x", shares) == turns(0, "x", {"b": 1.0, "a": 3.0})
    assert any(turns(0, str(n), shares) != turns(1, str(n), shares) for n in range(50)), "a run's seed decides"
    # Another annotator takes problems from the others, and moves none between them.
    for n in range(300):
        more = turns(0, str(n), shares | {"c": 1.0})
        assert [name for name in more if name != "c"] == turns(0, str(n), shares)


def test_a_model_of_this_machine_annotates_too(
    server: OpenAIServer, tmp_path: Path, tiny_model: ModelRef, in_process: Any
) -> None:
    """It has never learnt anything, so that its answers fail, are counted, and the endpoint takes over."""
    local = {
        "engine": {"kind": "local", "name": tiny_model.path, "dtype": "float32", "prompt_style": "raw"},
        "sampling": {"max_new_tokens": 4},
        "share": 1e6,
    }
    annotators = {"local": local, "remote": annotator(server.url, share=1e-6)}
    recipe = recipe_file(tmp_path, annotators, [problem(n) for n in range(3)], annotation={"attempts": 2})
    found = annotate(tmp_path / "run", recipe, in_process)
    assert {row.rationale_by for row in found.rows if row.split == "train"} == {"remote"}
    tried = [answer for row in found.rows for answer in row.answers if answer.annotator == "local"]
    assert len(tried) == 2 * 6
    assert all(answer.fault and answer.prompt_tokens > 50 and answer.cost == 0 for answer in tried)
    jobs = in_process.jobs
    assert annotate(tmp_path / "unbroken", recipe, in_process).rows == found.rows
    assert in_process.jobs == 2 * jobs


@pytest.mark.parametrize("kind", ["local", "openai"])
def test_a_scorer_weighs_every_triple(
    server: OpenAIServer, tmp_path: Path, tiny_model: ModelRef, in_process: Any, kind: str
) -> None:
    local = {"kind": "local", "name": tiny_model.path, "dtype": "float32", "prompt_style": "raw"}
    server.score = scores_of(tiny_model.path)
    remote = annotator(server.url, tokenizer=tiny_model.path)["engine"]
    scorer = {"scorer": local if kind == "local" else remote}
    recipe = recipe_file(tmp_path, {"t": annotator(server.url)}, [problem(n) for n in range(3)], annotation=scorer)
    found = annotate(tmp_path / "run", recipe, in_process)
    engine = ShardedEngine(tiny_model, EngineSettings(), in_process, ShardStore(tmp_path / "shards"))
    domain = load_recipe(recipe).domains["math"]
    for seed, row in zip(found.train, found.rows, strict=False):
        blocks = (formats.rationale_block(seed.rationale), formats.problem_block(seed.problem))
        request = ScoringRequest(formats.prompt_input(domain, seed.concepts, seed.level), blocks)
        expected = engine.score([request])[0]
        assert (row.log_p_rationale, row.log_p_problem) == pytest.approx(expected, abs=1e-3)
    assert all(row.log_p_problem is None for row in found.rows if row.split == "heldout")


def test_a_third_domain_is_a_recipe(
    server: OpenAIServer, tmp_path: Path, in_process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chemistry: seeds, templates and the name of a verifier, and nothing in the code."""
    (tmp_path / "chem_rules.py").write_text(
        "from verifiers.model import Task, Verdict\n"
        "class SameFormula:\n"
        "    name = 'same_formula'\n"
        "    def extract(self, completion: str) -> str | None:\n"
        "        return (completion.split() or [None])[-1]\n"
        "    def equal(self, first: str, second: str) -> bool:\n"
        "        return first == second\n"
        "    def verify(self, task: Task, completion: str) -> Verdict:\n"
        "        right = self.extract(completion) == task.answer\n"
        "        return Verdict(right, float(right), 'correct' if right else 'wrong', '')\n"
        "    def verify_many(self, items):\n"
        "        return [self.verify(*item) for item in items]\n"
        "    def close(self) -> None: ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    domain = {
        "verifier": "chem_rules:SameFormula",
        "annotation": {
            "concepts": "Chemistry: {problem}\nA JSON list of {count} laws.",
            "rationale": "<concepts>{concepts}</concepts> at {level}: why {problem}?",
        },
    }
    seed = {"problem": "What is the formula of table salt?", "answer": "NaCl", "solution": "It is NaCl"}
    heldout = [{"problem": "What is the formula of water?", "answer": "H2O", "solution": "It is H2O"}]
    recipe = recipe_file(tmp_path, {"t": annotator(server.url)}, [seed], heldout, domain=domain)
    settings = yaml.safe_load(recipe.read_text())
    settings["domains"] = {"chemistry": settings["domains"]["math"]}
    recipe.write_text(yaml.safe_dump(settings))
    loaded = load_recipe(recipe)
    assert check_rewards(loaded)[0].detail.startswith("2 right answers pass, 0 wrong ones fail; by ")
    found = annotate(tmp_path / "run", loaded, in_process, "chemistry")
    assert len(found.train[0].concepts) == 3
    assert found.train[0].rationale.startswith("Start from concept")
    assert "Chemistry: What is the formula of table salt?\nA JSON list of 3 laws." in server.prompts()


def test_what_annotation_did_is_shown(server: OpenAIServer, tmp_path: Path, in_process: Any) -> None:
    server.reply = lambda prompt, seed: "no" if "What is 3 +" in prompt else teach(prompt, seed)
    priced = annotator(server.url, prices={"prompt": 10.0, "completion": 20.0})
    recipe = recipe_file(tmp_path, {"t": priced}, [problem(n) for n in range(5)])
    found = annotate(tmp_path / "run", recipe, in_process)
    with (console := Console(width=120)).capture() as shown:
        console.print(annotation_view(found.counts, "some/[bold]folder"))
    lines = shown.get().splitlines()
    assert lines[0].startswith("4 triples, 0 of them as they came; 1 problems could not be annotated; ")
    assert f"cost {found.counts['cost']:.4f}" in lines[0]
    assert lines[2].split()[:4] == ["t", "14", "11", "4"]
    assert "concepts: no list of concepts (3)" in lines[2]
    assert lines[3] == "some/[bold]folder"


def test_stages_have_their_place() -> None:
    bare = {"name": "r", "model": {"kind": "scratch"}, "domains": {"m": {"seeds": QUICKSTART}}, "em": {"rounds": 1}}
    whole = bare | {"cold_start": {"annotators": {"t": annotator("http://127.0.0.1:1/v1")}}}
    plain, annotated = Recipe.model_validate(bare), Recipe.model_validate(whole)
    table = stage_table(annotated)
    prompts = ["seeds", "annotation", "base", "cold_start", "em_1", "synthesis", "curation"]
    assert synthesis_stages(table) == [*prompts, "labelling"]
    assert end_of_prompts(table) == "curation"
    assert [name for name in table if name != "annotation"] == list(stage_table(plain))
    assert list(table)[: len(synthesis_stages(table))] == synthesis_stages(table)
    assert not uses_workers(annotated, table, "annotation")
    assert uses_workers(annotated, table, "base")
    assert uses_workers(annotated, table, None)
