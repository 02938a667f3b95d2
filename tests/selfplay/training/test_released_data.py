"""Files of the shapes in which released data come: pairs, SFT files, rows of concepts, the generator's tags."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfplay import formats
from selfplay.concepts.listing import read_concept_list
from selfplay.config.load import load_recipe
from selfplay.config.recipe import Recipe
from selfplay.config.rows import FileRows
from selfplay.config.rules import PairFiles
from selfplay.config.teacher import TraceFiles
from selfplay.pipeline.stages import stage_table
from selfplay.preflight.prompts import check_prompts
from selfplay.preflight.recipe import check_pool
from selfplay.run.directory import RunDirectory
from selfplay.run.records import Pair
from selfplay.run.tables import read_table
from selfplay.seeds.rows import SeedError
from selfplay.seeds.stage import external_problems
from selfplay.training import rules
from selfplay.training.pair_files import file_pairs
from selfplay.training.traces import converted, file_traces
from selfplay.trl_trainers.dpo import train_dpo
from selfplay.trl_trainers.sft import NothingToLearn
from tests.docs.pages import pages
from tests.selfplay.training.test_rules import MODEL, Watched, context_of

RENDERED = "<|im_start|>user\nWhat is 7 + 5?<|im_end|>\n<|im_start|>assistant"
PAIR = {
    "source": "released-math",
    "prompt": RENDERED,
    "chosen": "\n<think>7 and 5</think>\n\\boxed{12}",
    "rejected": "\n<think>7 and 6</think>\n\\boxed{13}",
}


def lines(file: Path, *rows: dict[str, Any]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def recipe_of(files: dict[str, Any] | None, **training: Any) -> Recipe:
    domains = {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}}
    rule: dict[str, Any] = {"dpo": {"files": files}} if files is not None else {}
    settings = {"algorithm": "dpo", "rounds": 1} | rule | training
    model = {"kind": "pretrained", "name": "m", "prompt_style": "raw"}
    return Recipe.model_validate({"name": "pairs", "model": model, "domains": domains, "training": settings})


def test_pairs_are_read_as_they_are_and_messages_as_their_texts(tmp_path: Path) -> None:
    said = {name: [{"role": "assistant", "content": PAIR[name]}] for name in ("chosen", "rejected")}
    asked = {"prompt": [{"role": "user", "content": "What is 7 + 5?"}]}
    file = lines(tmp_path / "pairs.jsonl", PAIR, said | asked)
    released, messages = file_pairs(recipe_of({"paths": [file]}), PairFiles(paths=(file,)))
    assert (released.prompt, released.chosen, released.rejected) == tuple(PAIR.values())[1:]
    assert (released.source, messages.source) == ("released-math", "file")
    assert (messages.prompt, messages.chosen) == ("What is 7 + 5?", PAIR["chosen"])


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"prompt": "p", "chosen": "c"}, "line 1: `rejected` must be a text, or a list of one message"),
        ({"prompt": " ", "chosen": "c", "rejected": "r"}, "line 1: `prompt` must be a text"),
        ({"prompt": "p", "chosen": "c", "rejected": "c"}, "line 1: `chosen` and `rejected` are the same text"),
        ({"prompt": "p", "chosen": [{}, {}], "rejected": "c"}, "training.dpo.files.chosen names another column"),
        ({"domain": "code", **PAIR}, "line 1: belongs to no domain of the recipe"),
    ],
)
def test_bad_rows_are_refused_before_a_run(tmp_path: Path, row: dict[str, Any], named: str) -> None:
    file = lines(tmp_path / "pairs.jsonl", row)
    with pytest.raises(SeedError) as caught:
        check_pool(recipe_of({"paths": [file]}))
    assert named in str(caught.value)
    assert str(file) in str(caught.value)


def test_settings_that_make_no_sense_with_files_are_refused() -> None:
    with pytest.raises(ValueError, match=r"dpo\.files have no verdicts"):
        recipe_of({"paths": ["x.jsonl"]}, rewards="shuffled")
    with pytest.raises(ValueError, match=r"training\.dpo\.files\.domain is code"):
        recipe_of({"paths": ["x.jsonl"], "domain": "code"})


def test_pairs_of_files_need_no_prompts_and_no_synthesis(tmp_path: Path) -> None:
    file = lines(tmp_path / "pairs.jsonl", PAIR)
    recipe = recipe_of({"paths": [file]}, sampling={"temperature": 0})
    assert list(stage_table(recipe)) == ["seeds", "base", "evaluation_0", "selfplay_1", "evaluation_1"]
    [found] = check_pool(recipe)
    assert (found.name, found.detail) == ("training.dpo.files", "1 pairs")
    before = stage_table(recipe)["selfplay_1"].contents()
    lines(Path(file), PAIR, PAIR | {"chosen": "other"})
    assert stage_table(recipe)["selfplay_1"].contents() != before


def test_a_round_of_dpo_learns_from_them(tmp_path: Path) -> None:
    file = lines(tmp_path / "pairs.jsonl", PAIR, PAIR, PAIR | {"prompt": "another"})
    recipe = recipe_of({"paths": [file]})
    with RunDirectory.open(tmp_path / "run", recipe) as run:
        this = Watched(run.stage("selfplay_1"), context_of(run), 1, MODEL, [], [])
        counts = rules.dpo(this)
        [(function, job)] = this.asked
        pairs = read_table(job.pairs, Pair)
    # What stands in the files twice is learnt from once.
    assert counts == {"pairs": 2}
    assert function is train_dpo
    assert [(pair.prompt, pair.source) for pair in pairs] == [(RENDERED, "released-math"), ("another", "released-math")]


def test_pairs_that_hold_reserved_problems_are_left_out(tmp_path: Path) -> None:
    class Everything:
        def leak(self, domain: str, text: str) -> Any:
            return None if text == "another" else "found"

    file = lines(tmp_path / "pairs.jsonl", PAIR, PAIR | {"prompt": "another"})
    with RunDirectory.open(tmp_path / "run", recipe_of({"paths": [file]})) as run:
        reserved: Any = Everything()
        stage = run.stage("selfplay_1")
        counts = rules.dpo(Watched(stage, context_of(run), 1, MODEL, [], [], None, reserved))
        assert counts == {"pairs": 1, "lost": {"contaminated": 1}}
        lines(Path(file), PAIR)
        with pytest.raises(NothingToLearn, match=r"no pair of training\.dpo\.files is left"):
            rules.dpo(Watched(run.stage("selfplay_2"), context_of(run), 1, MODEL, [], [], None, reserved))


def test_sft_files_may_hold_rendered_prompts_or_messages(tmp_path: Path) -> None:
    told = "analysisSeven and five.assistantfinal\\boxed{12}"
    chat = {
        "prompt": [{"role": "user", "content": "What?"}],
        "completion": [{"role": "assistant", "content": told}],
    }
    file = lines(tmp_path / "sft.jsonl", {"prompt": RENDERED, "completion": told}, chat)
    plain, messages = file_traces(recipe_of(None), TraceFiles(paths=(file,)))
    assert (plain.prompt, converted(plain.text)) == (RENDERED, "<think>\nSeven and five.\n</think>\n\n\\boxed{12}")
    assert (messages.prompt, messages.text) == ("What?", told)


def test_rows_of_foundational_concepts_are_lists_of_concepts_and_seeds(tmp_path: Path) -> None:
    row = {"foundational_concepts": ["modular arithmetic", "counting"], "level": "AIME", "prompt": "not looked at"}
    found = read_concept_list(Path(lines(tmp_path / "concepts.jsonl", row)))
    assert found.combinations == [("modular arithmetic", "counting")]
    assert found.shapes == [(2, "AIME")]
    with pytest.raises(SeedError, match="needs either `concept` or `concepts`"):
        read_concept_list(Path(lines(tmp_path / "both.jsonl", row | {"concepts": ["x"]})))
    seed = row | {"problem": "What is 7 + 5?", "answer": "12", "rationale": "Small sums."}
    rows = FileRows(
        kind="file", path=lines(tmp_path / "seeds.jsonl", seed), fields={"concepts": "foundational_concepts"}
    )
    [read] = external_problems("math", recipe_of(None).domains["math"], rows, "required")
    assert read.concepts == ("modular arithmetic", "counting")


def test_the_generators_tags_are_read() -> None:
    written = (
        "<!-- BEGIN RATIONALE -->\nStart from residues.\n<!-- END RATIONALE -->\n"
        "<!-- BEGIN PROBLEM -->\nFind the last digit.\n<!-- END PROBLEM -->"
    )
    parsed = formats.parse_completion(written)
    assert (parsed.rationale, parsed.problem, parsed.fault) == ("Start from residues.", "Find the last digit.", "")


def test_the_recipes_of_the_page_read_its_files(tmp_path: Path) -> None:
    page = pages("how-to/released-data.md")
    blocks = re.findall(r"^```(\w+)[ ]?([^\n]*)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert {(kind, told.partition("=")[0]) for kind, told, _ in blocks} == {("yaml", ""), ("jsonl", "file")}
    for _, told, text in blocks:
        if told:
            (tmp_path / told.removeprefix("file=")).write_text(text)
    lines(tmp_path / "traces.jsonl", {"prompt": RENDERED, "completion": "\\boxed{12}"})
    lines(tmp_path / "selfplay.jsonl", {"prompt": "What is 7 + 5?", "answer": "12", "source": "theirs"})
    (tmp_path / "generator-input.txt").write_text("From {concepts} at {level}:")
    (tmp_path / "generator").mkdir()
    base = {"name": "page", "model": {"kind": "pretrained", "name": "./generator"}}
    seeds = {"kind": "quickstart", "grammar": "math"}
    found: dict[str, str] = {}
    for at, text in enumerate(text for kind, _, text in blocks if kind == "yaml"):
        own = yaml.safe_load(text)
        own.setdefault("domains", {"math": {}})["math"].setdefault("seeds", seeds)
        (tmp_path / f"{at}.yaml").write_text(yaml.safe_dump(base | own))
        recipe = load_recipe(tmp_path / f"{at}.yaml")
        findings = check_pool(recipe) + (check_prompts(recipe) if recipe.synthesis.concepts else [])
        found |= {finding.name: finding.detail for finding in findings}
    assert found["training.dpo.files"] == "1 pairs"
    assert found["training.sft.files"] == "1 traces"
    assert "concepts: math" in found
    assert recipe.domains["math"].prompt_template == "From {concepts} at {level}:"
