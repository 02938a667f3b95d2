"""The reward service: verdicts over HTTP, for a trainer of any framework.

The application answers at POST /v1/score (a batch of items, one verdict each) and POST /v1/openrlhf (the shape of
OpenRLHF's remote reward); GET /health, /ready, /metrics, /v1/verifiers and /openapi.json tell about it. It needs
the extra `serve`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive

from verifiers.model import Verdict
from verifiers.service.answers import (
    ScoredItem,
    json_bytes,
    read_rewards,
    read_score,
    rewards_answer,
    score_answer,
)
from verifiers.service.guard import Exchange, Guard, Refused, exchange_of
from verifiers.service.known import Opened, fault_of
from verifiers.service.metrics import CONTENT_TYPE, ServiceMetrics
from verifiers.service.models import (
    About,
    Health,
    Readiness,
    RequestLimits,
    RewardsResponse,
    ScoreResponse,
)
from verifiers.service.openapi import body_of, document, problems
from verifiers.service.queue import JudgingQueue, QueueFull
from verifiers.service.settings import ServiceLimits

_Result = TypeVar("_Result")
_LARGE = 1 << 18
_POSTS = frozenset({"/v1/score", "/v1/openrlhf"})
_GETS = frozenset({"/health", "/ready", "/metrics", "/v1/verifiers", "/openapi.json"})


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
        self.queue = JudgingQueue({name: one.verifier for name, one in opened.items()}, limits, self.metrics)
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
            await self.queue.close(self._patience_s)

    async def judge(self, samples: Sequence[ScoredItem], exchange: Exchange, receive: Receive) -> list[Verdict]:
        """One verdict a sample, in order; none when the client left. Raises Refused."""
        self.metrics.request_items.observe(len(samples))
        asked = [(one.name, one.task, one.completion) for one in samples if one.fault is None]
        judging = asyncio.ensure_future(self.queue.judge(asked))
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
            headers = {"Retry-After": str(full.retry_after_s)}
            raise Refused(503, "overloaded", f"{full}; try again later", headers=headers) from full
        verdicts = [one.fault or next(judged) for one in samples]
        self._count(samples, verdicts)
        return verdicts

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

    def _count(self, samples: Sequence[ScoredItem], verdicts: Sequence[Verdict]) -> None:
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
        asked = [(name, task, completion) for task, completion, _ in one.known]
        fault = fault_of(one.known, await self.queue.judge(asked, urgent=True))
        state = self._states[name]
        state.ready = not fault
        state.detail = fault or f"gave its known verdicts in {time.perf_counter() - begun:.3f} s"


def create_service(
    opened: Mapping[str, Opened],
    limits: ServiceLimits | None = None,
    *,
    token: str | None = None,
    recheck_s: float = 30.0,
    patience_s: float = 10.0,
) -> ASGIApp:
    """The service as an ASGI application over opened verifiers, which it closes at its end.

    With a `token`, all endpoints but /health and /ready want it.
    """
    limits = limits or ServiceLimits()
    service = RewardService(opened, limits, recheck_s=recheck_s, patience_s=patience_s)
    app = FastAPI(lifespan=service.running, docs_url=None, redoc_url=None, redirect_slashes=False)
    _add_scoring(app, service)
    _add_telling(app, service)
    _add_refusals(app, service.metrics)
    app.openapi = lambda: document(app, list(opened), limits, with_token=token is not None)  # type: ignore[method-assign]
    return Guard(app, limits, service.metrics, token=token, paths=_POSTS | _GETS, posts=_POSTS)


def _add_scoring(app: FastAPI, service: RewardService) -> None:
    served = list(service.opened)

    @app.post(
        "/v1/score",
        summary="Judge a batch of completions",
        response_model=ScoreResponse,
        openapi_extra=body_of("ScoreRequest"),
        responses=problems(400, 401, 408, 413, 415, 421, 422, 500, 503),
    )
    async def score(request: Request) -> Response:
        """One verdict an item, in order. A verdict that could not be reached has `reward: null`, and never fails
        the batch."""
        exchange = exchange_of(request.scope)
        size = len(exchange.body)
        samples = await _aside(size, read_score, exchange.body, served, service.limits)
        verdicts = await service.judge(samples, exchange, request.receive)
        if exchange.disconnected:
            return Response()
        return _json(await _aside(size, score_answer, samples, verdicts))

    @app.post(
        "/v1/openrlhf",
        summary="Judge samples in the shape of OpenRLHF's --remote_rm_url",
        response_model=RewardsResponse,
        openapi_extra=body_of("RewardsRequest"),
        responses=problems(400, 401, 408, 413, 415, 421, 422, 500, 503),
    )
    async def openrlhf(
        request: Request,
        verifier: Annotated[
            str | None, Query(description="The verifier of all samples; may be left out where only one is served.")
        ] = None,
        unchecked: Annotated[
            Literal["group_mean", "zero"],
            Query(
                description="The reward of a sample that could not be checked: the mean over the checked samples of "
                "its prompt, or 0."
            ),
        ] = "group_mean",
    ) -> Response:
        """One number a sample, in order; `extra_logs.not_checked` tells which of them are stand-ins."""
        exchange = exchange_of(request.scope)
        size = len(exchange.body)
        samples, prompts = await _aside(size, read_rewards, exchange.body, verifier, served, service.limits)
        verdicts = await service.judge(samples, exchange, request.receive)
        if exchange.disconnected:
            return Response()
        return _json(await _aside(size, rewards_answer, prompts, verdicts, unchecked))


def _add_telling(app: FastAPI, service: RewardService) -> None:
    @app.get("/health", summary="Is the process alive?", response_model=Health, responses=problems(421, 500))
    async def health() -> Response:
        """Answers at once, whatever is being judged."""
        return _json(json_bytes({"status": "ok"}))

    @app.get(
        "/ready",
        summary="Do the verifiers work?",
        response_model=Readiness,
        responses=problems(421, 500) | {503: {"model": Readiness, "description": "A verifier does not work."}},
    )
    async def ready() -> Response:
        """Every verifier was opened and gave the verdicts that are known, at the start and whenever asked since."""
        everything, rows = service.readiness()
        return _json(json_bytes({"ready": everything, "verifiers": rows}), 200 if everything else 503)

    @app.get(
        "/v1/verifiers",
        summary="What is served, within which limits",
        response_model=About,
        responses=problems(401, 421, 500),
    )
    async def verifiers() -> Response:
        """The names that items may give as their verifier, and the bounds of a request."""
        limits = {name: getattr(service.limits, name) for name in RequestLimits.model_fields}
        return _json(json_bytes({"verifiers": service.readiness()[1], "limits": limits}))

    @app.get(
        "/metrics",
        summary="Counters for Prometheus",
        response_class=Response,
        responses=problems(401, 421, 500)
        | {200: {"description": "Prometheus text format.", "content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        """Requests, items by verifier and status, latencies, queue, refusals."""
        service.readiness()
        return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def _add_refusals(app: FastAPI, metrics: ServiceMetrics) -> None:
    def answer(refused: Refused) -> Response:
        metrics.rejected.labels(refused.problem.error).inc()
        return refused.response()

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        return answer(Refused(422, "invalid_request", f"{place}: {fault['msg']}"[:500], place[:300]))

    @app.exception_handler(HTTPException)
    async def routing(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            words = f"{request.url.path} does not take {request.method[:20]}"
            return answer(Refused(405, "method_not_allowed", words, headers=error.headers))
        known = ", ".join(sorted(_POSTS | _GETS))
        return answer(Refused(404, "not_found", f"there is no such path; there are: {known}"))

    @app.exception_handler(Exception)
    async def broken(_: Request, __: Exception) -> Response:
        return answer(Refused(500, "internal", "the service failed on this request; its log says how"))


def _json(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json")


async def _aside(size: int, work: Callable[..., _Result], *arguments: Any) -> _Result:
    """Does what takes long for large bodies on a thread, so that the loop goes on answering others."""
    return work(*arguments) if size < _LARGE else await asyncio.to_thread(work, *arguments)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
