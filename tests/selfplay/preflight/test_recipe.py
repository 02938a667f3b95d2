"""What is tried of a recipe's rewards before anything expensive, and what is said where nothing can be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from selfplay.config.recipe import Recipe
from selfplay.preflight.recipe import PreflightError, _check_shape, check_argument_names, check_sharding
from selfplay.preflight.rewards import _demand_calls, check_rewards
from selfplay.seeds.stage import load_seeds, may_lack
from selfplay.trl_trainers.arguments import ArgumentsError
from verifiers.mathematics import MathVerifier
from verifiers.model import Verdict, Verifier
from verifiers.plugins.guard import FunctionVerifier, GuardedVerifier

EXTERNAL: dict[str, Any] = {"arm": "external"}
SUMS = [{"problem": f"{n} + 1?", "answer": str(n + 1)} for n in range(3)]
RIGHT_ON_FORM: dict[str, Any] = {
    "verifier": "composite",
    "verifier_params": {
        "combine": "product",
        "components": {"right": {"verifier": "math"}, "form": {"verifier": "regex", "params": {"pattern": r"x = \d+"}}},
    },
}


ADD = {"entry_point": "add", "tests": [{"args": [1, 2], "expected": 3}]}
ECHO = {"language": "cpp", "tests": [{"input": "5", "output": "5"}]}
PROGRAMS: list[dict[str, Any]] = [
    ADD | {"problem": "Add.", "solution": "```python\ndef add(a, b):\n    return a + b\n```"},
    ADD | {"problem": "Add up.", "solution": "```python\nclass Solution:\n    def add(s, a, b): return b + a\n```"},
    ECHO
    | {
        "problem": "Echo.",
        "solution": '```cpp\n#include <cstdio>\nint main() { int n; scanf("%d", &n); printf("%d", n); }\n```',
    },
]


def recipe(
    folder: Path,
    domain: dict[str, Any],
    answers: list[dict[str, Any]] = SUMS,
    pool: dict[str, Any] = EXTERNAL,
    model: dict[str, Any] | None = None,
) -> Recipe:
    files = {}
    for split, rows in (("train", answers[1:]), ("heldout", answers[:1])):
        file = folder / f"{split}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        files[split] = str(file)
    seeds = {"kind": "file", "level": "easy", **files}
    return Recipe.model_validate(
        {
            "name": "sums",
            "model": model or {"kind": "pretrained", "name": "org/model"},
            "domains": {"sums": {"seeds": seeds} | domain},
            "training": {"pool": pool},
        }
    )


def own(rule: Any, judges: str = "answer") -> Verifier:
    """A verifier as somebody's function makes it."""
    made = FunctionVerifier("mine", rule, {})
    made.judges = judges
    return GuardedVerifier(made, "mine")


def test_a_verifier_that_checks_nothing_is_found_out(tmp_path: Path) -> None:
    whole = recipe(tmp_path, {"verifier": "math"})
    seeds = load_seeds(0, "sums", whole.domains["sums"], "train", may_lack(whole))
    with pytest.raises(PreflightError, match=r"'mine' passes whatever it is shown, an empty"):
        _demand_calls("sums", seeds, own(lambda task, completion: True))
    with pytest.raises(PreflightError, match=r"could judge none of 2 completions \(verifier mine raised ZeroDivision"):
        _demand_calls("sums", seeds, own(lambda task, completion: 1 / 0))
    _demand_calls("sums", seeds, own(lambda task, completion: True, judges="form"))
    _demand_calls("sums", seeds, own(lambda task, completion: completion != ""))
    _demand_calls("sums", seeds, own(lambda task, completion: False))


def test_answers_are_tried_on_the_part_of_a_composite_that_reads_them(tmp_path: Path) -> None:
    finding, _ = check_rewards(recipe(tmp_path, RIGHT_ON_FORM))
    assert finding.detail == "3 right answers pass, 3 wrong ones fail"


def test_an_answer_that_the_part_cannot_read_is_refused(tmp_path: Path) -> None:
    unreadable = [*SUMS, {"problem": "What is left?", "answer": "\\frac{"}]
    with pytest.raises(PreflightError, match=r"domains\.sums: the verifier 'math' is wrong on 1 of 8"):
        check_rewards(recipe(tmp_path, RIGHT_ON_FORM, unreadable))


def test_a_slip_in_a_trainers_argument_is_found_before_the_trainer_is_loaded(tmp_path: Path) -> None:
    """By what the source of its library says."""
    for section, says in (
        (
            {"training": {"dpo": {"args": {"num_train_epoch": 1}}}},
            r"training\.dpo\.args\.num_train_epoch: .*did you mean",
        ),
        ({"training": {"rft": {"args": {"seed": 1}}}}, r"training\.rft\.args\.seed: is not yours to set"),
        ({"model": {"kind": "scratch", "args": {"max_step": 1}}}, r"model\.args\.max_step: .*did you mean `max_steps`"),
    ):
        given = recipe(tmp_path, {"verifier": "math"}).model_dump() | {"name": "slip"}
        with pytest.raises(ArgumentsError, match=says):
            check_argument_names(Recipe.model_validate(given | section))


def test_the_right_answer_stands_beside_what_was_refused(tmp_path: Path) -> None:
    """As where a number was written as 2.0, and the rule compares texts."""
    answers = [*SUMS, {"problem": "2 + 0?", "answer": "2.0", "solution": "2"}]
    with pytest.raises(PreflightError, match=r"'2', where the answer is '2\.0', .*; mend the seeds, the verifier or"):
        check_rewards(recipe(tmp_path, {"verifier": "exact"}, answers))


def test_a_model_from_scratch_needs_worked_solutions(tmp_path: Path) -> None:
    bare = [{"problem": f"{n} + 1?", "answer": str(n + 1)} for n in range(3)]
    with pytest.raises(PreflightError, match=r"model\.kind: scratch .* no training seed has one; give a column"):
        check_rewards(recipe(tmp_path, {"verifier": "math"}, bare, model={"kind": "scratch"}))


def test_a_solution_in_the_place_of_an_answer_is_refused(tmp_path: Path) -> None:
    """As GSM8K has them; no completion would ever give that text."""
    answers = [*SUMS[:2], {"problem": "2 + 1?", "answer": "2 and 1 more.\n#### 3"}]
    with pytest.raises(PreflightError, match=r"the answer of '2 . 1.' is a whole solution; .* behind '####'"):
        check_rewards(recipe(tmp_path, {"verifier": "math"}, answers))


def test_one_problem_is_too_few_to_be_divided(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("problem,answer\n1 + 1?,2\n")
    own = recipe(tmp_path, {"verifier": "math", "seeds": {"kind": "file", "train": str(tmp_path / "p.csv")}})
    with pytest.raises(PreflightError, match=r"train: has no problems \(it has 1 in all; a part is held back"):
        check_rewards(own)


def test_few_held_out_problems_are_said(tmp_path: Path) -> None:
    _, counted = check_rewards(recipe(tmp_path, {"verifier": "math"}))
    assert counted.detail.startswith("2 train, 0 dev, 1 heldout; so few heldout problems measure little")


def test_a_judge_that_failed_is_not_said_to_be_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Verdict(None, None, "sandbox_error", "no worker started within 60 s")
    monkeypatch.setattr(MathVerifier, "verify_many", lambda self, items: [failed for _ in items])
    with pytest.raises(PreflightError, match=r"'math' could not judge 6 of 6 known answers: sandbox_error .no worker"):
        check_rewards(recipe(tmp_path, RIGHT_ON_FORM))


def test_answers_that_cannot_be_read_are_quoted(tmp_path: Path) -> None:
    answers = [*SUMS, *({"problem": f"{n} + 7?", "answer": f"it is {n + 7}, or so (("} for n in range(50, 54))]
    quoted = (
        r"cannot read 4 of the answers: 'it is 57, or so \(\(', of the problem '50 \+ 7\?'; .*; and 1 more; write each"
    )
    with pytest.raises(PreflightError, match=quoted):
        check_rewards(recipe(tmp_path, {"verifier": "math"}, answers))


def test_where_nothing_is_known_nothing_is_said_to_pass(tmp_path: Path) -> None:
    finding, _ = check_rewards(recipe(tmp_path, {"verifier": "regex", "verifier_params": {"pattern": r"\d+"}}))
    assert finding.detail == "nothing tried, since no seed tells what 'regex' should pass or fail"


def test_gold_programs_are_tried_as_functions_and_in_their_language(tmp_path: Path) -> None:
    finding, _ = check_rewards(recipe(tmp_path, {"verifier": "code"}, PROGRAMS))
    assert finding.detail == "3 right answers pass, 3 wrong ones fail"
    wrong = [*PROGRAMS, ADD | {"problem": "Sum.", "solution": "```python\ndef add(a, b):\n    return a - b\n```"}]
    with pytest.raises(PreflightError, match=r"wrong on 1 of 8 known answers: a right answer is judged wrong_answer"):
        check_rewards(recipe(tmp_path, {"verifier": "code"}, wrong))


def test_gold_answers_of_external_prompts_are_tried(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps({"problem": "9 + 1?", "answer": "10", "solution": "\\boxed{11}"}))
    own = recipe(tmp_path, {}, pool={"arm": "external", "external": {"sums": str(file)}})
    with pytest.raises(PreflightError, match=r"judged wrong .*boxed\{11\}.*, of the problem '9 \+ 1\?'"):
        check_rewards(own)


@pytest.mark.parametrize(
    ("row", "asked", "new", "remedy"),
    [
        (PROGRAMS[0], "function add", {"function": "f"}, "set its function to a name such as add"),
        (PROGRAMS[2], "program in C++", {"language": "cpp"}, "set its language to cpp"),
    ],
)
def test_seeds_of_another_kind_of_program_than_new_problems_are_refused(
    tmp_path: Path, row: dict[str, Any], asked: str, new: dict[str, str], remedy: str
) -> None:
    row = row | {"concepts": ["c"], "rationale": "r"}
    domain = {"verifier": "code", "shared_input_format": True}
    made = recipe(tmp_path, domain, [row, row | {"problem": "Another."}], {"arm": "synthetic_only"})
    with pytest.raises(PreflightError) as error:
        check_rewards(made)
    assert str(error.value).startswith(
        f"domains.sums.seeds: 'Another.' asks for a {asked}, but domains.sums.new_programs has new problems solved by "
        "programs in Python"
    )
    assert remedy in str(error.value)
    assert "set training.pool.arm to external" in str(error.value)
    rows = [row, row | {"problem": "Another."}]
    check_rewards(recipe(tmp_path, domain | {"new_programs": new}, rows, {"arm": "synthetic_only"}))


SCRATCH: dict[str, Any] = {
    "name": "r",
    "model": {"kind": "scratch"},
    "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
}


def test_sharding_over_one_worker_is_refused() -> None:
    sharded = Recipe.model_validate(SCRATCH | {"compute": {"sharding": "fsdp2"}})
    with pytest.raises(PreflightError, match=r"compute\.sharding: is fsdp2, but one worker .* raise compute\.workers"):
        check_sharding(sharded, 1)
    check_sharding(sharded, 2)


@pytest.mark.parametrize(
    ("compute", "training", "says"),
    [
        ({"workers": 3}, {}, "3 workers make no groups of 2"),
        ({"executor": "ray", "ray": {"on_loss": "rest"}}, {}, "set on_loss to wait"),
        ({}, {"algorithm": "dpo"}, "training.algorithm is dpo: nothing in TRL's trainer .* take sft, rft"),
        ({}, {"algorithm": "grpo"}, "training.algorithm is grpo: TRL makes its inputs within the trainer"),
    ],
)
def test_sequences_that_cannot_be_cut_are_refused_as_a_recipe_is_read(
    compute: dict[str, Any], training: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        Recipe.model_validate(SCRATCH | {"compute": {"sequence_parallel": 2} | compute, "training": training})
    # Where no round learns, only p and q do.
    Recipe.model_validate(SCRATCH | {"compute": {"sequence_parallel": 2}, "training": {"rounds": 0}})


def test_sequences_are_cut_over_workers_that_are_there_and_heads_that_the_model_has() -> None:
    def cut(ranks: int, **rft: Any) -> Recipe:
        training = {"algorithm": "rft", "rft": {"args": rft}}
        return Recipe.model_validate(SCRATCH | {"compute": {"sequence_parallel": ranks}, "training": training})

    with pytest.raises(PreflightError, match=r"compute\.sequence_parallel: is 2, but there are 3 workers"):
        check_sharding(cut(2), 3)
    check_sharding(cut(2), 4)
    with pytest.raises(PreflightError, match=r"sequence_parallel: is 8, but .* 4 key heads; .* of 4 \(model\)"):
        _check_shape(cut(8), {})
    with pytest.raises(PreflightError, match=r"training\.rft\.args\.packing: joins sequences"):
        _check_shape(cut(2, packing=True), {})
    with pytest.raises(PreflightError, match=r"model\.args\.padding_free: joins sequences"):
        _check_shape(cut(2), {"model.args": {"padding_free": True}})
    _check_shape(cut(1, packing=True), {})
