"""Annotators here and at endpoints: which seed an answer has, who waits for whom, and what is booked."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

from selfplay.config.annotation import Annotator
from selfplay.engines.api.budget import Budget, Ledger
from selfplay.engines.base import Sample
from selfplay.synthesis.annotation_engines import AnnotatorQuestion, LocalAnnotator, RemoteAnnotator, all_remote

REMOTE = Annotator.model_validate(
    {"engine": {"kind": "openai", "model": "big", "endpoint": {"base_url": "http://127.0.0.1:1/v1"}}}
)
LOCAL = Annotator.model_validate({"engine": {"kind": "local", "name": "Qwen/Qwen3-4B"}})
SAMPLE = Sample("text", (1, 2), True, prompt_tokens=5, completion_tokens=2)


class Engine:
    """Answers at once, and remembers with which seeds."""

    settings = SimpleNamespace(model="big")
    model = SimpleNamespace(path="small")

    def __init__(self) -> None:
        self.seeds: list[Any] = []

    def try_generate(self, prompts: list[str], sampling: Any, seeds: list[int]) -> list[Sample]:
        self.seeds.append(seeds)
        return [SAMPLE for _ in prompts]

    def generate(self, prompts: list[str], sampling: Any, seed: int) -> list[Sample]:
        return self.try_generate(prompts, sampling, [seed])


def questions(*attempts: int) -> list[AnnotatorQuestion]:
    return [AnnotatorQuestion(f"question {n}", 100 + n, attempt) for n, attempt in enumerate(attempts)]


def test_each_question_to_an_endpoint_has_a_seed_of_its_own() -> None:
    engine: Any = Engine()
    annotator = RemoteAnnotator("t", REMOTE, engine, pause_s=60)
    begun = time.monotonic()
    assert annotator.answer(questions(0, 3), seed=7) == [(SAMPLE, 100), (SAMPLE, 101)]
    assert time.monotonic() - begun < 30, "one that is asked for the first time need not wait"
    assert (annotator.name, annotator.model, engine.seeds) == ("t", "big", [[100, 101]])


def test_a_pause_before_another_attempt_can_be_ended() -> None:
    engine: Any = Engine()
    annotator = RemoteAnnotator("t", REMOTE, engine, pause_s=60)
    waiting = threading.Thread(target=annotator.answer, args=(questions(1, 2), 7))
    waiting.start()
    waiting.join(0.05)
    assert (waiting.is_alive(), engine.seeds) == (True, [])
    annotator.stop()
    waiting.join(30)
    assert (waiting.is_alive(), engine.seeds) == (False, [[100, 101]])


def test_models_of_this_machine_take_turns_and_book_their_tokens() -> None:
    engine: Any = Engine()
    ledger, turn = Ledger("budget", Budget()), threading.Lock()
    annotator = LocalAnnotator("l", LOCAL, engine, ledger, turn)
    with turn:
        waiting = threading.Thread(target=annotator.answer, args=(questions(0, 0), 7))
        waiting.start()
        waiting.join(0.05)
        assert (waiting.is_alive(), engine.seeds) == (True, [])
    waiting.join(30)
    assert engine.seeds == [[7]], "the batch's, for all of it"
    assert (ledger.spent.tokens, ledger.spent.cost) == (14, 0)
    assert annotator.answer(questions(0), 8) == [(SAMPLE, 8)]


def test_no_model_is_needed_where_all_are_endpoints() -> None:
    assert all_remote([REMOTE, REMOTE])
    assert not all_remote([REMOTE, LOCAL])
