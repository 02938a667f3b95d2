"""The reward service's metrics for Prometheus. Label values come from closed sets, whatever requests hold."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from verifiers.model import Verdict
from verifiers.patterns import linear

CONTENT_TYPE = CONTENT_TYPE_LATEST
_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)
_STATUS = linear.compile(r"[a-z][a-z0-9_]{0,39}")
_MAX_STATUSES = 32
_SECONDS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16384)


class ServiceMetrics:
    """The counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._statuses: dict[str, set[str]] = {}

        def made(kind: type[_Metric], name: str, words: str, *labels: str, **more: Any) -> _Metric:
            return kind(f"selfplay_reward_{name}", words, labels, registry=self.registry, **more)

        words = "Requests, by endpoint and status code; code is `disconnected` when the client left first."
        self.requests = made(Counter, "requests", words, "endpoint", "code")
        words = "Seconds from a request's headers to the end of its answer."
        self.request_seconds = made(Histogram, "request_seconds", words, "endpoint", buckets=_SECONDS)
        self.request_items = made(Histogram, "request_items", "Items in a scoring request.", buckets=_SIZES)
        words = "Verdicts, by verifier, status and outcome: passed, failed or unchecked."
        self.items = made(Counter, "items", words, "verifier", "status", "outcome")
        words = "Wall seconds of judging one item, as the verifier counts them."
        self.item_seconds = made(Histogram, "item_seconds", words, "verifier", buckets=_SECONDS)
        words = "Items handed to a verifier in one call."
        self.batch_items = made(Histogram, "batch_items", words, "verifier", buckets=_SIZES)
        self.rejected = made(Counter, "rejected", "Requests refused, by the name of the error.", "error")
        self.queue_items = made(Gauge, "queue_items", "Items that wait for a verifier.", "verifier")
        self.running_items = made(Gauge, "running_items", "Items being judged.", "verifier")
        self.queue_bytes = made(Gauge, "queue_bytes", "Bytes of bodies that are read, wait or are judged.")
        self.connections = made(Gauge, "connections", "Open connections.")
        words = "Connections ended by the service: headers too late, evicted, refused, answer not fetched, tiny chunks."
        self.connections_cut = made(Counter, "connections_cut", words, "reason")
        self.ready = made(Gauge, "ready", "1 while the verifier gives the known verdicts.", "verifier")

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
