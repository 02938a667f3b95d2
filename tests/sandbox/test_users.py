"""A sandbox's user is one that nobody else has."""

from __future__ import annotations

import os

import pytest

from sandbox.warm import users


def test_a_fresh_user_is_none_of_those_that_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "_range", lambda: (100, 103))
    assert {users.fresh_user() for _ in range(200)} == {100, 101, 102}
    assert {users.fresh_user({100, 102}) for _ in range(20)} == {101}
    with pytest.raises(OSError, match="no unused user"):
        users.fresh_user({100, 101, 102})


def test_users_come_from_a_range_that_this_host_maps() -> None:
    low, high = users._range()
    assert low <= users.fresh_user() < high


def test_owners_are_those_of_processes() -> None:
    assert users.owners_of_processes()[os.getpid()] == os.geteuid()
