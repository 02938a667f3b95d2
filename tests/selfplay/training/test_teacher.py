"""SFT from a teacher behind a real endpoint on loopback: which traces are left, and what the policy learns from."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from selfplay.config.recipe import Recipe
from selfplay.curation.reserved import Reserved
from selfplay.engines.api.wire import read_sample
from selfplay.engines.base import ModelRef
from selfplay.rollouts.judge import Judge
from selfplay.run.directory import RunDirectory
from selfplay.run.records import Example, LabelledTask, Trace
from selfplay.stage.context import Context
from selfplay.training.rules import POLICY, Round
from selfplay.training.teacher import learn_from_teacher
from selfplay.trl_trainers.model_folder import weights_hash
from selfplay.trl_trainers.sft import CountJob, NothingToLearn, count_tokens
from tests.selfplay.engines.openai_server import OpenAIServer
from tests.selfplay.in_process import InProcess
from tests.selfplay.synthesis.toy import NoClock, Quiet
from verifiers.model import Task

TASKS = [
    LabelledTask(f"t{n}", f"p{n}", "math", Task(f"What is {n} + {n}?", str(2 * n)), 1.0, 0.5, "", None)
    for n in range(6)
]
THINKS = "<think>\nAdd them.\n</think>\n\nIt is "


def says(answers: dict[int, list[str]]) -> Any:
    """A teacher that answers the tries at each problem in turn; twice the number where nothing is named."""
    tries: Counter[int] = Counter()

    def reply(prompt: str, seed: int) -> str:
        number = int(prompt.split()[2])
        named = answers.get(number, [])
        text = named[tries[number] % len(named)] if named else f"\\boxed{{{2 * number}}}"
        tries[number] += 1
        return f"analysisAdd them.assistantfinalIt is {text}"

    return reply


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    server = OpenAIServer()
    yield server
    server.close()


@contextlib.contextmanager
def round_of(folder: Path, model: ModelRef, sft: dict[str, Any], reserved: Reserved | None = None) -> Iterator[Round]:
    recipe = Recipe.model_validate(
        {
            "name": "r",
            "model": {"kind": "scratch"},
            "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
            "training": {"algorithm": "sft", "sft": sft | {"args": {"max_steps": 2, "learning_rate": 1e-3}}},
        }
    )
    with RunDirectory.open(folder, recipe) as run:
        judge = Judge(recipe, run.store_folder, 1)
        context = Context(run, InProcess(), judge, Quiet(), NoClock())  # type: ignore[arg-type]
        stage = run.stage("selfplay_1")
        stage.folder.mkdir(parents=True)
        yield Round(stage, context, 1, model, TASKS, [], reserved=reserved)
        judge.close()


def teacher(server: OpenAIServer, traces: int = 1) -> dict[str, Any]:
    # One at a time, so that the tries at a problem come in their order.
    endpoint = {"base_url": server.url, "attempts": 1, "pause_s": 0, "concurrency": 1}
    return {"engine": {"kind": "openai", "model": "big", "endpoint": endpoint}, "traces": traces}


def table(this: Round) -> list[Trace]:
    return this.stage.read("traces", Trace)


def trained_on(this: Round) -> list[list[str]]:
    return [row["segments"] for row in pq.read_table(this.stage.folder / "examples.parquet").to_pylist()]


def test_unverified_traces_need_only_an_answer_and_their_length(
    tmp_path: Path, tiny_model: ModelRef, server: OpenAIServer
) -> None:
    server.reply = says({1: ["nine"], 2: ["\\boxed{5}"], 3: ["\\boxed{6} " + "and so on " * 50]})
    sft = {"teacher": teacher(server), "max_tokens": 150}
    with round_of(tmp_path / "run", tiny_model, sft) as this:
        counts = learn_from_teacher(this)
        assert counts["lost"] == {"no boxed answer": 1, "longer than max_tokens": 1}
        assert (counts["traces"], counts["samples"]) == (6, 4)
        wanted = [[THINKS + f"\\boxed{{{n}}}"] for n in (0, 5, 8, 10)]
        assert trained_on(this) == wanted
        assert {trace.origin for trace in table(this)} == {"big"}
        # Measured as the training reads them.
        left = [trace for trace in table(this) if not trace.dropped]
        rows = [Example(trace.prompt, (trace.completion,)) for trace in left]
        assert [trace.tokens for trace in left] == count_tokens(CountJob(tiny_model, rows))
        policy = this.stage.folder / POLICY
        assert weights_hash(policy) != weights_hash(Path(tiny_model.path))


def test_labels_drop_what_is_wrong(tmp_path: Path, tiny_model: ModelRef, server: OpenAIServer) -> None:
    server.reply = says({2: ["\\boxed{5}"], 4: ["\\boxed{8}", "\\boxed{8.0}"]})
    sft = {"teacher": teacher(server, 2), "answers": "labels", "traces_per_prompt": 2}
    with round_of(tmp_path / "run", tiny_model, sft) as this:
        counts = learn_from_teacher(this)
        # Both traces of the others are the same text; those of the fourth are two ways to be right.
        assert counts["lost"] == {"fails the label": 2, "prompt has enough traces": 4}
        assert trained_on(this)[3:5] == [[THINKS + "\\boxed{8}"], [THINKS + "\\boxed{8.0}"]]


def test_a_vote_drops_what_disagrees_and_prompts_without_a_majority(
    tmp_path: Path, tiny_model: ModelRef, server: OpenAIServer
) -> None:
    server.reply = says({1: ["\\boxed{2}", "\\boxed{2.0}", "\\boxed{7}"], 3: ["\\boxed{6}", "\\boxed{7}", "nine"]})
    sft = {"teacher": teacher(server, 3), "answers": "vote"}
    with round_of(tmp_path / "run", tiny_model, sft) as this:
        counts = learn_from_teacher(this)
        found = {(trace.task_id, trace.dropped) for trace in table(this)}
        assert ("t1", "disagrees with the majority") in found
        assert {dropped for name, dropped in found if name == "t3"} == {"no majority", "no boxed answer"}
        assert counts["samples"] == 5


def test_files_are_learnt_from_without_a_teacher(tmp_path: Path, tiny_model: ModelRef) -> None:
    rows = [{"problem": "1 + 1?", "completion": text} for text in ("analysisHm.assistantfinal\\boxed{2}", "\\boxed{3}")]
    rows += [{"prompt": "Just say it.", "completion": "\\boxed{0}"}, {"prompt": "x", "completion": "no"}]
    file = tmp_path / "traces.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with round_of(tmp_path / "run", tiny_model, {"files": {"paths": [str(file)]}}) as this:
        counts = learn_from_teacher(this)
        assert counts["lost"] == {"prompt has enough traces": 1, "no boxed answer": 1}
        assert trained_on(this) == [["<think>\nHm.\n</think>\n\n\\boxed{2}"], ["\\boxed{0}"]]
        assert [trace.prompt for trace in table(this)][2:] == ["Just say it.", "x"]


def test_no_trace_left_is_said(tmp_path: Path, tiny_model: ModelRef, server: OpenAIServer) -> None:
    server.reply = lambda prompt, seed: "no"
    none = pytest.raises(NothingToLearn, match=r"no trace of the teacher is left \({'no boxed answer': 6}\)")
    with round_of(tmp_path / "run", tiny_model, {"teacher": teacher(server)}) as this, none:
        learn_from_teacher(this)


def test_thinking_that_a_server_gives_apart_can_be_kept() -> None:
    message = {"role": "assistant", "content": "\\boxed{4}", "reasoning_content": "Two and two."}
    answer = {"choices": [{"message": message, "finish_reason": "stop"}]}
    assert read_sample(answer).text == "\\boxed{4}"
    assert read_sample(answer, keep_thinking=True).text == "<think>\nTwo and two.\n</think>\n\n\\boxed{4}"
    message["reasoning_content"] = None  # type: ignore[assignment]
    assert read_sample(answer, keep_thinking=True).text == "\\boxed{4}"


@pytest.mark.parametrize(
    ("sft", "says_"),
    [
        ({}, "set sft.teacher, or sft.files"),
        ({"files": {"paths": ["x"]}, "answers": "labels"}, "traces of files are taken as they are"),
        ({"teacher": {"engine": {"kind": "local", "name": "x"}}, "answers": "vote"}, "needs several traces"),
    ],
)
def test_recipes_that_cannot_work_are_refused(sft: dict[str, Any], says_: str) -> None:
    with pytest.raises(ValueError, match=says_):
        Recipe.model_validate(
            {
                "name": "r",
                "model": {"kind": "scratch"},
                "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
                "training": {"algorithm": "sft", "sft": sft},
            }
        )
