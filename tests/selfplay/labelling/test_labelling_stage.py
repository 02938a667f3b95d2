"""The labelling stage as a whole: a real tiny model, a real endpoint, real sandboxes, and scripted policies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from selfplay.engines.base import ModelRef
from selfplay.labelling.label import labelling_stage
from selfplay.labelling.relabel import relabelling_stage
from selfplay.run.directory import Stage
from selfplay.run.plan import Kind
from selfplay.run.records import LabelledTask, Prompt, Rollout, UnitTest, Vote
from selfplay.stage.context import Context
from selfplay.watching.stage_figures import stage_figures
from tests.selfplay.engines.openai_server import OpenAIServer
from tests.selfplay.labelling.conftest import MakeContext, prompt, script, seed
from tests.selfplay.plans import put_plan

ADD = "At a farm, Mia has 7 eggs. Then 5 more arrive. How many are there now?"
SUM = "Given one line of integers: print the sum."
PROMPTS = [prompt("p1", ADD), prompt("p2", SUM, "code")]


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    server = OpenAIServer()
    yield server
    server.close()


def engine(server: OpenAIServer, model: str) -> dict[str, Any]:
    endpoint = {"base_url": server.url, "attempts": 1, "pause_s": 0, "concurrency": 1}
    return {"kind": "openai", "model": model, "endpoint": endpoint}


def label(context: Context, policy: ModelRef, prompts: list[Prompt], *inputs: str) -> tuple[Stage, dict[str, Any]]:
    stage = context.run.stage("labelling")
    counts = labelling_stage(stage, context, policy, prompts, [seed(1, *inputs)] if inputs else [])
    return stage, counts


def tasks_of(stage: Stage) -> dict[str, LabelledTask]:
    return {task.prompt_id: task for task in stage.read("tasks", LabelledTask)}


def test_a_prompt_without_a_label_has_no_pass_rate(make_context: MakeContext) -> None:
    context = make_context({"samples": 2, "difficulty": {"rollouts": 2, "wave": 2}, "drop": []})
    tied = {"split": ["12", "13"], "sure": ["12", "12", "12", "13"]}
    script(context, lambda text, n: f"\\boxed{{{tied[text.split()[0]][n]}}}")
    stage, _ = label(context, SCRIPTED, [prompt("p1", "split 6 + 6?"), prompt("p2", "sure 6 + 6?")])
    tasks = tasks_of(stage)
    assert (tasks["p1"].dropped, tasks["p1"].label_correct) == ("label: tie", None)
    assert (tasks["p1"].pass_rate, tasks["p2"].pass_rate) == (None, 0.5)
    assert tasks["p2"].pass_rate_low is not None
    put_plan(stage.folder.parents[1], ["synthesis", "curation", "labelling"])
    figures = stage_figures(stage.folder, Kind.LABELLING)
    assert sum(figures.histograms["pass_rate"]["counts"]) == 1
    assert sum(figures.histograms["agreement"]["counts"]) == 2


SCRIPTED = ModelRef("scripted", "scripted")


def test_a_tiny_model_labels_its_own_prompts(make_context: MakeContext, tiny_model: ModelRef) -> None:
    sampling = {"temperature": 1.0, "max_new_tokens": 8}
    settings = {
        "samples": 2,
        "sampling": sampling,
        "votes": "likelihood",
        "difficulty": {"rollouts": 2, "sampling": sampling},
        "relabelling": {"samples": 2, "sampling": sampling},
    }
    found = []
    for name in ("one", "two"):
        context = make_context(settings, code=True, name=name)
        stage, counts = label(context, tiny_model, PROMPTS, "1 2")
        again = context.run.stage("relabelling_2")
        relabelling_stage(again, context, 2, tiny_model, [stage])
        tables = [stage.read("tasks", LabelledTask), stage.read("votes", Vote), again.read("votes", Vote)]
        found.append([*tables, stage.read("completions", Rollout), again.read("tasks", LabelledTask), counts])
    assert found[0] == found[1]
    tasks, votes, later, completions, renewed, counts = found[0]
    assert [(task.prompt_id, task.dropped) for task in tasks] == [
        ("p1", "label: no answer"),
        ("p2", "label: no program"),
    ]
    assert len(votes) == len(later) == len(completions) == 4
    assert all(vote.weight > 0 for vote in votes)
    assert [vote.round for vote in later] == [2] * 4
    assert [task.prompt_id for task in renewed] == ["p1", "p2"]
    assert (counts.tasks, counts.lost) == (0, {"label: no answer": 1, "label: no program": 1})


def test_named_labellers_vote_with_their_weights(make_context: MakeContext, server: OpenAIServer) -> None:
    server.reply = lambda text, _: "\\boxed{12}"
    context = make_context(
        {
            "labellers": {
                "big": {"engine": engine(server, "big"), "samples": 2, "weight": 2.0},
                "me": {"samples": 3},
            },
            "difficulty": {"rollouts": 8, "wave": 2, "stop": "certain"},
            "drop": ["at_least_half_solved", "never_solved"],
        }
    )
    policy = script(context, lambda text, n: "\\boxed{13}" if n % 2 else "\\boxed{12}")
    stage, counts = label(context, SCRIPTED, PROMPTS[:1])
    task = tasks_of(stage)["p1"]
    assert (task.task.answer, task.label_correct) == ("12", True)
    assert task.agreement == pytest.approx(6 / 7)
    votes = [(row.labeller, row.answer, row.weight) for row in stage.read("votes", Vote)]
    assert votes == [("big", "12", 2.0)] * 2 + [("me", "12", 1.0), ("me", "13", 1.0), ("me", "12", 1.0)]
    # The policy finds it in every second of its own rollouts, and the last one, its fourth pass, decides.
    assert task.dropped == "difficulty: solved in at least half of the tries"
    assert (task.pass_rate, task.tried, counts.difficulty_rollouts) == (3 / 7, 8, 8)
    assert (task.pass_rate_low, task.pass_rate_high) == (None, None)
    assert len(policy.asked) == 3 + 8
    assert server.answered == 2


@pytest.mark.usefixtures("needs_sandbox")
def test_tests_that_a_model_writes(make_context: MakeContext, server: OpenAIServer) -> None:
    written = {
        "edge case": {"input": "5\n", "output": "5"},
        "complex": {"input": "1 2 3\n", "output": "7"},
        "often wrong": {"input": "5", "output": "5"},
    }

    def reply(text: str, _: int) -> str:
        return next((f"So: {json.dumps(row)}" for key, row in written.items() if key in text), "I cannot.")

    server.reply = reply
    context = make_context(
        {
            "samples": 3,
            "inputs": "generated",
            "test_writer": {"engine": engine(server, "writer"), "attempts": 2},
            "min_tests": 2,
            "drop": [],
        },
        code=True,
    )
    script(context, lambda text, n: f"```python\nprint({'max' if n == 2 else 'sum'}(map(int, input().split())))\n```")
    stage, _ = label(context, SCRIPTED, PROMPTS[1:])
    task = tasks_of(stage)["p2"]
    assert [(test.input, test.output) for test in task.task.tests] == [("5\n", "5"), ("1 2 3\n", "6")]
    assert {row.kind: (row.input, row.written, row.outcome) for row in stage.read("unit_tests", UnitTest)} == {
        "edge_case": ("5\n", "5", "confirmed"),
        "complex_scenario": ("1 2 3\n", "7", "mended"),
        "error_prone": ("5", "5", "dropped: an input that is there already"),
        "critical_path": ("", "", "dropped: no test"),
    }
    assert task.agreement == pytest.approx(2 / 3)
    # Four kinds, and another try for the two that gave no test in the end.
    assert server.answered == 5


def test_a_second_look_turns_a_vote(make_context: MakeContext, server: OpenAIServer) -> None:
    server.reply = lambda text, _: "It adds up.\nRIGHT" if "boxed{12}" in text else "**WRONG**"
    look = {"engine": engine(server, "checker"), "samples": 2}
    answers = ["\\boxed{13}", "\\boxed{13}", "\\boxed{13}", "\\boxed{12}", "\\boxed{12}", "none at all"]
    for verification, expected in ((None, "13"), (look, "12")):
        context = make_context(
            {"samples": 6, "min_agreement": 0.3, "verification": verification}, name=f"run-{expected}"
        )
        script(context, lambda text, n: answers[n])
        stage, _ = label(context, SCRIPTED, PROMPTS[:1])
        assert tasks_of(stage)["p1"].task.answer == expected
    weights = [row.weight for row in stage.read("votes", Vote)]
    assert weights == [0.5, 0.5, 0.5, 1.5, 1.5, 1.0]


def test_statements_are_filtered_before_anyone_solves_them(make_context: MakeContext) -> None:
    context = make_context({"samples": 2, "filters": ["proof"]})
    policy = script(context, lambda text, n: "\\boxed{12}")
    stage, counts = label(context, SCRIPTED, [prompt("a", "Prove that 2 is even, please."), PROMPTS[0]])
    assert policy.asked == [ADD, ADD]
    assert counts.lost == {"label: proof question": 1, "difficulty: always solved": 1}
    assert tasks_of(stage)["a"].dropped.startswith("label: proof question (")


def test_answers_are_read_by_the_math_verifier_of_a_composite(make_context: MakeContext) -> None:
    parts = {"right": {"verifier": "math"}, "short": {"verifier": "length", "params": {"limit": 90, "buffer": 10}}}
    context = make_context({"samples": 4}, verifier={"verifier": "composite", "verifier_params": {"components": parts}})
    script(context, answers("12", "12.0", "13", "12"))
    stage, _ = label(context, SCRIPTED, PROMPTS[:1])
    assert (tasks_of(stage)["p1"].task.answer, tasks_of(stage)["p1"].agreement) == ("12", 0.75)


def test_labels_of_a_later_round_say_so(make_context: MakeContext) -> None:
    """`each_round: relabel` has the same prompts again, which must not get rows of the same ids."""
    context = make_context({"samples": 4, "difficulty": {"rollouts": 2, "stop": "never"}})
    found = []
    for number in (0, 2):
        script(context, answers("12", "12", "13", "12"))
        stage = context.run.stage(f"labelling{number}")
        labelling_stage(stage, context, SCRIPTED, PROMPTS[:1], [], number)
        tables = (("votes", Vote), ("completions", Rollout), ("rollouts", Rollout))
        found.append({name: stage.read(name, record) for name, record in tables})  # type: ignore[arg-type]
    assert [{row.round for row in found[n][name]} for n in (0, 1) for name in found[n]] == [{0}] * 3 + [{2}] * 3
    ids = [row.id for one in found for rows in one.values() for row in rows]
    assert len(set(ids)) == len(ids)


def again(context: Context, number: int, earlier: list[Stage]) -> tuple[Stage, dict[str, Any]]:
    stage = context.run.stage(f"relabelling_{number}")
    return stage, relabelling_stage(stage, context, number, SCRIPTED, earlier)


def answers(*given: str) -> Any:
    return lambda text, n: f"\\boxed{{{given[n % len(given)]}}}"


RELABEL = {"samples": 4, "relabelling": {"samples": 4}, "min_agreement": 0.5}


def test_a_contradicted_label_is_voted_on_again(make_context: MakeContext) -> None:
    context = make_context(RELABEL)
    script(context, answers("13", "13", "13", "12"))
    first, _ = label(context, SCRIPTED, PROMPTS[:1])
    script(context, answers("12", "12", "12", "12"))
    second, counts = again(context, 2, [first])
    task = tasks_of(second)["p1"]
    assert (task.task.answer, task.agreement) == ("12", 5 / 8)
    assert task.flag == "contradicted before round 2: changed"
    # All of the new policy's completions agree with the new label: it is too easy by now.
    assert (task.pass_rate, task.dropped) == (1.0, "difficulty: always solved")
    assert counts.flags == {"contradicted before round 2: changed": 1}
    assert counts.agreement is None, "of those that stay, and none does"
    script(context, answers("12", "11", "12", "12"))
    third, counts = again(context, 3, [first, second])
    revived = tasks_of(third)["p1"]
    assert counts.agreement == revived.agreement
    assert (revived.task.answer, revived.dropped, revived.pass_rate) == ("12", "", 0.75)
    assert revived.flag == "contradicted before round 2: changed"


def test_a_tie_with_the_old_votes_leaves_no_label(make_context: MakeContext) -> None:
    context = make_context(RELABEL)
    script(context, answers("13", "13", "13", "12"))
    first, _ = label(context, SCRIPTED, PROMPTS[:1])
    script(context, answers("12", "12", "11", "10"))
    second, _ = again(context, 2, [first])
    task = tasks_of(second)["p1"]
    assert task.dropped == "label: agreement too low"
    assert task.flag == "contradicted before round 2: lost"


def test_what_is_not_contradicted_keeps_its_label_and_is_measured(make_context: MakeContext) -> None:
    context = make_context(RELABEL | {"difficulty": {"stop": "certain", "wave": 2}})
    script(context, answers("13", "13", "13", "12"))
    first, _ = label(context, SCRIPTED, PROMPTS[:1])
    policy = script(context, answers("13", "12", "13", "13"))
    second, counts = again(context, 2, [first])
    task = tasks_of(second)["p1"]
    before = tasks_of(first)["p1"]
    assert (task.id, task.task.answer, task.agreement, task.flag) == (before.id, "13", 0.75, "")
    # Two completions are not enough to rule out that the label is contradicted; four are.
    assert len(policy.asked) == counts.completions == 4
    # It stays, and so has all four.
    assert (task.pass_rate, task.tried) == (0.75, 4)


def test_old_votes_fade(make_context: MakeContext) -> None:
    fading = {"samples": 4, "votes": "all", "decay": 0.5}
    context = make_context(RELABEL | {"relabelling": fading})
    script(context, answers("13", "13", "13", "12"))
    first, _ = label(context, SCRIPTED, PROMPTS[:1])
    script(context, answers("12", "12", "13", "11"))
    second, _ = again(context, 2, [first])
    # 13 has 3 x 0.5 + 1, and 12 has 0.5 + 2: a tie.
    assert tasks_of(second)["p1"].dropped == "label: agreement too low"


@pytest.mark.usefixtures("needs_sandbox")
def test_programs_that_agree_on_something_else_contradict_tests(make_context: MakeContext) -> None:
    program = "```python\nprint({}(map(int, input().split())))\n```"
    context = make_context(RELABEL | {"drop": [], "min_tests": 1}, code=True)
    script(context, lambda text, n: program.format("max" if n < 3 else "sum"))
    first, _ = label(context, SCRIPTED, PROMPTS[1:], "1 2", "5")
    before = tasks_of(first)["p2"]
    assert sorted((test.input, test.output) for test in before.task.tests) == [("1 2", "2"), ("5", "5")]
    assert before.label_correct is False
    script(context, lambda text, n: program.format("sum"))
    second, _ = again(context, 2, [first])
    task = tasks_of(second)["p2"]
    assert sorted((test.input, test.output) for test in task.task.tests) == [("1 2", "3"), ("5", "5")]
    assert task.flag == "contradicted before round 2: changed"
    assert task.label_correct is True
    assert len(second.read("completions", Rollout)) == 4
