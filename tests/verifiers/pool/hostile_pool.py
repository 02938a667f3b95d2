"""Readers that misbehave where a text says so, as `hostile_reader` does, and that have little time for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from verifiers.pool import readers

FOLDER = Path(__file__).parent


@contextmanager
def hostile_readers() -> Iterator[None]:
    """Puts them in the place of all readers of this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        patch.setattr(readers, "PROGRAM", "hostile_reader")
        patch.setattr(readers, "_shared", {})
        patch.setattr(readers, "WORKERS", 3)
        patch.setattr(readers, "TOGETHER_S", 0.3)
        patch.setattr(readers, "DEADLINE_S", 1.0)
        yield
        for pool in readers._shared.values():
            pool.close()
