"""Rollouts: k of each task in their order, judged while the next are drawn, and never all of them held."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.config.recipe import Recipe
from selfplay.config.section import SamplingSettings
from selfplay.engines.base import Missing, ModelRef, Sample, Sampling
from selfplay.rollouts.completions import Completion, Origin, complete
from selfplay.rollouts.judge import Judge
from selfplay.rollouts.rollout import AHEAD, agreement, judged, stream_rollouts
from selfplay.rollouts.waves import Waves
from selfplay.run.directory import RunDirectory
from selfplay.run.records import LabelledTask, Rollout
from verifiers.model import Task, Verdict

RECIPE = Recipe.model_validate(
    {
        "name": "rollouts",
        "model": {"kind": "scratch"},
        "domains": {
            "math": {"seeds": {"kind": "quickstart", "grammar": "math"}, "solver_template": "Solve: {problem}"}
        },
    }
)
ORIGIN = Origin(("test", 3), 3, "T=0.5")


def rollout(*asked: Any, **how: Any) -> list[Rollout]:
    """All that a stream of rollouts gives."""
    return list(itertools.chain.from_iterable(stream_rollouts(*asked, **how)))


class Scripted:
    """Answers the n-th prompt as a function says, some at a time."""

    model = ModelRef("scripted", "scripted")

    def __init__(self, answers: Any, size: int = 3) -> None:
        self.answers, self.size = answers, size
        self.asked: list[str] = []
        self.how: list[tuple[Sampling, int]] = []
        self.drawn = 0

    def stream(
        self, prompts: Sequence[str], sampling: Sampling, seed: int, on_progress: Any = None
    ) -> Iterator[list[Sample | Missing]]:
        self.asked += prompts
        self.how.append((sampling, seed))
        for start in range(0, len(prompts), self.size):
            self.drawn += 1
            yield [self.answers(place) for place in range(start, min(start + self.size, len(prompts)))]


def task(number: int) -> LabelledTask:
    return LabelledTask(f"t{number}", f"p{number}", "math", Task(f"{number} + 1?", str(number + 1)), 1, 0.5, "", None)


def sample(text: str, complete: bool = True) -> Sample:
    return Sample(text, (1, 2), complete, 1, 3, (-0.5, -0.25))


def rollouts(folder: Path, policy: Scripted, count: int, k: int, **how: Any) -> list[Rollout]:
    judge = Judge(RECIPE, folder, workers=1)
    sampling = SamplingSettings(temperature=0.5, max_new_tokens=9, top_p=0.9)
    tasks = [task(number) for number in range(count)]
    found = rollout(policy, tasks, sampling, k, 7, judge, domains=RECIPE.domains, origin=ORIGIN, **how)
    judge.close()
    return found


def test_each_task_is_completed_k_times_and_judged_by_its_own_label(tmp_path: Path) -> None:
    policy = Scripted(lambda place: sample(f"\\boxed{{{place}}}"))
    rows = rollouts(tmp_path, policy, 2, 4, first=10)
    assert policy.asked == ["Solve: 0 + 1?"] * 4 + ["Solve: 1 + 1?"] * 4
    assert policy.how == [(Sampling(0.5, 9, 0.9), 7)]
    assert [(row.task_id, row.index) for row in rows] == [(f"t{n}", 10 + k) for n in (0, 1) for k in range(4)]
    assert [row.passed for row in rows] == [False, True, False, False, *[False] * 4]
    assert {(row.round, row.mode, row.domain) for row in rows} == {(3, "T=0.5", "math")}
    assert {(row.token_ids, row.logprobs) for row in rows} == {((1, 2), (-0.5, -0.25))}
    assert len({row.id for row in rows}) == 8


def test_what_was_cut_has_failed_and_what_was_refused_could_not_be_checked(tmp_path: Path) -> None:
    answers = [sample("\\boxed{1}"), sample("\\boxed{1}", complete=False), Missing("too long a prompt", "request")]
    rows = rollouts(tmp_path, Scripted(lambda place: answers[place]), 1, 3)
    assert [(row.passed, row.reward, row.status) for row in rows] == [
        (True, 1.0, "correct"),
        (False, 0.0, "cut"),
        (None, None, "refused"),
    ]
    assert (rows[2].completion, rows[2].reason, rows[2].token_ids) == ("", "too long a prompt", ())


@given(count=st.integers(0, 5), k=st.integers(1, 4), size=st.integers(1, 30))
def test_how_a_policy_cuts_its_work_changes_no_completion(count: int, k: int, size: int) -> None:
    def drawn(pieces: int) -> list[Completion]:
        policy = Scripted(lambda place: sample(str(place)), pieces)
        tasks = [task(number) for number in range(count)]
        batches = complete(policy, tasks, SamplingSettings(), k, 0, domains=RECIPE.domains, origin=ORIGIN)
        return [one for batch in batches for one in batch]

    found = drawn(size)
    assert found == drawn(1000)
    assert [(one.task.id, one.index, one.text) for one in found] == [
        (f"t{place // k}", place % k, str(place)) for place in range(count * k)
    ]


class SlowJudge:
    """Gives no verdict before it is let."""

    def __init__(self) -> None:
        self.begun, self.let = threading.Semaphore(0), threading.Event()

    def judge(self, items: Sequence[Any]) -> list[Verdict]:
        self.begun.release()
        assert self.let.wait(60)
        return [agreement(True)] * len(items)


def completions(policy: Scripted, count: int) -> Iterator[list[Completion]]:
    tasks = [task(number) for number in range(count)]
    return complete(policy, tasks, SamplingSettings(), 1, 0, domains=RECIPE.domains, origin=ORIGIN)


def test_some_are_judged_while_the_next_are_drawn_but_few_wait() -> None:
    policy, judge = Scripted(lambda place: sample("x"), size=1), SlowJudge()
    rows: list[Rollout] = []

    def take() -> None:
        for batch in judged(judge, completions(policy, 20)):  # type: ignore[arg-type]
            rows.extend(batch)

    taking = threading.Thread(target=take)
    taking.start()
    assert judge.begun.acquire(timeout=60)
    # The first is being judged, and cannot end: whatever is drawn now is drawn meanwhile.
    deadline = threading.Event()
    while policy.drawn < AHEAD + 1 and not deadline.wait(0.01):
        assert taking.is_alive()
    deadline.wait(0.2)
    assert policy.drawn == AHEAD + 1
    assert rows == []
    judge.let.set()
    taking.join(60)
    assert [row.task_id for row in rows] == [f"t{number}" for number in range(20)]


class QuickJudge:
    def judge(self, items: Sequence[Any]) -> list[Verdict]:
        return [agreement(True)] * len(items)


def test_no_more_are_held_than_are_under_way() -> None:
    """Of 200 batches, as many completions are alive at a time as of three."""
    seen = []
    policy = Scripted(lambda place: sample(f"text {place}"), size=10)
    for number, batch in enumerate(judged(QuickJudge(), completions(policy, 2000)), 1):  # type: ignore[arg-type]
        del batch
        if number in (20, 100, 190):  # All objects of the process are looked through, which takes long.
            gc.collect()
            seen.append(sum(isinstance(one, Completion) for one in gc.get_objects()))
    assert len(seen) == 3
    assert max(seen) <= 10 * (AHEAD + 2)


def test_a_judge_that_fails_ends_the_stream() -> None:
    class Broken:
        def judge(self, items: Sequence[Any]) -> list[Verdict]:
            raise RuntimeError("the verifier is gone")

    with pytest.raises(RuntimeError, match="the verifier is gone"):
        list(judged(Broken(), completions(Scripted(lambda place: sample("x")), 9)))  # type: ignore[arg-type]


def test_waves_become_one_table_with_the_rows_of_each_task_together(tmp_path: Path) -> None:
    stage = RunDirectory(tmp_path, RECIPE).stage("labelling")
    tasks, waves = [task(number) for number in (5, 2, 9)], Waves(stage, "rollouts")
    for first, left in ((0, tasks), (2, tasks[1:]), (4, tasks[2:])):
        drawn = (
            one.judged(agreement(None))
            for batch in complete(
                Scripted(lambda place: sample("x")),
                left,
                SamplingSettings(),
                2,
                0,
                domains=RECIPE.domains,
                origin=ORIGIN,
                first=first,
            )
            for one in batch
        )
        assert list(waves.add(drawn, ("task_id",))) == [(one.id,) for one in left for _ in range(2)]
    assert waves.merge(tasks) == 12
    rows = stage.read("rollouts", Rollout)
    wanted = [("t5", 2), ("t2", 4), ("t9", 6)]
    assert [(row.task_id, row.index) for row in rows] == [(name, n) for name, count in wanted for n in range(count)]
    assert [file.name for file in stage.folder.iterdir()] == ["rollouts.parquet"]
