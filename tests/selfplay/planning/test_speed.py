"""Tokens a second: by operations and traffic, and by what was measured before all that."""

from __future__ import annotations

import dataclasses

import pytest

from selfplay.config.load import load_recipe
from selfplay.planning.architecture import of_config
from selfplay.planning.known_models import KNOWN
from selfplay.planning.memory import TrainingStep
from selfplay.planning.number_formats import Formats
from selfplay.planning.rates import CARDS, CPU, MeasuredRate, Rates
from selfplay.planning.speed import decoding_speed, scoring_speed, training_speed
from selfplay.planning.stages import stages_of
from selfplay.run.plan import Kind

CARD = next(card for card in CARDS if card.name == "H100")
DENSE = of_config(KNOWN["Qwen/Qwen3-4B"], "model")
EXPERTS = of_config(KNOWN["Qwen/Qwen3-30B-A3B"], "model")
RATES, HALF = Rates(), Formats.plain(2)
NAME = "Qwen/Qwen3-4B"


def step(**changes: object) -> TrainingStep:
    made = TrainingStep(model=DENSE, trained=DENSE.parameters, device="cuda", tokens=1000)
    return dataclasses.replace(made, **changes)


def test_training_takes_six_operations_for_each_parameter_and_token() -> None:
    found = training_speed(RATES, CARD, NAME, step()).tokens_per_s
    attention = 2 * 1000 * DENSE.query * DENSE.layers
    assert found == pytest.approx(CARD.flops * RATES.train_share / (3 * (2 * DENSE.active + attention)))
    # Adapters need no gradients of weights; recomputed activations and a reference each go forward once more.
    for changes, passes in (({"trained": 1}, 2), ({"checkpointing": True}, 4), ({"reference": True}, 4)):
        assert training_speed(RATES, CARD, NAME, step(**changes)).tokens_per_s == pytest.approx(found * 3 / passes)


def test_scoring_goes_forward_alone() -> None:
    trained = training_speed(RATES, CARD, NAME, step()).tokens_per_s
    assert scoring_speed(RATES, CARD, NAME, DENSE, 1000).tokens_per_s == pytest.approx(3 * trained)


def test_decoding_reads_the_weights_once_a_step_and_never_faster_than_a_step() -> None:
    def speed(batch: float, served: int = 1) -> float:
        return decoding_speed(RATES, CARD, NAME, DENSE, HALF, (500, served), batch).tokens_per_s

    assert speed(1) == pytest.approx(1 / max(RATES.served_step_s, 1 / speed(1)))
    assert 20 < speed(32) / speed(1) <= 32
    assert speed(1, served=0) == pytest.approx(1 / RATES.step_s)


def test_few_sequences_read_few_experts() -> None:
    alone, many = (
        decoding_speed(RATES, CARD, NAME, EXPERTS, HALF, (10, 1), batch).tokens_per_s / batch for batch in (64, 256)
    )
    assert alone > many
    assert EXPERTS.active < EXPERTS.parameters / 5


def test_a_measured_rate_comes_before_all_assumptions() -> None:
    rows = tuple(
        MeasuredRate(gpu="H100", model=NAME, work=work, tokens_per_s=rate)  # type: ignore[arg-type]
        for work, rate in (("train", 1.0), ("score", 2.0), ("generate", 3.0))
    )
    known = Rates(measured=rows)
    found = (
        training_speed(known, CARD, NAME, step()),
        scoring_speed(known, CARD, NAME, DENSE, 10),
        decoding_speed(known, CARD, NAME, DENSE, HALF, (10, 1), 8),
    )
    assert [(one.tokens_per_s, one.measured) for one in found] == [(1.0, True), (2.0, True), (3.0, True)]
    assert not training_speed(known, CPU, NAME, step()).measured


def test_stages_stand_in_the_order_in_which_a_run_comes_to_them() -> None:
    names = [stage.name for stage in stages_of(load_recipe("quickstart"))]
    assert names[:3] == ["seeds", "base", "cold_start"]
    assert names.index("curation") < names.index("labelling") < names.index("evaluation_0") < names.index("selfplay_1")
    again = load_recipe("quickstart", ["training.pool.each_round=resynthesise", "training.rounds=2"])
    kinds = [stage.kind for stage in stages_of(again) if stage.round == 2 and stage.kind is not Kind.EM]
    assert kinds[:4] == [Kind.SYNTHESIS, Kind.CURATION, Kind.LABELLING, Kind.SELFPLAY]
