"""A run that was made up: prompts lost in every way, labels, votes, rollouts and pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfplay.config.recipe import Recipe
from selfplay.run.files import write_json
from selfplay.run.records import Judgement, LabelledTask, Pair, Prompt, Rollout
from selfplay.run.tables import write_table
from tests.selfplay.plans import put_plan
from verifiers.model import Task, Test

SECRET = "sk-not-for-others"


def prompt(number: int, dropped: str = "", domain: str = "math") -> Prompt:
    problem = "" if dropped.startswith("parse") else f"What is {number} + {number}? “ü”"
    return Prompt(
        f"p{number}",
        domain,
        ("sums", "numbers"),
        "easy",
        f"think {number}",
        problem,
        "raw",
        dropped,
        "/secret/place/m",
        0.8,
        3,
    )


def rollout(task: int, index: int, completion: str, passed: bool | None) -> Rollout:
    return Rollout(f"r{task}-{index}", f"t{task}", "math", 0, "T=1", index, completion, passed, None, "s", "")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "own"
    recipe = Recipe.model_validate(
        {
            "name": "own",
            "model": {"kind": "pretrained", "name": "/home/somebody/models/tiny"},
            "domains": {
                "math": {"seeds": {"kind": "quickstart", "grammar": "math"}, "solver_template": "Q: {problem}\nA:"},
                "code": {"seeds": {"kind": "quickstart", "grammar": "code"}, "verifier": "code"},
            },
            "curation": {
                "judging": {
                    "judges": {
                        "j": {
                            "engine": {
                                "kind": "openai",
                                "model": "judge",
                                "endpoint": {"base_url": "http://10.0.0.7/v1", "api_key_env": "OWN_KEY"},
                                "extra_body": {"user": SECRET},
                            }
                        }
                    }
                }
            },
        }
    )
    write_json(folder / "recipe.json", recipe.model_dump(mode="json"))
    put_plan(folder)
    reasons = {2: "parse: no problem block", 5: "near duplicate (of p1)", 6: "judged: format (j gives 1 of 5)"}
    made = [prompt(number, reasons[number] if number == 2 else "") for number in range(1, 8)]
    made[-1] = prompt(7, domain="code")
    curated = [prompt(n, reasons.get(n, ""), "code" if n == 7 else "math") for n in range(1, 8) if n != 2]
    stages = folder / "stages"
    write_table(stages / "synthesis/prompts.parquet", Prompt, made)
    write_table(stages / "curation/prompts.parquet", Prompt, curated)
    said = Judgement("j1", "p6", "j", "m", ("format",), (1,), "it breaks off", "")
    write_table(stages / "curation/judgements.parquet", Judgement, [said])
    write_json(stages / "curation/manifest.json", {"stage": "curation"})
    tasks = [
        LabelledTask("t1", "p1", "math", Task("What is 1 + 1?", "2"), 0.9, 0.75, "", None),
        LabelledTask("t3", "p3", "math", Task("What is 3 + 3?"), 0.3, None, "label: tie", None),
        LabelledTask("t4", "p4", "math", Task("What is 4 + 4?", "8"), 1.0, 0.5, "", None),
        LabelledTask("t7", "p7", "code", Task("Print 14.", tests=(Test("1", "14"),)), 1.0, 1.0, "", None),
    ]
    write_table(stages / "labelling/tasks.parquet", LabelledTask, tasks)
    votes = [
        rollout(1, 0, "two", True),
        rollout(1, 1, "2!", True),
        rollout(1, 2, "2!", True),
        rollout(1, 3, "3", False),
        rollout(3, 0, "6", None),
        rollout(4, 0, "nine", False),
    ]
    write_table(stages / "labelling/completions.parquet", Rollout, votes)
    write_table(stages / "selfplay_2/rollouts.parquet", Rollout, [rollout(4, 1, "eight", True)])
    pairs = [Pair("x", "t4", "Q: What is 4 + 4?\nA:", "eight", "nine", "self-play")]
    write_table(stages / "selfplay_2/pairs.parquet", Pair, pairs)
    return folder


def label(number: int, answer: str | None, dropped: str = "", agreement: float = 1.0) -> LabelledTask:
    task = f"t{number}{'' if answer is None else answer}"
    return LabelledTask(task, f"p{number}", "math", Task(f"What is {number}?", answer), agreement, 0.5, dropped, None)


@pytest.fixture
def rounds(run: Path) -> Path:
    """The same run, with prompts of a second round, and of a tenth that has just begun."""
    stages = run / "stages"
    lost = {12: "parse: no problem block", 13: "near duplicate (of p1)"}
    made = [prompt(number, lost[number] if number == 12 else "") for number in range(11, 15)]
    curated = [prompt(number, lost.get(number, "")) for number in (11, 13, 14)]
    write_table(stages / "synthesis_2/prompts.parquet", Prompt, made)
    write_table(stages / "curation_2/prompts.parquet", Prompt, curated)
    said = Judgement("j2", "p13", "j", "m", ("format",), (1,), "said in round 2", "")
    write_table(stages / "curation_2/judgements.parquet", Judgement, [said])
    write_json(stages / "curation_2/manifest.json", {"stage": "curation_2"})
    tasks = [label(11, "22"), label(14, None, "label: tie", 0.3)]
    write_table(stages / "labelling_2/tasks.parquet", LabelledTask, tasks)
    write_table(stages / "labelling_2/completions.parquet", Rollout, [rollout(1122, 0, "22!", True)])
    pairs = [Pair("y", "t1122", "Q: What is 11?\nA:", "22!", "23", "self-play")]
    write_table(stages / "selfplay_3/pairs.parquet", Pair, pairs)
    write_table(stages / "synthesis_10/prompts.parquet", Prompt, [prompt(21)])
    return run


@pytest.fixture
def relabelled(run: Path) -> Path:
    """The same run, whose prompts were labelled again before the second and the third round."""
    stages = run / "stages"
    again = [label(1, "2"), label(3, None, "label: tie"), label(4, "8"), label(7, "14")]
    write_table(stages / "relabelling_2/tasks.parquet", LabelledTask, again)
    again = [label(1, None, "label: tie"), label(3, "6"), label(4, "8"), label(7, "14")]
    write_table(stages / "relabelling_3/tasks.parquet", LabelledTask, again)
    write_table(stages / "relabelling_3/completions.parquet", Rollout, [rollout(36, 0, "six", True)])
    return run
