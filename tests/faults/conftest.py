"""The unbroken run that the tests of faults compare with, and a tiny model."""

from tests.e2e.conftest import finished
from tests.selfplay.conftest import tiny_model

__all__ = ["finished", "tiny_model"]
