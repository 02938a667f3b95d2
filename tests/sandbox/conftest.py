import os
from collections.abc import Iterator

import pytest

from sandbox.doctor import LIMITS
from sandbox.open import open_sandbox
from sandbox.warm.sandbox import WarmSandbox

BACKEND = os.environ.get("SANDBOX_BACKEND", "auto")
"""Which backend the shared fixture opens, so that the same tests can be put to another one."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[WarmSandbox]:
    opened = open_sandbox(BACKEND, waive=LIMITS if BACKEND != "auto" else ())
    with opened:
        yield opened
