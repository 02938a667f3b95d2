"""Verdicts reached on all nodes of a cluster, each with verifiers and sandboxes of its own; the driver keeps them."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selfplay.compute.workers import Workers
from selfplay.config.domains import ProblemKind
from selfplay.config.sandbox import SandboxSettings
from selfplay.rollouts.judge import Judge, JudgeSettings, load_verifier
from verifiers.model import Task, Verdict, Verifier

PARTS = 4
"""Parts for each node, of what is judged together, so that one with slow programs does not keep the others waiting."""


@dataclass(frozen=True, slots=True)
class JudgeJob:
    """Completions of one domain, for one node."""

    kind: ProblemKind
    """Whose verifier judges."""
    sandbox: SandboxSettings
    items: Sequence[tuple[Task, str]]


@dataclass(frozen=True, slots=True)
class _OneKind:
    """The settings of a judge of one domain."""

    domains: dict[str, ProblemKind]
    sandbox: SandboxSettings


class NodeJudge(Judge):
    """A judge whose verdicts are reached on the nodes."""

    def __init__(self, settings: JudgeSettings, store: Path, nodes: Workers) -> None:
        """Takes the settings, where verdicts are kept, and a worker on each node."""
        super().__init__(settings, store)
        self._settings = settings
        self._nodes = nodes

    def _reached(self, domain: str, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        size = max(1, math.ceil(len(items) / (self._nodes.count * PARTS)))
        own, sandbox = self._settings.domains[domain], self._settings.sandbox
        kind = ProblemKind.model_validate(own.model_dump(include=set(ProblemKind.model_fields)))
        jobs = [JudgeJob(kind, sandbox, items[start : start + size]) for start in range(0, len(items), size)]
        return [Verdict(**row) for rows in self._nodes.map(judge_here, jobs) for row in rows]


def judge_here(job: JudgeJob) -> list[dict[str, Any]]:
    """Inside a worker: the verdicts, as plain data."""
    verifier = _verifier(job.kind.model_dump_json(), job.sandbox.model_dump_json())
    return [asdict(verdict) for verdict in verifier.verify_many(job.items)]


@functools.lru_cache(maxsize=64)
def _verifier(kind: str, sandbox: str) -> Verifier:
    """Kept as long as the worker lives, since sandboxes take a while to open."""
    own = SandboxSettings.model_validate_json(sandbox)
    return load_verifier(_OneKind({"here": ProblemKind.model_validate_json(kind)}, own), "here", own.workers)
