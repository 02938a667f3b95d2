"""The catalogue of verifiers and their parameters: for people, not for programs that judge."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifiers.patterns import linear
from verifiers.plugins.guard import parameters_of
from verifiers.registry import Offer, UnknownVerifier, find, offers

_SENTENCE = linear.compile(r"(?<=[.!?])\s")


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
    return Description(offer.name, offer.source, offer.path, _summary(thing), parameters_of(thing))


def _summary(thing: Any) -> str:
    first = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    end = _SENTENCE.search(first)
    return first[: end.start()] if end else first
