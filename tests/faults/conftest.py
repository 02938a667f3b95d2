"""The unbroken run that the tests of faults compare with, and a tiny model."""

import signal

from tests.e2e.conftest import finished
from tests.selfplay.conftest import tiny_model

__all__ = ["finished", "tiny_model"]

# A shell without job control starts background commands with SIGINT ignored, and their children inherit that: tests
# that were started so would wait for ever for a run that they interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
