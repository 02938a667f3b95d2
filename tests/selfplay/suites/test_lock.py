"""Suites are pinned by commit and content, and another content is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.evaluation import UserSuite
from selfplay.suites import load as loading
from selfplay.suites.catalogue import PINS
from selfplay.suites.load import load_suite
from selfplay.suites.lock import SuiteLock
from selfplay.suites.rows import SuiteError, commit_of
from tests.selfplay.suites.test_load import lines, own, published

COMMIT, LATER = "a" * 40, "b" * 40


def test_a_suite_is_pinned_once_and_then_held_to_it(tmp_path: Path) -> None:
    rows, lock = published(30), tmp_path / "suites.lock.json"
    lines(tmp_path / "aime24.jsonl", rows)
    suite = load_suite("aime24", tmp_path, lock=SuiteLock(lock))
    pins = json.loads(lock.read_text())["suites"]
    assert pins["aime24"]["content"] == suite.content
    assert (pins["aime24"]["problems"], pins["aime24"]["revision"]) == (30, None)
    # The whole suite is pinned, also where only a part of it is measured; others come to it.
    assert len(load_suite("aime24", tmp_path, limit=3, lock=SuiteLock(lock)).problems) == 3
    load_suite(own(lines(tmp_path / "mine.jsonl", published(2))), None, lock=SuiteLock(lock))
    assert set(json.loads(lock.read_text())["suites"]) == {"aime24", "mine"}
    before = lock.read_bytes()
    rows[7]["answer"] = "another"
    lines(tmp_path / "aime24.jsonl", rows)
    with pytest.raises(SuiteError, match=r"^aime24: has another content than .* pins \(30 problems, .*remove the pin"):
        load_suite("aime24", tmp_path, lock=SuiteLock(lock))
    assert lock.read_bytes() == before


@pytest.mark.parametrize("content", ['{"version": 2, "suites": {}}', "{}", '{"version": 1, "suites": []}'])
def test_a_file_that_is_no_lock_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock.json").write_text(content)
    with pytest.raises(SuiteError, match="is no lock of suites of version 1; give another file with --lock"):
        SuiteLock(tmp_path / "lock.json")


def test_a_damaged_pin_is_named(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text('{"version": 1, "suites": {"aime24": {"source": 1}}}')
    with pytest.raises(SuiteError, match="the pin of aime24 is damaged; remove it"):
        SuiteLock(tmp_path / "lock.json")


def test_data_sets_of_the_hub_are_loaded_at_their_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest at first, which is recorded, and from then on the one that is pinned."""
    asked: list[str | None] = []

    def rows(suite: str, name: str, subset: str | None, split: str, revision: str | None, remedy: str = "") -> Any:
        asked.append(revision)
        return [(f"row {n}", row | {"question": row["problem"]}) for n, row in enumerate(published(40))]

    monkeypatch.setattr(loading, "rows_of_data_set", rows)
    monkeypatch.setattr(loading, "commit_of", lambda name, revision: COMMIT)
    assert load_suite("amc23", None).revision == COMMIT
    lock = tmp_path / "lock.json"
    mine = UserSuite(name="mine", dataset="owner/name", revision="v1")
    for wanted in ("amc23", mine):
        assert load_suite(wanted, None, lock=SuiteLock(lock)).revision == COMMIT
    monkeypatch.setattr(loading, "commit_of", lambda name, revision: LATER)
    assert load_suite(mine, None).revision == LATER
    for wanted in ("amc23", mine):
        assert load_suite(wanted, None, lock=SuiteLock(lock)).revision == COMMIT
    assert asked == [COMMIT, COMMIT, COMMIT, LATER, COMMIT, COMMIT]
    assert load_suite("aime24", None, incomplete=True).revision == asked[-1] == PINS["HuggingFaceH4/aime_2024"], (
        "shipped, so nobody asks"
    )


def test_a_folder_has_no_commit(tmp_path: Path) -> None:
    assert commit_of(str(tmp_path), None) is None
