"""Likelihoods and bounds of a real model, on a language in which every rationale can be enumerated."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfplay.engines.base import ModelRef
from selfplay.engines.loading import load
from selfplay.formats import BEGIN_RATIONALE, END_RATIONALE, problem_block, rationale_block
from selfplay.run.records import Seed
from selfplay.stage.context import Context
from selfplay.synthesis.cold_start import ModelPair
from selfplay.synthesis.likelihood import for_prompt_model, for_rationale_model, importance_bound, joint, proposal
from selfplay.synthesis.measures import bounds, measure
from tests.selfplay.synthesis import toy

PAIRS = toy.seeds()[:3]


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    with toy.context(tmp_path / "run", toy.recipe(bound_samples=512)) as found:
        yield found


def rationales(model: ModelRef) -> list[tuple[int, ...]]:
    """The ids of every whole rationale that fits into the token limit."""
    _, tokenizer = load(model, "cpu")
    begin, end = (tokenizer.convert_tokens_to_ids(marker) for marker in (BEGIN_RATIONALE, END_RATIONALE))
    # Blanks alone are an empty rationale, a marker within is a broken one, and the end token ends it.
    inner = [tokenizer.convert_tokens_to_ids(letter) for letter in [*toy.LETTERS, *"0123456789.", "?", "<pad>"]]
    return [(begin, letter, end) for letter in inner]


def log_sum(values: list[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values))


def joints(context: Context, model: ModelRef, pair: Seed) -> list[float]:
    """log p(z, x | c) of every rationale."""
    found = joint(context.engine(model), context.recipe, [(pair, z) for z in rationales(model)])
    return [score.total for score in found]


def marginal(context: Context, model: ModelRef, pair: Seed) -> float:
    """log p(x|c): the sum over every rationale."""
    return log_sum(joints(context, model, pair))


def test_joint_equals_a_computation_by_hand(context: Context, toy_model: ModelRef) -> None:
    """Token by token, in double precision, with the concepts and the level as context alone."""
    import torch

    network, tokenizer = load(toy_model, "cpu")

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    pair = PAIRS[0]
    score = joint(context.engine(toy_model), context.recipe, [(pair, rationale_block("c"))])[0]
    context_ids, by_hand = ids(for_prompt_model(context.recipe, pair)), []
    for segment in (ids(rationale_block("c")), [*ids(problem_block(pair.problem)), tokenizer.eos_token_id]):
        total = 0.0
        for token in segment:
            with torch.no_grad():
                logits = network(torch.tensor([context_ids])).logits[0, -1].double()
            total += float(torch.log_softmax(logits, -1)[token])
            context_ids = [*context_ids, token]
        by_hand.append(total)
    assert [score.log_p_rationale, score.log_p_problem] == pytest.approx(by_hand, abs=1e-4)
    assert (score.rationale_tokens, score.problem_tokens) == (3, 5)


def exact_bound(weights: list[float], q: list[float], k: int) -> float:
    """The expectation of the bound over all draws of k rationales."""
    return math.fsum(
        math.prod(q[i] for i in drawn) * importance_bound([weights[i] for i in drawn])
        for drawn in itertools.product(range(len(q)), repeat=k)
    )


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.problem)
def test_the_bound_lies_below_the_marginal_tightens_and_is_tight_at_the_posterior(
    context: Context, toy_model: ModelRef, pair: Seed
) -> None:
    exact = marginal(context, toy_model, pair)
    of_p = joints(context, toy_model, pair)
    of_q = proposal(context.engine(toy_model), context.recipe, [(pair, z) for z in rationales(toy_model)])
    # Given that it is whole, so that no draw has weight 0 and the expectation is finite.
    whole = log_sum(of_q)
    q = [math.exp(value - whole) for value in of_q]
    expected = [exact_bound([p - value + whole for p, value in zip(of_p, of_q, strict=True)], q, k) for k in (1, 2, 3)]
    assert all(bound <= exact + 1e-9 for bound in expected)
    assert all(later > earlier for earlier, later in itertools.pairwise(expected))
    # One draw is the evidence bound: E_q[log p(z, x|c)] + H(q).
    evidence = math.fsum(share * (p - math.log(share)) for share, p in zip(q, of_p, strict=True))
    assert expected[0] == pytest.approx(evidence, abs=1e-6)
    posterior = [math.exp(p - exact) for p in of_p]
    assert math.fsum(posterior) == pytest.approx(1.0)
    at_posterior = [p - math.log(share) for p, share in zip(of_p, posterior, strict=True)]
    assert exact_bound(at_posterior, posterior, 1) == pytest.approx(exact, abs=1e-9)


def test_the_measured_bound_finds_the_marginal(context: Context, toy_model: ModelRef) -> None:
    """Sampled by the engine with every trap in the way: cut draws, draws of other forms, ids instead of texts.

    The estimate's mean is at most p(x|c), since draws that are not whole weigh nothing; with 512 draws it has nearly
    reached what q covers of it.
    """
    found = bounds(context, 1, ModelPair(toy_model, toy_model), PAIRS)
    for pair, bound in zip(PAIRS, found, strict=True):
        exact = marginal(context, toy_model, pair)
        assert bound <= exact + 0.1
        assert bound >= exact - 0.3


def test_the_measures_of_a_round_hold_its_bound_and_its_share_of_whole_rationales(
    context: Context, toy_model: ModelRef
) -> None:
    models = ModelPair(toy_model, toy_model)
    row = measure(context, 1, models, PAIRS)
    found = bounds(context, 1, models, PAIRS)
    assert row["bound"] == pytest.approx(-statistics.fmean(found))
    assert row["greedy_whole_share"] == row["n"] / len(PAIRS)
    assert found != bounds(context, 2, models, PAIRS), "every round draws anew"


def test_the_marginal_of_all_problems_is_no_more_than_one(context: Context, toy_model: ModelRef) -> None:
    """p(x|c) summed over every problem of two letters: no probability is counted twice."""
    pairs = [toy.seed("a", "b", first + second) for first in toy.LETTERS for second in toy.LETTERS]
    total = math.fsum(math.exp(marginal(context, toy_model, pair)) for pair in pairs)
    assert 0.1 < total <= 1.0


def test_the_reward_is_the_posterior_up_to_a_constant(context: Context, toy_model: ModelRef) -> None:
    """R(c,x,z) = log p(x|c) + log p(z|x,c): what the summed reward ranks is the posterior, and nothing else."""
    pair = PAIRS[1]
    exact, rewards = marginal(context, toy_model, pair), joints(context, toy_model, pair)
    assert max(rewards) < exact
    assert math.fsum(math.exp(reward - exact) for reward in rewards) == pytest.approx(1.0)


def test_what_q_reads_and_what_p_reads_differ(context: Context, toy_model: ModelRef) -> None:
    """q sees the problem, p does not."""
    first, second = toy.seed("a", "b", "ab"), toy.seed("a", "b", "ac")
    assert for_prompt_model(context.recipe, first) == for_prompt_model(context.recipe, second)
    assert for_rationale_model(context.recipe, first) != for_rationale_model(context.recipe, second)
    of_p = joint(context.engine(toy_model), context.recipe, [(pair, rationale_block("b")) for pair in (first, second)])
    assert of_p[0].log_p_rationale == pytest.approx(of_p[1].log_p_rationale, abs=1e-5)
    assert statistics.stdev(score.log_p_problem for score in of_p) > 1e-3
