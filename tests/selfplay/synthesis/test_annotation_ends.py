"""What ends annotation before its time, against a real server, and how the same command goes on."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from handbook.metrics import unknown
from selfplay.config.load import load_recipe
from selfplay.engines.api.budget import TokenUsage
from selfplay.seeds.stage import ANNOTATIONS, load_seeds
from selfplay.synthesis.annotation import AnnotationStopped, BudgetReached
from selfplay.synthesis.annotation_wave import Wave, Work
from tests.selfplay.engines.openai_server import OpenAIServer
from tests.selfplay.synthesis.annotators import annotate, annotator, problem, recipe_file


def test_nothing_but_failures_stops_the_run(server: OpenAIServer, tmp_path: Path, in_process: Any) -> None:
    server.reply = lambda prompt, seed: "no"
    recipe = recipe_file(tmp_path, {"t": annotator(server.url)}, [problem(0)])
    with pytest.raises(AnnotationStopped, match=r"no train problem could be annotated: t: no list of concepts \(3\)"):
        annotate(tmp_path / "run", recipe, in_process)


def test_an_outage_drops_nothing_and_the_same_command_goes_on(
    server: OpenAIServer, tmp_path: Path, in_process: Any
) -> None:
    recipe = recipe_file(
        tmp_path, {"t": annotator(server.url, endpoint={"attempts": 1})}, [problem(n) for n in range(20)]
    )
    server.fault_of = lambda body: "503" if len(server.requests) > 15 else ""
    with pytest.raises(AnnotationStopped, match=r"got no answer from any annotator \(t: .*503.*mend or restart"):
        annotate(tmp_path / "run", recipe, in_process)
    answered = server.answered
    server.fault_of = lambda body: ""
    found = annotate(tmp_path / "run", recipe, in_process)
    assert len(found.train) == 20
    assert server.answered == 2 * 20 + 3
    assert answered >= 15
    assert found.rows == annotate(tmp_path / "unbroken", recipe, in_process).rows


def test_what_is_left_over_may_be_dropped(server: OpenAIServer, tmp_path: Path, in_process: Any) -> None:
    """A problem on which a server always breaks would hold up the run for ever, and a budget may be all there is."""
    server.fault_of = lambda body: "500" if "What is 3 +" in str(body) else ""
    once = annotator(server.url, endpoint={"attempts": 2})
    recipe = recipe_file(tmp_path, {"t": once}, [problem(n) for n in range(6)])
    with pytest.raises(AnnotationStopped, match=r"1 problems got no answer .*cold_start\.annotation\.unfinished=drop"):
        annotate(tmp_path / "run", recipe, in_process)
    drop = load_recipe(recipe, ["cold_start.annotation.unfinished=drop"])
    found = annotate(tmp_path / "run", drop, in_process)
    assert (found.counts["triples"], found.counts["lost"]) == (5, {"annotation: no concepts: no answer": 1})
    one = annotator(server.url, endpoint={"concurrency": 1})
    recipe = recipe_file(tmp_path, {"t": one}, [problem(n) for n in range(6)])
    poor = load_recipe(recipe, ["cold_start.annotation.unfinished=drop", "cold_start.annotation.budget.tokens=1000"])
    server.fault_of = lambda body: ""
    found = annotate(tmp_path / "poor", poor, in_process)
    assert 0 < found.counts["triples"] < 6
    lost = {row.dropped for row in found.rows if row.dropped}
    assert lost <= {"annotation: no concepts: budget spent", "annotation: no rationale: budget spent"}


def test_a_budget_stops_and_a_higher_one_goes_on(server: OpenAIServer, tmp_path: Path, in_process: Any) -> None:
    priced = annotator(server.url, prices={"prompt": 1e6, "completion": 1e6})
    recipe = recipe_file(tmp_path, {"t": priced}, [problem(n) for n in range(20)])
    poor = load_recipe(recipe, ["cold_start.annotation.budget.cost=1000"])
    with pytest.raises(BudgetReached, match=r"cold_start\.annotation\.budget\.cost: .* of 1000 are spent: \d+ of 23"):
        annotate(tmp_path / "run", poor, in_process)
    asked = len(server.requests)
    assert 0 < asked < 2 * 20 + 3
    with pytest.raises(BudgetReached):
        annotate(tmp_path / "run", poor, in_process)
    assert len(server.requests) == asked
    rich = load_recipe(recipe, ["cold_start.annotation.budget.cost=100000"])
    found = annotate(tmp_path / "run", rich, in_process)
    assert len(server.requests) == 2 * 20 + 3
    assert found.counts["cost"] == found.counts["tokens"] == sum(row.cost for row in found.rows)
    assert found.counts["cost"] == found.listener.metrics[-1]["cost"]
    assert found.counts["tokens"] == found.listener.metrics[-1]["tokens"]
    assert unknown(set(found.listener.metrics[-1])) == set()
    assert found.rows == annotate(tmp_path / "unbroken", recipe, in_process).rows


def test_one_endpoints_budget_stops_too(server: OpenAIServer, tmp_path: Path, in_process: Any) -> None:
    recipe = recipe_file(tmp_path, {"t": annotator(server.url, budget={"tokens": 300})}, [problem(n) for n in range(9)])
    with pytest.raises(BudgetReached, match=r"higher cold_start\.annotators\.t\.engine\.budget\.tokens"):
        annotate(tmp_path / "run", recipe, in_process)


def test_a_fault_does_not_wait_for_the_other_annotators(tmp_path: Path) -> None:
    """Nor does an interrupt: a batch on this machine may take hours."""
    recipe = load_recipe(recipe_file(tmp_path, {"t": annotator("http://127.0.0.1:1/v1")}, [problem(0)]))
    go_on = threading.Event()

    class Broken:
        name, model, temperature = "broken", "m", 1.0

        def answer(self, questions: Any, seed: int) -> Any:
            raise ZeroDivisionError

        def usage(self, sample: Any) -> TokenUsage:
            return TokenUsage()

    class Slow(Broken):
        name = "slow"

        def answer(self, questions: Any, seed: int) -> Any:
            assert go_on.wait(60)
            return []

    seeds = load_seeds(0, "math", recipe.domains["math"], "heldout", ANNOTATIONS)
    works = [Work(seeds[0], ["broken"], False), Work(seeds[1], ["slow"], False)]
    begun = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        Wave(recipe, {"broken": Broken(), "slow": Slow()}, lambda count: None).run(0, works)
    assert time.monotonic() - begun < 50
    go_on.set()
