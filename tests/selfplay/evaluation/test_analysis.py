"""Contamination of data sets, and how varied and how far apart they are."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selfplay.config.curation import Curation
from selfplay.engines.model_files import judge_modules
from selfplay.evaluation import diversity
from selfplay.evaluation.contamination import contaminated, near_problems
from selfplay.evaluation.diversity import compared_sets, placed_in_two_dimensions, vendi_score
from selfplay.evaluation.sentence_vectors import NoSentenceModel, sentence_embedder
from selfplay.suites.load import load_suite
from tests.selfplay.suites.test_load import lines, own

WORDS = [f"word{n}" for n in range(60)]
BOILERPLATE = "The answer is m over n where m and n are relatively prime positive integers, find m plus n"


def text(seed: int, length: int = 20) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def test_a_problem_of_a_suite_is_found_and_named(tmp_path: Path) -> None:
    rows = [{"id": f"p{n}", "problem": text(n), "answer": "1"} for n in range(5)]
    suite = load_suite(own(lines(tmp_path / "suite.jsonl", rows)), None)
    texts = [text(100), f"Consider this: {text(3).upper()}! What is it?", text(101)]
    [found] = contaminated(texts, [suite], Curation())
    assert (found.place, found.suite, found.published, found.problem) == (1, "mine", "p3", text(3))
    assert found.in_order == 1.0


def test_common_wording_can_be_told_from_a_leak(tmp_path: Path) -> None:
    """Thirteen words in a row may be a way of asking: AIME problems share theirs with others."""
    rows = [{"id": "p", "problem": f"{text(1, 40)} {BOILERPLATE}", "answer": "1"}]
    suite = load_suite(own(lines(tmp_path / "suite.jsonl", rows)), None)
    texts = [f"{text(2, 40)} {BOILERPLATE}", f"{text(1, 40)} {BOILERPLATE}, please"]
    wording, leak = contaminated(texts, [suite], Curation())
    assert (wording.place, leak.place) == (0, 1)
    assert wording.in_order < 0.7 < leak.in_order == 1.0
    assert [one.place for one in contaminated(texts, [suite], Curation(decontamination_lcs=0.8))] == [1]


def test_the_effective_number_of_texts() -> None:
    assert vendi_score(np.eye(7)) == pytest.approx(7)
    assert vendi_score(np.ones((7, 7))) == pytest.approx(1)
    # Two kinds, three of each.
    blocks = np.kron(np.eye(2), np.ones((3, 3)))
    assert vendi_score(blocks) == pytest.approx(2)


def test_sets_of_one_mean_are_told_apart_by_their_variety() -> None:
    varied = [text(seed) for seed in range(40)]
    same = ["one two three four five"] * 40
    found = compared_sets([varied, same, list(reversed(varied))])
    (first, second, third), apart = found.figures, found.apart
    assert first.vendi > 10 > second.vendi == pytest.approx(1)
    assert (second.nearest, second.nearly_the_same) == (pytest.approx(1), 1.0)
    assert first.nearest < 0.9
    assert first.distinct_2 > second.distinct_2
    assert third.vendi == pytest.approx(first.vendi)
    assert apart[0, 2] == pytest.approx(0, abs=1e-9)
    assert apart[0, 1] == pytest.approx(1)
    assert found.overlap.tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_a_large_set_lies_where_it_is_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of two large sets hardly meet: 5,000 texts had 22% of themselves, and lay 0.17 away."""
    monkeypatch.setattr(diversity, "SAMPLE", 20)
    texts = [text(seed, 12) for seed in range(200)]
    found = compared_sets([texts, texts[::-1], texts[:50]])
    assert found.overlap[0, 1] == found.overlap[1, 0] == found.overlap[2, 0] == 1.0
    assert found.overlap[0, 2] < 0.6
    assert found.apart[0, 1] == pytest.approx(0, abs=1e-9)
    assert found.figures[0].sampled == 20


def test_vectors_may_come_from_elsewhere() -> None:
    """Dense ones, as sentence models give: here of the first letter alone."""

    def embed(texts: Sequence[str]) -> Any:
        return np.eye(26)[[ord(one[0]) - ord("a") for one in texts]]

    found = compared_sets([["apple", "avocado"], ["almond", "banana"]], embed=embed)
    assert found.figures[0].nearly_the_same == 1.0
    assert found.overlap.tolist() == [[1, 1], [0.5, 1]]
    assert found.apart[0, 1] == pytest.approx(1 - math.sqrt(0.5))


def test_near_problems_are_named_where_no_run_of_words_is_shared(tmp_path: Path) -> None:
    rows = [{"id": f"p{n}", "problem": text(n), "answer": "1"} for n in range(5)]
    suite = load_suite(own(lines(tmp_path / "suite.jsonl", rows)), None)
    shuffled = text(3).split()
    random.Random(0).shuffle(shuffled)
    texts = [text(100), " ".join(shuffled)]
    assert contaminated(texts, [suite], Curation()) == []
    [found] = near_problems(texts, [suite], 0.9, None)
    assert (found.place, found.published) == (1, "p3")
    assert found.cosine == pytest.approx(1)
    assert found.in_order < 0.7, "the words are the same, and their order is not"


def test_a_sentence_model_that_is_not_here_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoSentenceModel, match=r"(promptcot\[embeddings\]|give a folder with a sentence model)"):
        sentence_embedder(str(tmp_path))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"modules.json": [{"type": "evil.Pooling", "path": "1"}]}, "names the class evil.Pooling, whose code"),
        ({"modules.json": [{"type": "sentence_transformers.models.Router"}]}, "names the class sentence_transf"),
        ({"modules.json": [{"type": "sentence_transformers.models.Dense", "path": "../x"}]}, "names the folder ../x"),
        ({"modules.json": [5]}, "names the class 5"),
        ({"modules.json": {"a": 1}}, "names the class None"),
        ({"1_Dense/pytorch_model.bin": 1}, "would be unpickled"),
    ],
)
def test_a_sentence_model_brings_no_code_and_no_pickles(files: dict[str, Any], told: str, tmp_path: Path) -> None:
    """The library would run code that lies in a folder, whatever it is told of trust."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "evil.py").write_text("raise SystemExit('run')")
    with pytest.raises(NoSentenceModel, match=re.escape(told)):
        sentence_embedder(str(tmp_path))


def test_a_sentence_model_of_the_librarys_own_modules_is_taken(tmp_path: Path) -> None:
    kinds = ("models.Transformer", "models.Pooling", "sentence_transformer.modules.Normalize")
    modules = [{"path": f"{n}_" if n else "", "type": f"sentence_transformers.{kind}"} for n, kind in enumerate(kinds)]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    for name in ("model.safetensors", "pytorch_model.bin"):
        (tmp_path / name).touch()
    judge_modules(str(tmp_path))


def test_the_distance_of_two_sets_by_hand() -> None:
    # One text each: half of the words are shared. Both sets are one text, so idf is 1 + log(3 / 3) for shared words.
    apart = compared_sets([["a b"], ["a c"]]).apart
    own_weight = 1 + math.log(3 / 2)
    cosine = 1 / (1 + own_weight**2)
    assert apart[0, 1] == pytest.approx(1 - cosine)


def test_a_known_geometry_is_recovered() -> None:
    points = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0], [-1.0, 2.5], [0.5, 7.0]])
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    found = placed_in_two_dimensions(distances)
    assert np.allclose(np.linalg.norm(found[:, None] - found[None], axis=2), distances)
    assert placed_in_two_dimensions(np.zeros((1, 1))).shape == (1, 2)
