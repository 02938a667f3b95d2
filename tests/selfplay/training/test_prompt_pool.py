"""Which prompts each round learns from."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.config.recipe import Recipe
from selfplay.config.synthesis import Feedback
from selfplay.config.training import PromptPool, TrainingSettings
from selfplay.run.records import LabelledTask, Prompt, RoundPrompt
from selfplay.training.feedback import learnable_pairs
from selfplay.training.prompt_pool import (
    EXTERNAL,
    Draw,
    Pools,
    candidate,
    choose,
    missed_shares,
    source_counts,
)
from selfplay.training.stage import choose_prompts
from verifiers.model import Task


def task(name: str, agreement: float = 1.0, dropped: str = "") -> LabelledTask:
    return LabelledTask(f"t-{name}", name, "math", Task(f"problem {name}", "1"), agreement, 0.5, dropped, None)


def tasks(letter: str, count: int) -> list[LabelledTask]:
    return [task(f"{letter}{number}") for number in range(count)]


def names(chosen: list[RoundPrompt]) -> list[str]:
    return [one.task.prompt_id for one in chosen]


def draw(prompts: int, least: float = 0.0, seed: int = 3) -> Draw:
    return Draw(prompts, least, seed)


def test_the_votes_of_a_teacher_have_a_threshold_of_their_own() -> None:
    """`training.sft.min_agreement` is about traces; labels have `labelling.min_agreement`."""
    teacher = {"engine": {"kind": "scratch"}, "traces": 4}
    for algorithm, rule, expected in (
        ("sft", {"teacher": teacher, "answers": "labels", "min_agreement": 0.5}, ["low", "high"]),
        ("rft", {"min_agreement": 0.5}, ["high"]),
    ):
        training = TrainingSettings.model_validate({"algorithm": algorithm, algorithm: rule})
        context: Any = SimpleNamespace(recipe=SimpleNamespace(training=training), seed=lambda *_: 1)
        pools = Pools({1: [task("low", agreement=0.3), task("high", agreement=0.9)]})
        assert sorted(names(choose_prompts(context, pools, 1))) == sorted(expected)


EXTERNAL_PROMPTS = [candidate(one, EXTERNAL, origin="my file") for one in tasks("g", 40)]
ALONE = PromptPool()


def test_rounds_over_the_same_prompts_go_through_all_before_any_comes_again() -> None:
    pool = tasks("a", 10)
    pools = Pools({1: pool, 2: pool, 3: pool, 4: pool})
    rounds = [names(choose(pools, ALONE, draw(4), number)) for number in (1, 2, 3, 4)]
    assert [len(round_) for round_ in rounds] == [4, 4, 4, 4]
    assert len(set(rounds[0] + rounds[1] + rounds[2][:2])) == 10
    uses = Counter(name for round_ in rounds for name in round_)
    assert max(uses.values()) - min(uses.values()) == 1
    assert names(choose(pools, ALONE, draw(4), 2)) == rounds[1]
    assert names(choose(pools, ALONE, draw(4, seed=4), 1)) != rounds[0]


def test_what_was_dropped_or_is_disputed_is_not_trained_on() -> None:
    pool = [task("a"), task("b", dropped="label: tie"), task("c", agreement=0.4)]
    assert names(choose(Pools({1: pool}), ALONE, draw(0, least=0.5), 1)) == ["a"]
    assert choose(Pools({1: []}), ALONE, draw(0), 1) == []


@given(
    prompts=st.integers(5, 60),
    share=st.sampled_from([0.33, 0.5, 0.61]),
    replay=st.sampled_from([0.0, 0.2]),
    number=st.integers(1, 4),
)
def test_shares_are_met_where_there_is_enough(prompts: int, share: float, replay: float, number: int) -> None:
    pools = Pools({n: tasks(f"r{n}-", 80) for n in range(1, 5)}, EXTERNAL_PROMPTS)
    settings = PromptPool(arm="mixed", external_share=share, replay=replay)
    chosen = choose(pools, settings, draw(prompts), number)
    assert len(set(names(chosen))) == len(chosen)
    counts = source_counts(chosen)
    assert len(chosen) == prompts
    assert counts["external"] == round(share * prompts)
    assert counts.get("replayed", 0) == (round(replay * prompts) if number > 1 else 0)
    assert missed_shares(chosen, settings, number) == ""
    assert {row.origin for row in chosen if row.source == "external"} == {"my file"}
    assert len({row.id for row in chosen}) == len(chosen)
    for row in chosen:
        assert row.round == number
        if row.source == "synthesised":
            assert (row.made_in < number) == row.replayed


def test_few_prompts_are_never_taken_for_all() -> None:
    """A limit of 1, of which no room is left for new prompts, is not the limit 0."""
    settings = PromptPool(arm="mixed", external_share=0.61)
    assert len(choose(Pools({1: tasks("a", 30)}, EXTERNAL_PROMPTS), settings, draw(1), 1)) == 2


def test_a_share_that_cannot_be_met_is_said() -> None:
    settings = PromptPool(arm="mixed", external_share=0.5)
    chosen = choose(Pools({1: tasks("a", 30)}, EXTERNAL_PROMPTS[:5]), settings, draw(0), 1)
    assert source_counts(chosen) == {"synthesised": 30, "external": 5}
    assert missed_shares(chosen, settings, 1) == "14% of its prompts are external, where 50% were to be"


def test_where_new_prompts_are_few_the_shares_are_of_what_there_is() -> None:
    """Six new ones are the 60% that a share of 20% and a replay of 20% leave, and so ten in all."""
    pools = Pools({1: tasks("a", 30), 2: tasks("b", 6)}, EXTERNAL_PROMPTS)
    chosen = choose(pools, PromptPool(arm="mixed", external_share=0.2, replay=0.2), draw(25), 2)
    assert source_counts(chosen) == {"synthesised": 6, "external": 2, "replayed": 2}


def test_the_external_arm_has_nothing_else_and_the_synthetic_one_nothing_external() -> None:
    pools = Pools({1: tasks("a", 10)}, EXTERNAL_PROMPTS)
    assert source_counts(choose(pools, PromptPool(arm="external"), draw(8), 1)) == {"external": 8}
    assert source_counts(choose(pools, ALONE, draw(8), 1)) == {"synthesised": 8}


def test_replayed_prompts_have_their_newest_label() -> None:
    """Of four prompts trained on, the second round dropped one and labelled the others anew."""
    first = tasks("a", 4)
    later = [task(f"a{n}", dropped="" if n else "always solved", agreement=0.75) for n in range(4)] + tasks("b", 8)
    chosen = choose(Pools({1: first, 2: later}), PromptPool(replay=0.4), draw(10), 2)
    old = [one for one in chosen if one.replayed]
    assert old
    assert "a0" not in names(chosen)
    assert {one.task.agreement for one in old} == {0.75}


@pytest.mark.parametrize("algorithm", ["grpo", "dpo"])
def test_rollouts_that_cannot_differ_are_refused(algorithm: str) -> None:
    with pytest.raises(ValueError, match=r"sampling.temperature is 0"):
        TrainingSettings.model_validate({"algorithm": algorithm, "sampling": {"temperature": 0}})
    for name in ("top_k", "min_p"):
        with pytest.raises(ValueError, match=rf"sampling.{name} is 1, so that all rollouts of a prompt are the same"):
            TrainingSettings.model_validate({"algorithm": algorithm, "sampling": {name: 1}})
    settings = {"sampling": {"temperature": 0}, "grpo": {"args": {"temperature": 0.7}}}
    assert TrainingSettings.model_validate(settings).algorithm == "grpo"


def test_a_round_is_not_chosen_by_the_problems_that_are_reported_on() -> None:
    settings = {
        "name": "r",
        "model": {"kind": "scratch"},
        "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math", "dev": 400}}},
        "training": {"selection": {}},
    }
    assert Recipe.model_validate(settings).training.selection is not None
    with pytest.raises(ValueError, match=r"evaluation.split: dev reports on them, too"):
        Recipe.model_validate(settings | {"evaluation": {"split": "dev"}})


def test_a_control_that_would_be_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rewards: shuffled .* continued_sft has none"):
        TrainingSettings.model_validate({"algorithm": "continued_sft", "rewards": "shuffled"})


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"arm": "mixed", "external_share": 0.6, "replay": 0.4}, "no room"),
        ({"arm": "external", "each_round": "resynthesise"}, "no prompts to resynthesise"),
        ({"external": {"math": "x.jsonl"}}, "arm is synthetic_only"),
    ],
)
def test_pools_that_make_no_sense_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        PromptPool.model_validate(settings)


def prompt(name: str, domain: str = "math") -> Prompt:
    return Prompt(name, domain, ("addition",), "easy", f"because {name}", f"problem {name}", "", "", "p", 0.8, 1)


def test_learnable_prompts_become_observed_pairs() -> None:
    """Pass rates of 0, 1/4, 3/4 and 1, of which the middle two are learnable."""
    rates = {"never": 0, "hard": 1, "fair": 3, "always": 4}
    rows = [(f"t-{name}", k < passed) for name, passed in rates.items() for k in range(4)]
    owner = {f"t-{name}": name for name in rates}
    known = [prompt(name) for name in [*rates, "unused"]]
    pairs = learnable_pairs(rows, owner, known, Feedback(low=0.2, high=0.8), 0)
    assert sorted(pair.id for pair in pairs) == ["fair", "hard"]
    assert {(pair.concepts, pair.level, pair.task.answer, pair.source) for pair in pairs} == {
        (("addition",), "easy", None, "feedback")
    }
    assert len(learnable_pairs(rows, owner, known, Feedback(low=0.2, high=0.8, prompts=1), 0)) == 1
    drawn = {
        pair.id
        for seed in range(10)
        for pair in learnable_pairs(rows, owner, known, Feedback(low=0.2, high=0.8, choice="any"), seed)
    }
    assert drawn == set(rates), "the control takes as many, whatever their pass rate"
    assert learnable_pairs([], {}, known, Feedback(), 0) == []
