"""The reward service behind its endpoints: judges batches through the queue, and watches the verifiers' health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive

from verifiers.model import Verdict
from verifiers.service.guard import Exchange, overloaded
from verifiers.service.items import Item, ScoredItem
from verifiers.service.known import Opened, fault_of
from verifiers.service.metrics import ServiceMetrics
from verifiers.service.queue import JudgingQueue, QueueFull
from verifiers.service.reader import Reader
from verifiers.service.settings import ServiceLimits


@dataclass(slots=True)
class _State:
    """The health of one verifier."""

    fingerprint: str
    detail: str = "gave its known verdicts"
    ready: bool = True


class RewardService:
    """The service behind the endpoints: verifiers, queue, metrics, readiness."""

    def __init__(
        self, opened: Mapping[str, Opened], limits: ServiceLimits, *, recheck_s: float = 30.0, patience_s: float = 10.0
    ) -> None:
        """`recheck_s` is how often known verdicts are asked again; `patience_s` how long calls of verifiers may
        go on when the service closes. The verifiers are closed with the service."""
        self.opened, self.limits, self.metrics = opened, limits, ServiceMetrics()
        quick = {name: one.quick for name, one in opened.items() if one.quick is not None}
        self.queue = JudgingQueue({name: one.verifier for name, one in opened.items()}, limits, self.metrics, quick)
        self.reader = Reader(list(opened), limits)
        self._states = {name: _State(one.fingerprint) for name, one in opened.items()}
        self._recheck_s, self._patience_s = recheck_s, patience_s
        for name in opened:
            self.metrics.ready.labels(name).set(1)

    @asynccontextmanager
    async def running(self, _: Any = None) -> AsyncIterator[None]:
        """The life of the service on an event loop."""
        self.queue.start()
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.to_thread(self.reader.close)
            await self.queue.close(self._patience_s)

    async def judge(self, samples: Sequence[Item], exchange: Exchange, receive: Receive) -> list[Verdict]:
        """One verdict a sample, in order; none when the client left. Raises Refused."""
        self.metrics.request_items.observe(len(samples))
        asked = [one for one in samples if one.fault is None]
        judging = asyncio.ensure_future(self.queue.judge(asked, exchange.client))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({judging, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            judging.cancel()
        if not judging.done():
            exchange.disconnected = True
            return []
        try:
            judged = iter(judging.result())
        except QueueFull as full:
            raise overloaded(str(full), full.room, 429 if full.of_client else 503, full.retry_after_s) from full
        return [one.fault or next(judged) for one in samples]

    def readiness(self) -> tuple[bool, list[dict[str, Any]]]:
        """Whether every verifier is ready, and a row on each."""
        rows = []
        for name, state in self._states.items():
            stuck = self.queue.stuck_s(name)
            ready, detail = state.ready, state.detail
            if stuck > self.limits.request_s:
                ready, detail = False, f"every call of it has been under way for {stuck:.0f} s"
            self.metrics.ready.labels(name).set(float(ready))
            rows.append({"name": name, "fingerprint": state.fingerprint, "ready": ready, "detail": detail[:500]})
        return all(row["ready"] for row in rows), rows

    def count(self, samples: Sequence[Item], verdicts: Sequence[Verdict]) -> None:
        """Counts verdicts, from any thread."""
        by_name: dict[str, list[Verdict]] = {}
        for sample, verdict in zip(samples, verdicts, strict=True):
            by_name.setdefault(sample.name, []).append(verdict)
        for name, found in by_name.items():
            self.metrics.judged(name, found)

    async def _watch(self) -> None:
        """Asks for the known verdicts again, ahead of all that waits."""
        while True:
            await asyncio.sleep(self._recheck_s)
            await asyncio.gather(*(self._ask(name, one) for name, one in self.opened.items() if one.known))

    async def _ask(self, name: str, one: Opened) -> None:
        begun = time.perf_counter()
        asked = [ScoredItem(None, name, task, completion) for task, completion, _ in one.known]
        fault = fault_of(one.known, await self.queue.judge(asked))
        state = self._states[name]
        state.ready = not fault
        state.detail = fault or f"gave its known verdicts in {time.perf_counter() - begun:.3f} s"


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
