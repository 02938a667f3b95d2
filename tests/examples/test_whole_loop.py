"""The method on one page: it learns, and where it decides, it decides as the packages do on the same tables."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from examples import whole_loop
from selfplay.config.compute import EngineSettings
from selfplay.config.em import EM
from selfplay.config.labelling import Labelling
from selfplay.engines.base import ModelRef, ScoringRequest
from selfplay.engines.sharded import ShardedEngine
from selfplay.labelling.answer_vote import label_by_answers
from selfplay.run.records import Candidate
from selfplay.run.store import ShardStore
from selfplay.synthesis.em_candidates import assign_hard
from tests.selfplay.in_process import InProcess
from verifiers.mathematics import MathVerifier


def candidate(pair: int, index: int, reward: float | None) -> Candidate:
    whole = reward is not None
    return Candidate(
        id=f"{pair}-{index}",
        seed_id=str(pair),
        round=1,
        index=index,
        rationale="z",
        token_ids=(1,) * 9,
        complete=whole,
        log_p_rationale=0.0,
        log_p_problem=0.0,
        reward=reward if reward is not None else float("-inf"),
        chosen=False,
    )


def test_the_e_step_chooses_as_the_package_does() -> None:
    rng = random.Random(0)
    # Few values, so that there are ties; None is a rationale that is not whole.
    tables = [[rng.choice((None, None, -1.0, -2.0)) for _ in range(4)] for _ in range(300)]
    rows = [candidate(pair, at, reward) for pair, table in enumerate(tables) for at, reward in enumerate(table)]
    theirs: dict[str, int] = {row.seed_id: row.index for row in assign_hard(rows, EM()) if row.chosen}
    ours = {str(pair): whole_loop.choose(table) for pair, table in enumerate(tables)}
    assert {pair: at for pair, at in ours.items() if at is not None} == theirs
    assert 0 < len(theirs) < len(tables)


def test_votes_are_those_of_the_package() -> None:
    rng = random.Random(0)
    tables = [[rng.choice(("57", "58", "67", None)[: rng.randint(1, 4)]) for _ in range(8)] for _ in range(200)]
    settings = Labelling(min_agreement=whole_loop.LEAST_AGREEMENT)
    verifier = MathVerifier()
    try:
        theirs = [label_by_answers(verifier, table, [1.0] * len(table), settings) for table in tables]
    finally:
        verifier.close()
    assert [whole_loop.vote(table) for table in tables] == [(one.answer, one.agreement) for one in theirs]
    assert 0 < sum(one.answer is None for one in theirs) < len(theirs)
    assert whole_loop.vote([None, None]) == (None, 0.0)


def test_rewards_are_the_likelihoods_of_the_package(tmp_path: Path, in_process: InProcess) -> None:
    model, tokenizer = whole_loop.make_model(0)
    tokenizer.save_pretrained(tmp_path / "model")
    model.save_pretrained(tmp_path / "model")
    ref = ModelRef.local(tmp_path / "model", "whole-loop", "float32", chat=False)
    engine = ShardedEngine(ref, EngineSettings(), in_process, ShardStore(tmp_path / "shards"))  # type: ignore[arg-type]
    rng = random.Random(0)
    pairs = [whole_loop.seed_problem(rng.randrange(10, 100), rng.randrange(10, 100), rng) for _ in range(20)]
    requests = [ScoringRequest(prompt, segments) for prompt, segments in (pair.for_p() for pair in pairs)]
    theirs = [sum(segments) for segments in engine.score(requests)]
    assert whole_loop.rewards(model.eval(), tokenizer, pairs) == pytest.approx(theirs, abs=1e-3)


@pytest.fixture
def in_process() -> InProcess:
    return InProcess()


def test_it_is_one_page() -> None:
    text = Path(whole_loop.__file__).read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    assert not any(line.startswith(("from selfplay", "from verifiers", "from sandbox")) for line in text.splitlines())


@pytest.mark.long
def test_the_whole_loop_learns() -> None:
    figures = whole_loop.main(0)
    base, policy = figures["accuracy of the base"], figures["accuracy of the policy"]
    cold, after = (value for name, value in figures.items() if "nats" in name or "EM" in name)
    assert after < cold
    assert figures["right labels"] > base
    assert policy > base + 0.02
