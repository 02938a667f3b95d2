"""The unbroken run that the tests of faults compare with."""

from tests.e2e.conftest import finished

__all__ = ["finished"]
