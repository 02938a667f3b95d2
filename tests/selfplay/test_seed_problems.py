"""Seeds from files and from generators, and what is said of bad rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfplay.config import Domain
from selfplay.quickstart.true_labels import exact_solver
from selfplay.records import TestCase
from selfplay.seed_problems import SeedError, load_seeds, read_seed_file

ROW: dict[str, Any] = {"problem": "2 + 2?", "concepts": ["sum"], "level": "easy", "rationale": "Add.", "answer": 4}


def written(folder: Path, *rows: Any) -> Path:
    file = folder / "seeds.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return file


def test_a_file_is_read(tmp_path: Path) -> None:
    code = {k: v for k, v in ROW.items() if k != "answer"} | {
        "tests": [{"input": "1", "output": "2"}],
        "solution": "x",
    }
    first, second = read_seed_file(written(tmp_path, ROW, "", code), "math", "train")
    assert (first.answer, first.tests, first.solution_is_right) == ("4", (), None)
    assert (second.answer, second.tests, second.solution_is_right) == (None, (TestCase("1", "2"),), True)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{", "line 2: is not JSON"),
        ("[]", "line 2: is not a JSON object"),
        (ROW | {"problem": ""}, "line 2: `problem` must be a text"),
        (ROW | {"level": 3}, "`level` must be a text"),
        (ROW | {"concepts": "sum"}, "`concepts` must be a list"),
        (ROW | {"concepts": []}, "`concepts` must be a list"),
        (ROW | {"answer": [4]}, "`answer` must be"),
        (ROW | {"answer": None}, "needs `answer` or `tests`"),
        (ROW | {"tests": [{"input": 1}]}, "`tests` must be a list"),
        ('{"problem": "\\ud800"}', "line 2: is not JSON in UTF-8"),
        ("[" * 100_000, "line 2: is not JSON in UTF-8"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: Any, says: str) -> None:
    with pytest.raises(SeedError) as error:
        read_seed_file(written(tmp_path, ROW, row), "math", "train")
    assert says in str(error.value)
    assert "seeds.jsonl" in str(error.value)


@pytest.mark.parametrize(
    "seeds",
    [
        {"kind": "quickstart", "grammar": "math", "train": 20, "heldout": 5},
        {"kind": "quickstart", "grammar": "code", "train": 20, "heldout": 5},
        {"kind": "reasoning_gym", "train": 20, "heldout": 5},
    ],
    ids=["math", "code", "reasoning_gym"],
)
def test_generators_share_one_interface(seeds: dict[str, Any]) -> None:
    domain = Domain.model_validate({"seeds": seeds})
    train, heldout = (load_seeds(1, "d", domain, split) for split in ("train", "heldout"))  # type: ignore[arg-type]
    assert (len(train), len(heldout)) == (20, 5)
    assert not {seed.concepts for seed in train} & {seed.concepts for seed in heldout}
    assert all(seed.answer or seed.tests for seed in train)


@pytest.mark.parametrize("grammar", ["math", "code"])
def test_labels_are_judged_by_the_exact_solver(grammar: str) -> None:
    domain = Domain.model_validate({"seeds": {"kind": "quickstart", "grammar": grammar, "train": 10}})
    solver = exact_solver(domain)
    assert solver is not None
    for seed in load_seeds(0, "d", domain, "train"):
        assert solver(seed.problem, seed.answer, seed.tests)
        wrong = tuple(TestCase(test.input, test.output + "1") for test in seed.tests)
        assert not solver(seed.problem, f"{seed.answer}1", wrong)
    assert not solver("What is love?", "5", (TestCase("1", "1"),))


def test_other_sources_have_no_exact_solver() -> None:
    assert exact_solver(Domain.model_validate({"seeds": {"kind": "reasoning_gym"}})) is None


def test_other_encodings_are_named(tmp_path: Path) -> None:
    file = tmp_path / "seeds.jsonl"
    file.write_bytes(json.dumps(ROW).encode() + b"\n" + '{"problem": "d\u00e9j\u00e0"}'.encode("latin-1"))
    with pytest.raises(SeedError, match="line 2: is not JSON in UTF-8"):
        read_seed_file(file, "math", "train")


def test_a_grammar_that_is_too_small_is_named() -> None:
    seeds = {"kind": "quickstart", "grammar": "code", "train": 10**6}
    with pytest.raises(SeedError, match=r"domains\.d\.seeds\.heldout"):
        load_seeds(0, "d", Domain.model_validate({"seeds": seeds | {"heldout": 3000}}), "heldout")
