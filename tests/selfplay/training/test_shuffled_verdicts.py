"""The control of dpo and rft: verdicts that say nothing about their completions, on the rollouts that may teach."""

from __future__ import annotations

import dataclasses
from collections import Counter

from selfplay.run.records import Rollout
from selfplay.training.pairs import faults, right_completions
from selfplay.training.validity import Thinking, ValidForm
from selfplay.training.verified_rollouts import permuted, with_verdicts


def rollout(index: int, passed: bool | None, status: str) -> Rollout:
    reward = None if passed is None else float(passed)
    return Rollout("i", "t", "math", 1, "T=1", index, f"text {index}", passed, reward, status, "")


def shuffled_verdicts(rows: list[Rollout], thinking: Thinking, seed: int) -> list[Rollout]:
    return list(with_verdicts(rows, ValidForm(thinking), permuted(rows, ValidForm(thinking), seed)))


WHOLE = [rollout(n, n % 2 == 0, "correct" if n % 2 == 0 else "wrong") for n in range(12)]
INVALID = [rollout(12, False, "cut"), rollout(13, False, "no_answer"), rollout(14, None, "timed_out")]


def test_verdicts_are_permuted_among_rollouts_that_may_teach() -> None:
    rows = [*WHOLE[:5], *INVALID, *WHOLE[5:]]
    found = [shuffled_verdicts(rows, "optional", seed) for seed in range(50)]
    for one in found:
        assert [row.completion for row in one] == [row.completion for row in rows]
        assert Counter((row.passed, row.reward, row.status) for row in one) == Counter(
            (row.passed, row.reward, row.status) for row in rows
        )
        # What was cut, or has no answer or verdict, is learnt from as little as with its own verdict.
        assert one[5:8] == INVALID
        assert faults(one) == faults(rows)
        assert not {row.completion for row in right_completions(one, 99)} & {row.completion for row in INVALID}
    passes = Counter(row.index for one in found for row in one if row.passed)
    assert set(passes) == set(range(12)), "each of them passes now and then"


def test_what_does_not_think_where_it_must_keeps_its_verdict() -> None:
    thinks = [rollout(n, False, "wrong") for n in range(3)]
    rows = [WHOLE[0], *(dataclasses.replace(row, completion="<think>x</think>y") for row in thinks)]
    assert shuffled_verdicts(rows, "required", 1)[0] == WHOLE[0]
