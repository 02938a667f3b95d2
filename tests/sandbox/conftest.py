import os
from collections.abc import Iterator

import pytest

from sandbox.doctor import LIMITS
from sandbox.model import SandboxUnavailable
from sandbox.open import open_sandbox
from sandbox.warm.sandbox import WarmSandbox

BACKEND = os.environ.get("SANDBOX_BACKEND", "auto")
"""Which backend the shared fixture opens, so that the same tests can be put to another one."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[WarmSandbox]:
    try:
        opened = open_sandbox(BACKEND, waive=LIMITS if BACKEND != "auto" else ())
    except SandboxUnavailable as reason:
        pytest.skip(str(reason))
    with opened:
        yield opened
