"""The OpenAPI schema of the reward service: exact, with the limits of the service that answers."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from sandbox.languages import LANGUAGES
from verifiers.service.guard import OPEN_PATHS
from verifiers.service.models import ProblemDetails, RewardsRequest, ScoreRequest
from verifiers.service.settings import ServiceLimits

_TEMPLATE = "#/components/schemas/{model}"
_WORDS = {
    400: "The body is not JSON.",
    401: "The token is missing or wrong.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is not declared as JSON, or is compressed.",
    421: "The Host header does not name this machine, and the service has no token.",
    422: "The request does not fit the schema or is beyond the limits; `field` says where.",
    500: "The service failed on this request.",
    503: "There is no room in the queue now; try again after the seconds in Retry-After.",
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The responses that an endpoint declares for refusals."""
    found: dict[int | str, dict[str, Any]] = {
        code: {"model": ProblemDetails, "description": _WORDS[code]} for code in codes
    }
    if 503 in found:
        found[503]["headers"] = _RETRY_AFTER
    if 401 in found:
        found[401]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return found


def _version() -> str:
    try:
        return importlib.metadata.version("promptcot")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def body_of(model: str) -> dict[str, Any]:
    """The declaration of a JSON body that the endpoint reads by itself."""
    content = {"application/json": {"schema": {"$ref": _TEMPLATE.format(model=model)}}}
    return {"requestBody": {"required": True, "content": content}}


def document(app: FastAPI, served: Sequence[str], limits: ServiceLimits, *, with_token: bool) -> dict[str, Any]:
    """The whole schema; made once and kept on the application."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title="promptcot reward service",
            version=_version(),
            summary="Verdicts on completions, for a trainer of any framework.",
            description="Batches in, one verdict an item out. A verdict that could not be reached is null, never 0.",
            routes=app.routes,
        )
        bodies: list[Any] = [(ScoreRequest, "validation"), (RewardsRequest, "validation")]
        _, definitions = models_json_schema(bodies, ref_template=_TEMPLATE)
        schemas = schema["components"]["schemas"]
        schemas.update(definitions["$defs"])
        _bound(schemas, served, limits)
        _name_verifiers(schema, served)
        if with_token:
            _secure(schema)
        app.openapi_schema = schema
    return app.openapi_schema


def _bound(schemas: dict[str, Any], served: Sequence[str], limits: ServiceLimits) -> None:
    """Writes the limits of this service into the schemas of what it takes."""
    schemas["ScoreRequest"]["properties"]["items"]["maxItems"] = limits.max_items
    schemas["RewardsRequest"]["properties"]["query"]["maxItems"] = limits.max_items
    item = schemas["ScoreItem"]["properties"]
    item["completion"]["maxLength"] = limits.max_completion_chars
    item["problem"]["maxLength"] = limits.max_completion_chars
    item["tests"]["maxItems"] = limits.max_tests
    item["time_limit_s"]["maximum"] = limits.max_time_limit_s
    item["memory_mb"]["maximum"] = limits.max_memory_mb
    item["language"]["enum"] = list(LANGUAGES)


def _name_verifiers(schema: dict[str, Any], served: Sequence[str]) -> None:
    """Says which names may be given; where several are served, that one must be."""
    item = schema["components"]["schemas"]["ScoreItem"]
    named: dict[str, Any] = {"type": "string", "enum": list(served)}
    within = item["properties"]["verifier"]
    words = {"description": within["description"]}
    parameters = schema["paths"]["/v1/openrlhf"]["post"]["parameters"]
    parameter = next(one for one in parameters if one["name"] == "verifier")
    parameter["schema"] = named
    if len(served) > 1:
        item["properties"]["verifier"] = named | words
        item["required"] = ["verifier", *item["required"]]
        parameter["required"] = True
    else:
        item["properties"]["verifier"] = {"anyOf": [named, {"type": "null"}], "default": None} | words


def _secure(schema: dict[str, Any]) -> None:
    schema["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "The service's token."},
        "basic": {"type": "http", "scheme": "basic", "description": "Any user, with the token as the password."},
    }
    for path, methods in schema["paths"].items():
        if path not in OPEN_PATHS:
            for operation in methods.values():
                operation["security"] = [{"bearer": []}, {"basic": []}]
