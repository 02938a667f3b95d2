"""The requests of a service, as FastAPI documents them: within its limits, naming its verifiers.

They are read and checked beside the event loop where they are large, one at a time, in the clients' turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from inspect import Parameter
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Query, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, FailFast, Field, ValidationError, create_model
from pydantic_core import from_json

from sandbox.languages import LANGUAGES
from verifiers.service.guard import LARGE, Exchange, Refused, exchange_of
from verifiers.service.models import AnyTest, RewardsRequest, ScoreItem, ScoreRequest, first_fault, whole
from verifiers.service.settings import ServiceLimits

LEFT = 1 << 17
"""Weight of a body from which on another process reads it."""
_COMMA_BYTES = 32
"""A comma weighs as much as so many bytes, since small items take the longest."""
_MAX_STRUCTURE = 2_000_000
"""Brackets, braces and commas of a body: each may cost a hundred bytes once it is read."""
_Model = TypeVar("_Model", bound=BaseModel)
_Result = TypeVar("_Result")


class RequestTypes:
    """The requests of one service: within its limits, and naming its verifiers (a sole one may go unnamed)."""

    def __init__(self, served: Sequence[str], limits: ServiceLimits) -> None:
        names: Any = Literal[tuple(served)]
        about = {name: field.description for name, field in ScoreItem.model_fields.items()}
        several = len(served) > 1
        named = names if several else names | None
        text = {"max_length": limits.max_completion_chars}
        # Made anew: bounds must come before the validator, or the schema loses them.
        megabytes = Annotated[int, Field(ge=16, le=limits.max_memory_mb), BeforeValidator(whole)]
        self.item = _narrowed(
            ScoreItem,
            verifier=(named, Field(... if several else None, description=about["verifier"])),
            completion=_within(ScoreItem, "completion", **text),
            problem=_within(ScoreItem, "problem", **text),
            # The first fault is all that is told, and tests may have thousands.
            tests=_within(ScoreItem, "tests", Annotated[list[AnyTest], FailFast()], max_length=limits.max_tests),
            language=_within(ScoreItem, "language", Literal[tuple(LANGUAGES)]),
            time_limit_s=_within(ScoreItem, "time_limit_s", le=limits.max_time_limit_s),
            memory_mb=(megabytes, Field(512, description=about["memory_mb"])),
        )
        words = "The verifier of all samples; may be left out where only one is served."
        self.named_verifier = Annotated[names, Query(description=words)]
        self.unnamed_verifier: Any = Parameter.empty if several else served[0]
        """Stands for a verifier that was not named; `empty` makes FastAPI refuse that."""
        # The first fault is all that is told, and a body may have a hundred thousand.
        kinds: Any = Annotated[list[self.item], FailFast()]  # type: ignore[name-defined]
        self.batch = _narrowed(
            ScoreRequest,
            items=_within(ScoreRequest, "items", kinds, max_length=limits.max_items),
        )
        self.rewards = _narrowed(RewardsRequest, query=_within(RewardsRequest, "query", max_length=limits.max_items))


def _within(model: type[BaseModel], name: str, kind: Any = None, **bounds: Any) -> Any:
    """A field of a model, of a narrower type or within bounds."""
    field = model.model_fields[name]
    return Annotated[kind or field.annotation, Field(**bounds)], field


def _narrowed(model: type[_Model], **fields: Any) -> type[_Model]:
    return create_model(model.__name__, __base__=model, **fields)


class _CheckedRequest(Request):
    """A request whose body is read and checked before FastAPI, which does both on the event loop, comes to it."""

    model: type[BaseModel]
    _parts: Sequence[bytes] = ()

    async def body(self) -> bytes:
        """The beginning of the body. Raises Refused where there is none."""
        self._parts = [part async for part in self.stream() if part]
        exchange = exchange_of(self.scope)
        exchange.weight = exchange.size
        if exchange.size < LEFT:
            exchange.weight = max(exchange.size, _COMMA_BYTES * sum(part.count(b",") for part in self._parts))
        return self._parts[0] if self._parts else _read_json(b"")

    async def json(self) -> Any:
        """The checked body, or a stand-in for one that is left to the process that reads. Raises Refused."""
        exchange = exchange_of(self.scope)
        # Not kept while the items are judged.
        parts, self._parts = self._parts, ()
        if exchange.weight < LEFT:
            return await aside(exchange, read_body, b"".join(parts), self.model)
        exchange.unread = parts
        return self.model.model_construct()


class CheckedRoute(APIRoute):
    """FastAPI's route, with such requests."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of a request."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            checked = _CheckedRequest(request.scope, request.receive)
            if self.body_field is not None:
                checked.model = self.body_field.field_info.annotation  # type: ignore[assignment]
            return await handle(checked)

        return handler


def read_body(body: bytes, model: type[_Model]) -> _Model:
    """The request that a body holds. Raises Refused."""
    _check_structure(body)
    try:
        # No value of Python's is made of what does not fit.
        return model.model_validate_json(body) if _is_strict(body) else model.model_validate(_read_json(body))
    except ValidationError as error:
        if error.errors(include_input=False)[0]["type"] == "json_invalid":
            _read_json(body)
        raise invalid_request(*first_fault(error)) from None


def _is_strict(body: bytes) -> bool:
    """Whether a body has none of the numbers that JSON lacks, which pydantic would read."""
    return b"NaN" not in body and b"Infinity" not in body


def _read_json(body: bytes) -> Any:
    """The value that a body holds. Raises Refused."""
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refused(400, "invalid_json", f"the body is not JSON: {error}"[:500]) from error


def _check_structure(body: bytes) -> None:
    """Raises Refused for a body that is too intricate."""
    if sum(map(body.count, (b"[", b"{", b","))) > _MAX_STRUCTURE:
        raise invalid_request(
            "", f"the body has more than {_MAX_STRUCTURE} brackets, braces and commas; send fewer items"
        )


def invalid_request(field: str, words: str) -> Refused:
    """The refusal of a request that does not fit, naming the field at fault."""
    return Refused(422, "invalid_request", f"{field}: {words}" if field else words, field or None)


async def aside(exchange: Exchange, work: Callable[..., _Result], *arguments: Any) -> _Result:
    """Does what takes long for large bodies on a thread, one after the other, so that the loop goes on answering."""
    if exchange.weight < LARGE:
        exchange.turns.saw_quick()
        return work(*arguments)
    async with exchange.turns.turn(exchange.client):
        return await asyncio.to_thread(work, *arguments)
