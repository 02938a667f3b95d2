"""The reward service's metrics for Prometheus. Label values come from closed sets, whatever requests hold."""

from __future__ import annotations

import re
from collections import Counter as Tally
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from verifiers.model import Verdict

CONTENT_TYPE = CONTENT_TYPE_LATEST
_STATUS = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MAX_STATUSES = 32
_SECONDS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16384)


class ServiceMetrics:
    """The counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._statuses: dict[str, set[str]] = {}
        registry = self.registry
        self.requests = Counter(
            "selfplay_reward_requests",
            "Requests, by endpoint and status code; code is `disconnected` when the client left first.",
            ("endpoint", "code"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "selfplay_reward_request_seconds",
            "Seconds from a request's headers to the end of its answer.",
            ("endpoint",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.request_items = Histogram(
            "selfplay_reward_request_items", "Items in a scoring request.", buckets=_SIZES, registry=registry
        )
        self.items = Counter(
            "selfplay_reward_items",
            "Verdicts, by verifier, status and outcome: passed, failed or unchecked.",
            ("verifier", "status", "outcome"),
            registry=registry,
        )
        self.item_seconds = Histogram(
            "selfplay_reward_item_seconds",
            "Wall seconds of judging one item, as the verifier counts them.",
            ("verifier",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_items = Histogram(
            "selfplay_reward_batch_items",
            "Items handed to a verifier in one call.",
            ("verifier",),
            buckets=_SIZES,
            registry=registry,
        )
        self.rejected = Counter(
            "selfplay_reward_rejected",
            "Requests refused, by the name of the error.",
            ("error",),
            registry=registry,
        )
        self.queue_items = Gauge(
            "selfplay_reward_queue_items", "Items that wait for a verifier.", ("verifier",), registry=registry
        )
        self.running_items = Gauge(
            "selfplay_reward_running_items", "Items being judged.", ("verifier",), registry=registry
        )
        self.queue_bytes = Gauge(
            "selfplay_reward_queue_bytes", "Bytes of bodies that are read, wait or are judged.", registry=registry
        )
        self.ready = Gauge(
            "selfplay_reward_ready", "1 while the verifier gives the known verdicts.", ("verifier",), registry=registry
        )

    def watch(self, verifier: str, waiting: Callable[[], float], running: Callable[[], float]) -> None:
        """Has the gauges of a verifier read from these functions."""
        self.queue_items.labels(verifier).set_function(waiting)
        self.running_items.labels(verifier).set_function(running)

    def judged(self, verifier: str, verdicts: Iterable[Verdict]) -> None:
        """Counts verdicts."""
        tally: Tally[tuple[str, str]] = Tally()
        seconds = self.item_seconds.labels(verifier)
        for verdict in verdicts:
            outcome = {True: "passed", False: "failed", None: "unchecked"}[verdict.passed]
            tally[self._status(verifier, verdict.status), outcome] += 1
            seconds.observe(verdict.seconds)
        for (status, outcome), count in tally.items():
            self.items.labels(verifier, status, outcome).inc(count)

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        return generate_latest(self.registry)

    def _status(self, verifier: str, status: str) -> str:
        """A plug-in may invent statuses without end; a label may not."""
        known = self._statuses.setdefault(verifier, set())
        if status not in known:
            if len(known) >= _MAX_STATUSES or not _STATUS.fullmatch(status):
                return "other"
            known.add(status)
        return status
