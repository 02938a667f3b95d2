"""How a run is stopped from outside."""

from __future__ import annotations

import signal
from types import FrameType

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes, as shells have them for SIGINT and SIGTERM."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which schedulers send before they kill."""


def stop_on_sigterm() -> None:
    """Has SIGTERM end a run in order, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(signum: int, frame: FrameType | None) -> None:
    # A second one, while the first is being obeyed, changes nothing.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
