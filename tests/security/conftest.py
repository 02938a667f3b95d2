import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from attack_kit import HostState, host_state

from sandbox.open import open_sandbox
from sandbox.warm.sandbox import WarmSandbox

SECRET = "CANARY-9d2f"
"""Stands in the caller's environment before a sandbox opens."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[WarmSandbox]:
    os.environ["ATTACK_SECRET"] = SECRET
    opened = open_sandbox()
    with opened:
        yield opened
    del os.environ["ATTACK_SECRET"]


@pytest.fixture
def unchanged_host(tmp_path: Path) -> Iterator[Path]:
    """A canary file; afterwards it and the rest of the host must be as they were."""
    canary = tmp_path / "canary"
    canary.write_text("as it was")
    before: HostState = host_state(canary)
    yield canary
    assert host_state(canary) == before
    assert os.listdir(tmp_path) == ["canary"]
