"""The tiny tokenizer gives back every text, also after saving; the tiny model is small, untied and seeded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfplay.quickstart import tiny_model
from selfplay.quickstart.seeds import generate


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    directory = tmp_path_factory.mktemp("tokenizer")
    seeds = [*generate("math", 300, 0), *generate("code", 300, 0)]
    texts = [f"Problem: {seed.problem}\nSolution: {seed.solution}" for seed in seeds]
    tiny_model.build_tokenizer(texts).save_pretrained(directory)
    return AutoTokenizer.from_pretrained(directory)


def round_trip(tokenizer: Any, text: str) -> str:
    decoded: str = tokenizer.decode(tokenizer(text)["input_ids"])
    return decoded


def without_surrogates() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@settings(max_examples=200, deadline=None)
@given(text=without_surrogates())
def test_any_text_comes_back_unchanged(tokenizer: Any, text: str) -> None:
    assert round_trip(tokenizer, text) == text


def test_seed_texts_come_back_unchanged(tokenizer: Any) -> None:
    for seed in [*generate("math", 50, 9, "heldout"), *generate("code", 50, 9, "heldout")]:
        for text in (seed.problem, seed.rationale, seed.solution):
            assert round_trip(tokenizer, text) == text


def test_markers_are_one_token_each_and_survive_skipping_special_tokens(tokenizer: Any) -> None:
    ids = tokenizer("".join(tiny_model.MARKERS))["input_ids"]
    assert len(ids) == len(tiny_model.MARKERS)
    assert tokenizer.decode(ids, skip_special_tokens=True) == "".join(tiny_model.MARKERS)


def test_small_numbers_are_one_token(tokenizer: Any) -> None:
    for number in range(tiny_model.LARGEST_NUMBER_TOKEN + 1):
        assert len(tokenizer(str(number))["input_ids"]) == 1


def test_prompt_and_completion_meet_at_a_token_boundary(tokenizer: Any) -> None:
    prompt, completion = "Problem: Ana has 5 plums.\nSolution:", " 5 * 2 = 10"
    separate = tokenizer(prompt)["input_ids"] + tokenizer(completion)["input_ids"]
    assert tokenizer(prompt + completion)["input_ids"] == separate


def test_model_is_small_untied_and_decided_by_its_seed(tokenizer: Any, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = tiny_model.build_model(tokenizer, seed=1)
    assert 400_000 <= sum(weights.numel() for weights in model.parameters()) <= 1_500_000
    assert model.lm_head.weight.data_ptr() != model.model.embed_tokens.weight.data_ptr()
    same, other = (tiny_model.build_model(tokenizer, seed=seed) for seed in (1, 2))
    assert torch.equal(model.lm_head.weight, same.lm_head.weight)
    assert not torch.equal(model.lm_head.weight, other.lm_head.weight)
    tiny_model.save(tokenizer, model, tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(model.lm_head.weight, loaded.lm_head.weight)
