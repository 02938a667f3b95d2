"""The smaller commands, as users run them, and their errors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.errors import UserError
from selfplay.pipeline import check, load_recipe
from selfplay.preflight.rewards import check_rewards
from tests.e2e.conftest import ROOT, SMALL, selfplay

GOOD = "```python\nprint(sum(map(int, input().split())))\n```"
BAD = "```python\nprint(0)\n```"
SUM_TESTS = [{"input": "1 2\n", "output": "3\n"}, {"input": "5 5 5\n", "output": "15"}]


def rows_file(folder: Path, rows: list[dict[str, Any]]) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def verdicts(file: Path, verifier: str) -> list[dict[str, Any]]:
    done = selfplay("verify", "--verifier", verifier, file)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_verify_math(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "completion": "so \\boxed{\\frac{1}{2}}", "answer": "0.5"},
        {"id": "b", "completion": "\\boxed{3}", "answer": "4"},
        {"id": 7, "completion": "no idea", "answer": "4"},
        {"completion": "\\boxed{41} or \\boxed{42}", "answer": "42"},
    ]
    found = verdicts(rows_file(tmp_path, rows), "math")
    assert [(row["id"], row["status"], row["passed"]) for row in found] == [
        ("a", "correct", True),
        ("b", "wrong", False),
        (7, "no_answer", False),
        (None, found[3]["status"], False),
    ]
    assert all(set(row) == {"id", "passed", "reward", "status", "reason", "seconds"} for row in found)


@pytest.mark.usefixtures("needs_sandbox")
def test_verify_code(tmp_path: Path) -> None:
    rows = [
        {"id": "good", "completion": GOOD, "tests": SUM_TESTS},
        {"id": "bad", "completion": BAD, "tests": SUM_TESTS},
        {"id": "loop", "completion": "```python\nwhile 1: pass\n```", "tests": SUM_TESTS, "time_limit_s": 0.3},
        {"id": "none", "completion": "no program", "tests": SUM_TESTS},
        {
            "id": "function",
            "completion": "```python\ndef add(a, b):\n    return a + b\n```",
            "entry_point": "add",
            "tests": [{"args": [1, 2], "expected": 3}],
        },
    ]
    found = {row["id"]: row["status"] for row in verdicts(rows_file(tmp_path, rows), "code")}
    assert found == {
        "good": "accepted",
        "bad": "wrong_answer",
        "loop": "time_limit",
        "none": "no_answer",
        "function": "accepted",
    }


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("not json", "rows.jsonl:2"),
        ('{"answer": "4"}', "completion"),
        ('{"completion": "x"}', "answer"),
        ("[1]", "rows.jsonl:2"),
    ],
)
def test_verify_refuses_unusable_input(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"completion": "\\\\boxed{1}", "answer": "1"}\n' + line + "\n")
    done = selfplay("verify", "--verifier", "math", file)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_verify_names_near_verifiers(tmp_path: Path) -> None:
    done = selfplay("verify", "--verifier", "maths", rows_file(tmp_path, []))
    assert done.returncode == 2
    assert "math" in done.stderr


@pytest.mark.usefixtures("needs_sandbox")
def test_sandbox_run(tmp_path: Path) -> None:
    program = tmp_path / "p.py"
    program.write_text("print(input()[::-1])")
    (tmp_path / "in").write_text("abc\n")
    done = selfplay("sandbox", "run", program, "--stdin", tmp_path / "in", "--json")
    assert done.returncode == 0
    execution = json.loads(done.stdout)
    assert (execution["status"], execution["stdout"]) == ("ok", "cba\n")
    program.write_text("raise SystemExit(3)")
    failed = selfplay("sandbox", "run", program, "--json")
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["status"] == "runtime_error"
    unknown = selfplay("sandbox", "run", rows_file(tmp_path, []))
    assert unknown.returncode == 2
    assert "--language" in unknown.stderr


@pytest.mark.usefixtures("needs_sandbox")
def test_sandbox_doctor() -> None:
    done = selfplay("sandbox", "doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    findings = {row["limit"]: row["enforced"] for row in json.loads(done.stdout)}
    assert {"network", "host_read", "memory", "wall"} <= set(findings)
    assert all(findings.values())


@pytest.mark.usefixtures("needs_sandbox")
@pytest.mark.parametrize("recipe", sorted(file.name for file in (ROOT / "configs").glob("qwen*.yaml")))
def test_check_passes_on_the_shipped_recipes(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this host can enforce is examined for the quickstart; vLLM and Ray live in environments of their own."""
    monkeypatch.setattr("selfplay.pipeline.crew.check_cluster", lambda compute, gpus_each: [])
    monkeypatch.setattr("selfplay.preflight.recipe.check_sandbox", lambda recipe: [])
    monkeypatch.setattr("selfplay.preflight.vllm.check_served", lambda recipe: None)
    monkeypatch.setattr("selfplay.preflight.vllm.check_rollouts", lambda recipe, workers: None)
    monkeypatch.setattr("selfplay.preflight.recipe.check_endpoints", lambda named: [])
    monkeypatch.setattr("selfplay.pipeline.crew.gpu_count", lambda: 0)
    found = {finding.name: finding.detail for finding in check(ROOT / "configs" / recipe)}
    assert found["rewards: math"] == "20 right answers pass, 10 wrong ones fail"
    assert "not looked up" in found["model"]
    assert "would refuse here" in found["plan"]


@pytest.mark.usefixtures("needs_sandbox")
def test_check_passes_on_the_quickstart() -> None:
    """A few of its answers; all 16,000 are for `selfplay check` by hand."""
    few = [f"domains.{name}.seeds.train=60" for name in ("math", "code")]
    done = selfplay("check", SMALL, *few)
    assert done.returncode == 0, done.stderr
    assert re.search(r"rewards: code: \d+ right answers pass, \d+ wrong ones fail", done.stdout)
    assert "ok  sandbox: enforces network" in done.stdout


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("em.rouns=2", "did you mean `rounds`"),
        ("domains.math.verifier=mth", "no verifier is called 'mth'"),
        ("compute.device=cuda", "torch sees no GPU"),
    ],
)
def test_run_refuses_before_anything_is_loaded(tmp_path: Path, override: str, says: str) -> None:
    done = selfplay("run", SMALL, "compute.workers=1", override, "--run-dir", tmp_path / "run")
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run").glob("stages/base"))


SEED: dict[str, Any] = {"problem": "2 + 2?", "concepts": ["sum"], "level": "easy", "rationale": "Add.", "answer": "4"}


@pytest.mark.parametrize(
    ("train", "heldout", "says"),
    [
        (SEED | {"solution": "\\boxed{5}"}, SEED | {"problem": "3 + 1?"}, "the verifier 'math' is wrong on 1 of"),
        (SEED, SEED, "a problem is in train too"),
        (SEED, None, "domains.math.seeds.heldout: has no problems"),
        ({k: v for k, v in SEED.items() if k != "rationale"}, SEED, "line 1: `rationale` must be a text"),
    ],
    ids=["wrong gold", "on both sides", "nothing to evaluate", "bare problem"],
)
def test_bad_seeds_are_found_by_the_preflight(tmp_path: Path, train: Any, heldout: Any, says: str) -> None:
    for name, row in (("train", train), ("heldout", heldout)):
        (tmp_path / f"{name}.jsonl").write_text("" if row is None else json.dumps(row) + "\n")
    recipe = tmp_path / "own.yaml"
    recipe.write_text(
        "name: own\nmodel: {kind: scratch}\ndomains:\n  math:\n"
        "    seeds: {kind: file, train: train.jsonl, heldout: heldout.jsonl}\n"
    )
    with pytest.raises(UserError, match=re.escape(says)):
        check_rewards(load_recipe(recipe))


def test_a_model_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path) -> None:
    model = f"model={{kind: pretrained, name: {tmp_path}}}"
    done = selfplay("run", SMALL, model, "compute.workers=1", "--run-dir", tmp_path / "run")
    assert done.returncode == 2, done.stderr
    assert "model.name" in done.stderr


@pytest.mark.usefixtures("needs_sandbox")
def test_arguments_that_a_trainer_refuses_are_refused_by_the_check() -> None:
    with pytest.raises(UserError, match="GRPOConfig refuses it"):
        check(SMALL, ["training.grpo.args.num_generations=7"])


@pytest.mark.parametrize("verb", ["status", "report"])
def test_what_is_no_run_is_refused(tmp_path: Path, verb: str) -> None:
    done = selfplay(verb, tmp_path)
    assert done.returncode == 2
    assert "is not a run directory" in done.stderr
