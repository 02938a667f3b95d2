"""The reward service: verdicts over HTTP, for a trainer of any framework.

The application answers at POST /v1/score (a batch of items, one verdict each) and POST /v1/openrlhf (the shape of
OpenRLHF's remote reward); GET /health, /ready, /metrics, /v1/verifiers and /openapi.json tell about it. It needs
the extra `serve`.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.security.http import HTTPBase
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from verifiers.service.answers import json_bytes, read_rewards, read_score, rewards_answer, score_answer
from verifiers.service.connections import Connections
from verifiers.service.guard import Guard, Refused, exchange_of
from verifiers.service.items import Item
from verifiers.service.known import Opened
from verifiers.service.metrics import CONTENT_TYPE, ServiceMetrics
from verifiers.service.models import (
    About,
    Health,
    ProblemDetails,
    Readiness,
    RequestLimits,
    RewardsRequest,
    RewardsResponse,
    ScoreRequest,
    ScoreResponse,
)
from verifiers.service.requests import CheckedRoute, RequestTypes, aside, invalid_request
from verifiers.service.reward_service import RewardService
from verifiers.service.settings import ServiceLimits

_POSTS = frozenset({"/v1/score", "/v1/openrlhf"})
_GETS = frozenset({"/health", "/ready", "/metrics", "/v1/verifiers", "/openapi.json"})
_WORDS = {
    400: "The body is not JSON.",
    401: "The token is missing or wrong.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is not declared as JSON, or is compressed.",
    421: "The Host header does not name this machine, and the service has no token.",
    422: "The request does not fit the schema or is beyond the limits; `field` says where.",
    500: "The service failed on this request.",
    429: "This client has as much under way as there is room for; try again after the seconds in Retry-After.",
    503: "There is no room in the queue now; try again after the seconds in Retry-After.",
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
_SCHEMES = {"bearer": "The service's token.", "basic": "Any user, with the token as the password."}


def create_service(
    opened: Mapping[str, Opened],
    limits: ServiceLimits | None = None,
    *,
    tokens: Sequence[str] = (),
    recheck_s: float = 30.0,
    patience_s: float = 10.0,
) -> tuple[ASGIApp, Connections]:
    """The service as an ASGI application over opened verifiers, which it closes at its end, and its connections,
    whose `protocol` is the `http` of uvicorn.

    With `tokens`, all endpoints but /health and /ready want one of them, and each is a client of its own.
    """
    limits = limits or ServiceLimits()
    service = RewardService(opened, limits, recheck_s=recheck_s, patience_s=patience_s)
    app = FastAPI(
        title="promptcot reward service",
        version=_version(),
        summary="Verdicts on completions, for a trainer of any framework.",
        description="Batches in, one verdict an item out. A verdict that could not be reached is null, never 0.",
        lifespan=service.running,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    # Only for the schema: the guard has looked at the token before.
    schemes = [] if not tokens else [Security(_scheme(name)) for name in _SCHEMES]
    secured = APIRouter(route_class=CheckedRoute, dependencies=schemes)
    _add_scoring(secured, service)
    _add_telling(app, secured, service)
    app.include_router(secured)
    _add_refusals(app, service.metrics)
    guard = Guard(app, limits, service.metrics, tokens=tokens, paths=_POSTS | _GETS, posts=_POSTS)
    return guard, Connections(limits, service.metrics)


def _scheme(name: str) -> HTTPBase:
    return HTTPBase(scheme=name, scheme_name=name, description=_SCHEMES[name], auto_error=False)


def _version() -> str:
    try:
        return importlib.metadata.version("promptcot")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The responses that an endpoint declares for refusals."""
    found: dict[int | str, dict[str, Any]] = {
        code: {"model": ProblemDetails, "description": _WORDS[code]} for code in codes
    }
    for code in found.keys() & {429, 503}:
        found[code]["headers"] = _RETRY_AFTER
    if 401 in found:
        found[401]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return found


def _add_scoring(router: APIRouter, service: RewardService) -> None:
    served, limits = list(service.opened), service.limits
    types = RequestTypes(served, limits)
    refusals = _problems(400, 401, 408, 413, 415, 421, 422, 429, 500, 503)

    async def score(request: Request, batch: ScoreRequest) -> Response:
        """One verdict an item, in order. A verdict that could not be reached has `reward: null`, and never fails
        the batch."""
        exchange = exchange_of(request.scope)
        samples: Sequence[Item]
        if exchange.unread:
            samples, _ = await aside(exchange, service.reader.read, exchange.take_unread())
        else:
            samples = await aside(exchange, read_score, batch, served, limits)
        verdicts = await service.judge(samples, exchange, request.receive)
        if exchange.disconnected:
            return Response()
        await aside(exchange, service.count, samples, verdicts)
        return _json(await aside(exchange, score_answer, samples, verdicts))

    async def openrlhf(
        request: Request,
        batch: RewardsRequest,
        verifier: str = types.unnamed_verifier,
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
        samples: Sequence[Item]
        if exchange.unread:
            samples, groups = await aside(exchange, service.reader.read, exchange.take_unread(), verifier)
        else:
            samples, groups = await aside(exchange, read_rewards, batch, verifier, types.item, limits)
        verdicts = await service.judge(samples, exchange, request.receive)
        if exchange.disconnected:
            return Response()
        await aside(exchange, service.count, samples, verdicts)
        return _json(await aside(exchange, rewards_answer, groups, verdicts, unchecked))

    # The types of these requests are this service's own.
    score.__annotations__ |= {"batch": types.batch}
    openrlhf.__annotations__ |= {"batch": types.rewards, "verifier": types.named_verifier}
    for path, summary, answers, endpoint in (
        ("/v1/score", "Judge a batch of completions", ScoreResponse, score),
        ("/v1/openrlhf", "Judge samples in the shape of OpenRLHF's --remote_rm_url", RewardsResponse, openrlhf),
    ):
        router.post(path, summary=summary, response_model=answers, responses=refusals)(endpoint)


def _add_telling(app: FastAPI, secured: APIRouter, service: RewardService) -> None:
    @app.get("/health", summary="Is the process alive?", response_model=Health, responses=_problems(421, 500))
    async def health() -> Response:
        """Answers at once, whatever is being judged."""
        return _json(json_bytes({"status": "ok"}))

    @app.get(
        "/ready",
        summary="Do the verifiers work?",
        response_model=Readiness,
        responses=_problems(421, 500) | {503: {"model": Readiness, "description": "A verifier does not work."}},
    )
    async def ready() -> Response:
        """Every verifier was opened and gave the verdicts that are known, at the start and whenever asked since."""
        everything, rows = service.readiness()
        return _json(json_bytes({"ready": everything, "verifiers": rows}), 200 if everything else 503)

    @secured.get(
        "/v1/verifiers",
        summary="What is served, within which limits",
        response_model=About,
        responses=_problems(401, 421, 500),
    )
    async def verifiers() -> Response:
        """The names that items may give as their verifier, and the bounds of a request."""
        limits = {name: getattr(service.limits, name) for name in RequestLimits.model_fields}
        return _json(json_bytes({"verifiers": service.readiness()[1], "limits": limits}))

    @secured.get(
        "/metrics",
        summary="Counters for Prometheus",
        response_class=Response,
        responses=_problems(401, 421, 500)
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
        # Of the query: the body has been checked before.
        fault = error.errors()[0]
        return answer(invalid_request(".".join(map(str, fault["loc"][1:])), fault["msg"]))

    @app.exception_handler(HTTPException)
    async def routing(request: Request, error: HTTPException) -> Response:
        if exchange_of(request.scope).disconnected:
            return Response()
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
