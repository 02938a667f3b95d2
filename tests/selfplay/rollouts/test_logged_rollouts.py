"""What a GRPO training logged, read back as a table's rows."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

from selfplay.rollouts.rollout_log import JudgedRollouts, RolloutLog, logged_rollouts
from verifiers.model import Verdict

END = 9
"""The token that ends a completion."""


def write(log: RolloutLog, step: int, texts: list[str]) -> None:
    verdicts = [Verdict(True, 1.0, "correct", "")] * len(texts)
    ids = [f"t{place}" for place in range(len(texts))]
    tokens = [[len(text), 2, END] for text in texts]
    judged = JudgedRollouts(ids, ["math"] * len(texts), texts, tokens, verdicts, [1.0] * len(texts))
    log.write(step, log.next_call(step), judged)


def test_a_step_that_was_done_again_counts_once_and_ranks_come_in_turn(tmp_path: Path) -> None:
    for rank in (0, 1):
        log = RolloutLog(tmp_path / f"rollouts-{rank}.jsonl", rank, END)
        for step in (1, 2):
            write(log, step, [f"{rank}.{step}", "é\u2028"])
    write(RolloutLog(tmp_path / "rollouts-0.jsonl", 0, END), 2, ["0.2 again", "b"])
    rows = list(logged_rollouts(tmp_path, 3, 0.7))
    assert [row.completion for row in rows] == ["0.1", "é\u2028", "1.1", "é\u2028", "0.2 again", "b", "1.2", "é\u2028"]
    assert [row.index for row in rows] == [0, 1] * 4
    assert {(row.round, row.mode, row.status) for row in rows} == {(3, "T=0.7", "correct")}
    assert len({row.id for row in rows}) == 8
    assert [row.token_ids for row in rows] == [(len(row.completion), 2) for row in rows], "less the end"


def test_what_came_after_a_checkpoint_is_not_what_the_policy_learnt_from(tmp_path: Path) -> None:
    """The second attempt topped up less, and ended earlier: a verdict came in time that had not before."""
    first = RolloutLog(tmp_path / "rollouts-0.jsonl", 0)
    for step, text in ((1, "1"), (2, "2"), (2, "2, topped up"), (3, "3")):
        write(first, step, [text])
    write(RolloutLog(tmp_path / "rollouts-0.jsonl", 0), 2, ["2 again"])
    assert [row.completion for row in logged_rollouts(tmp_path, 1, 1.0)] == ["1", "2 again"]


def test_the_rollouts_of_a_long_training_are_not_held_all_at_once(tmp_path: Path) -> None:
    row = {"rank": 0, "call": 1, "task_id": "t", "domain": "math", "completion": "x" * 20_000, "passed": True}
    row |= {"reward": 1.0, "status": "correct", "reason": ""}
    with (tmp_path / "rollouts-0.jsonl").open("w") as file:
        for number in range(1000):
            file.write(json.dumps(row | {"step": number // 8, "place": number % 8}) + "\n")
    tracemalloc.start()
    assert sum(len(one.completion) for one in logged_rollouts(tmp_path, 1, 1.0)) == 20_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
