"""Examines what a sandbox on this host enforces, by trying every limit for real."""

from __future__ import annotations

from sandbox import probes
from sandbox.open import BACKENDS, open_sandbox
from sandbox.probes import Finding

LIMITS = (
    "network",
    "host_read",
    "host_write",
    "other_processes",
    "memory",
    "processes",
    "cpu",
    "wall",
    "output",
    "disk",
)
"""Names of the limits, in the order of examine()'s findings."""

__all__ = ["LIMITS", "Finding", "examine"]


def examine(backend: str = "auto") -> list[Finding]:
    """One finding per limit, by attempts that take about 8 s.

    Raises SandboxUnavailable if no sandbox opens at all, and ValueError for an unknown backend.
    """
    with open_sandbox(backend, waive=LIMITS) as sandbox:
        return [*probes.try_reach(sandbox), *probes.try_amounts(sandbox)]


def backends() -> tuple[str, ...]:
    """The names that examine() and open_sandbox() accept beside "auto"."""
    return BACKENDS
