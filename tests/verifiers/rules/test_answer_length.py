"""Soft overlong punishment: DAPO's formula, moved by one, in characters and in tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.model import Task
from verifiers.rules.length import LengthVerifier


def dapo(length: int, limit: int, cache: int) -> float:
    """R_length of the paper, case by case."""
    if length <= limit - cache:
        return 0.0
    if length <= limit:
        return ((limit - cache) - length) / cache
    return -1.0


@given(st.integers(0, 300), st.integers(1, 200).flatmap(lambda limit: st.tuples(st.just(limit), st.integers(1, limit))))
def test_it_is_the_papers_punishment_plus_one(length: int, bounds: tuple[int, int]) -> None:
    limit, cache = bounds
    verdict = LengthVerifier(limit=limit, buffer=cache).verify(Task(), "x" * length)
    assert verdict.reward == pytest.approx(1.0 + dapo(length, limit, cache))
    assert verdict.passed is (length <= limit - cache)


def test_the_thinking_counts_unless_only_the_answer_does() -> None:
    completion = "<think>" + "y" * 200 + "</think>short"
    assert LengthVerifier(limit=100, buffer=10).verify(Task(), completion).reward == 0.0
    only = LengthVerifier(limit=100, buffer=10, part="answer").verify(Task(), completion)
    assert (only.reward, only.details["length"]) == (1.0, 5)


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: number for number, word in enumerate(["[UNK]", "one", "two", "three"])}
    made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.enable_truncation(3)
    folder = tmp_path_factory.mktemp("tokenizer")
    made.save(str(folder / "tokenizer.json"))
    return folder


def test_tokens_are_counted_with_the_policys_tokenizer(tokenizer_folder: Path) -> None:
    for path in (tokenizer_folder, tokenizer_folder / "tokenizer.json"):
        verifier = LengthVerifier(limit=6, buffer=4, tokenizer=str(path))
        verdict = verifier.verify(Task(), "one two three \ud800")
        assert (verdict.details["length"], verdict.reward, verdict.status) == (4, 0.5, "overlong")
        assert verdict.reason == "4 tokens, where 6 is the most"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"limit": 10, "buffer": 11}, "buffer must lie between 1 and limit"),
        ({"limit": 10, "buffer": 0}, "buffer"),
        ({"part": "thinking"}, "part must be"),
        ({"tokenizer": "/nowhere/at/all"}, "cannot be read as a tokenizer.json"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, int | str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        LengthVerifier(**settings)  # type: ignore[arg-type]
