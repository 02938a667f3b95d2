"""What all tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

# Before any numeric library is loaded: several test processes share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from hypothesis import settings

from sandbox.model import SandboxUnavailable
from sandbox.open import open_sandbox

NO_SANDBOX = "SELFPLAY_NO_SANDBOX"
"""Environment variable of those who know that this host has no sandbox: with 1, what needs one is skipped."""

settings.register_profile("house", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("house")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Tests and libraries stay to the end: no garbage collection need walk them, and trainers ask for many."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def needs_sandbox() -> None:
    """For tests that run programs behind something which makes verdicts of a sandbox that cannot be had."""
    open_sandbox().close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """A test that finds no sandbox fails in the doctor's words; skipped, the security tests would not be missed."""
    yield from _without_a_sandbox()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """As for the fixtures."""
    yield from _without_a_sandbox()


def _without_a_sandbox() -> Iterator[None]:
    try:
        yield
    except SandboxUnavailable as reason:
        if os.environ.get(NO_SANDBOX) == "1":
            pytest.skip(str(reason))
        pytest.fail(f"{reason} (or set {NO_SANDBOX}=1 to skip what needs a sandbox)", pytrace=False)
