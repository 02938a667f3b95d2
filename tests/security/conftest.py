from collections.abc import Iterator

import pytest

from sandbox.model import SandboxUnavailable
from sandbox.open import open_sandbox
from sandbox.warm import WarmSandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[WarmSandbox]:
    try:
        opened = open_sandbox()
    except SandboxUnavailable as reason:
        pytest.skip(str(reason))
    with opened:
        yield opened
