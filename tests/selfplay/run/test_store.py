"""The content-keyed store gives back what was kept, and notices damage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selfplay.run.store import SampleStore, ShardStore, VerdictStore, content_key, key_begun, key_ended
from selfplay.run.tables import RecordError


def test_a_shard_comes_back(tmp_path: Path) -> None:
    store = ShardStore(tmp_path)
    key = content_key("generate", ["a"], 1)
    assert not store.has(key)
    store.put(key, [{"text": "x", "token_ids": [1, 2], "complete": True}])
    assert store.read(key) == [{"text": "x", "token_ids": [1, 2], "complete": True}]


def test_keys_differ_with_content() -> None:
    assert content_key("a", [1, 2]) != content_key("a", [12])
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})


def test_a_damaged_shard_is_refused(tmp_path: Path) -> None:
    store = ShardStore(tmp_path)
    key = content_key("x")
    store.put(key, [{"a": 1}])
    file = next(tmp_path.rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(RecordError, match="is damaged"):
        store.read(key)


def test_verdicts_are_shared_and_the_first_stays(tmp_path: Path) -> None:
    first, second = VerdictStore(tmp_path / "v.sqlite"), VerdictStore(tmp_path / "v.sqlite")
    first.put_many({"k": {"passed": True}})
    second.put_many({"k": {"passed": False}, "l": {"passed": False}})
    assert first.get_many(["k", "l", "m"]) == {"k": {"passed": True}, "l": {"passed": False}}
    first.close()
    second.close()


def test_answers_come_back_and_are_counted(tmp_path: Path) -> None:
    store = SampleStore(tmp_path / "a" / "answers.sqlite")
    answer = {"text": "é\x00", "token_ids": [], "complete": True, "prompt_tokens": 3, "completion_tokens": 4}
    store.put("k", "teacher", answer)
    store.put("k", "teacher", answer | {"text": "later"})
    store.put("l", "teacher", answer)
    store.put("m", "other", answer)
    again = SampleStore(tmp_path / "a" / "answers.sqlite")
    assert again.get_many(["k", "nothing"]) == {"k": answer}
    assert (again.tokens_of("teacher"), again.tokens_of("nobody")) == ((6, 8), (0, 0))
    for one in (store, again):
        one.close()


@pytest.mark.parametrize("parts", [("verdict", "math/6", {"b": [1, None], "a": "é"}), ("one",)])
@pytest.mark.parametrize("last", ["text é \ud83d", ["x", 1.5], None])
def test_a_key_that_is_made_in_two_steps_is_the_same(parts: tuple[Any, ...], last: Any) -> None:
    begun = key_begun(*parts)
    assert key_ended(begun, "another") != key_ended(begun, last) == content_key(*parts, last)
