"""The catalogue of verifiers and their parameters: for people, not for programs that judge."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifiers.patterns import linear
from verifiers.registry import Offer, UnknownVerifier, find, offers

_SHOWN = 60
_SENTENCE = linear.compile(r"(?<=[.!?])\s")
_GIVEN_BY_US = frozenset(("task", "completion", "load_component", "open_sandbox"))


@dataclass(frozen=True, slots=True)
class Description:
    """One verifier: who offers it, its first line of documentation, and its parameters with their defaults as
    text (`required` where there is none). `fault` says why it can't be loaded."""

    name: str
    source: str
    path: str
    summary: str
    parameters: Mapping[str, str]
    fault: str = ""


def descriptions() -> list[Description]:
    """Describes every verifier that is known by name; loads each, and goes on where one can't be."""
    return [describe(offer) for offer in offers()]


def describe(offer: Offer) -> Description:
    """Describes one verifier."""
    try:
        thing = find(offer.name)
    except UnknownVerifier as error:
        return Description(offer.name, offer.source, offer.path, "", {}, str(error))
    return Description(offer.name, offer.source, offer.path, _summary(thing), _parameters(thing))


def _summary(thing: Any) -> str:
    first = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    end = _SENTENCE.search(first)
    return first[: end.start()] if end else first


def _parameters(thing: Any) -> dict[str, str]:
    if not callable(thing):
        return {}
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return {}
    named = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if not isinstance(thing, type):
        named = named[2:]  # a function's first two are the task and the completion, whatever their names
    return {p.name: _default(p.default) for p in named if p.name not in _GIVEN_BY_US}


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    text = repr(value) if not callable(value) else getattr(value, "__name__", repr(value))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
