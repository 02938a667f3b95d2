"""The settings of the reward service: its limits, and which verifiers it serves under which names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from verifiers.patterns import linear
from verifiers.service.models import RequestLimits, ScoreItem, first_fault
from verifiers.untrusted.files import read_text
from verifiers.untrusted.yaml_text import UnusableYaml, parse_yaml

LARGEST = 1 << 20
"""Most bytes of a file that names verifiers."""
_NAME = linear.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")


class UnusableService(ValueError):
    """The service can't start like this; the message names what is wrong and the remedy."""


class ServiceLimits(RequestLimits):
    """Bounds of one service. What is beyond them is refused with words, never queued."""

    queue_items: PositiveInt = 65_536
    """Items waiting or being judged for one verifier, over all requests; beyond it requests get 503."""
    client_items: PositiveInt = 32_768
    """Items of one client that wait for one verifier; beyond it its requests get 429."""
    queue_bytes: PositiveInt = 256 << 20
    """Bytes of bodies being read, waiting or being judged, over all requests; beyond it requests get 503."""
    client_bytes: PositiveInt = 128 << 20
    """The same for the requests of one client; beyond it they get 429."""
    connections: PositiveInt = 4_096
    """Open connections; beyond it, one that the service waits for is closed, or the new one gets 503."""
    client_connections: PositiveInt = 1_024
    """The same for one address (of IPv6, one /64)."""
    headers_s: PositiveFloat = 10.0
    """Seconds that the headers of a request may take to arrive."""
    body_s: PositiveFloat = 60.0
    """Seconds that a body may take to arrive."""
    answer_s: PositiveFloat = 60.0
    """Seconds that a client may take to fetch its answer."""
    idle_s: PositiveFloat = 30.0
    """Seconds that a connection is kept between two requests."""
    request_s: PositiveFloat = 600.0
    """Seconds after which what a request still waits for is answered as not checked."""
    quick_s: PositiveFloat = 0.5
    """Seconds that an item may take before it goes on among those that take long (math, code)."""
    batch_items: PositiveInt = 32
    """The most items handed to a verifier in one call."""
    threads: PositiveInt = 4
    """Calls of one verifier at a time."""
    niceness: Annotated[int, Field(ge=0, le=19)] = 5
    """How far the processes that judge what takes long stand back behind the others."""

    @model_validator(mode="after")
    def _largest_request_finds_room(self) -> ServiceLimits:
        for part, whole in _ROOMS:
            if getattr(self, part) > getattr(self, whole):
                raise ValueError(
                    f"{part} ({getattr(self, part)}) is more than {whole} ({getattr(self, whole)}), so that the "
                    f"largest request would never find room; raise {whole} or lower {part}"
                )
        return self


_ROOMS = (
    *(("max_items", "queue_items"), ("max_items", "client_items")),
    *(("max_body_bytes", "queue_bytes"), ("max_body_bytes", "client_bytes")),
)


def read_limits(settings: Sequence[str]) -> ServiceLimits:
    """Reads `name=number`, each for a field of ServiceLimits. Raises UnusableService for what is none."""
    given = dict(setting.partition("=")[::2] for setting in settings)
    for name in given:
        if name not in ServiceLimits.model_fields:
            known = ", ".join(ServiceLimits.model_fields)
            raise UnusableService(f"--limit {name}: there is no such limit; there are: {known}")
    try:
        return ServiceLimits.model_validate(given)
    except ValidationError as error:
        place, words = first_fault(error)
        raise UnusableService(f"--limit {place}: {words}" if place else words) from error


@dataclass(frozen=True, slots=True)
class KnownItem:
    """An item whose verdict is known, asked before the service starts and again while it runs."""

    item: ScoreItem
    passed: bool


@dataclass(frozen=True, slots=True)
class Served:
    """One verifier as it is served: the name in requests, the name in the registry, and its parameters."""

    name: str
    verifier: str
    params: Mapping[str, Any] = field(default_factory=dict)
    known: Sequence[KnownItem] = ()


def parse_verifiers(text: str) -> list[Served]:
    """Reads `math,code,name=module:Name`. Raises UnusableService for an empty list or a name that is none."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, verifier = part.rpartition("=")
        found.append(Served(name or verifier, verifier))
    return _unique(found, "--verifiers")


class _KnownEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    passed: bool
    item: ScoreItem


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    verifier: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    known: list[_KnownEntry] = Field(default_factory=list)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    verifiers: dict[str, _Entry | None]
    sandbox: dict[str, Any] = Field(default_factory=dict)


def read_verifiers(path: Path) -> tuple[list[Served], dict[str, Any]]:
    """Reads a YAML or JSON file: `verifiers` maps names to `verifier`, `params` and `known` (all optional).

    Returns them, and the section `sandbox` as it stands. Raises UnusableService, naming file, field and what is
    wrong.
    """
    try:
        content, _ = parse_yaml(read_text(path, UnusableService, "give a YAML or JSON file", LARGEST))
    except UnusableYaml as error:
        raise UnusableService(f"{path}: cannot be read as YAML: {error}") from error
    try:
        read = _File.model_validate(content)
    except ValidationError as error:
        place, words = first_fault(error)
        raise UnusableService(f"{path}: {place or 'the file'}: {words}") from error
    found = []
    for name, entry in read.verifiers.items():
        whole = entry or _Entry()
        known = tuple(KnownItem(row.item, row.passed) for row in whole.known)
        found.append(Served(name, whole.verifier or name, whole.params, known))
    return _unique(found, str(path)), read.sandbox


def _unique(found: Sequence[Served], source: str) -> list[Served]:
    if not found:
        raise UnusableService(f"{source}: names no verifier; for example --verifiers math,code")
    seen: set[str] = set()
    for served in found:
        if not _NAME.fullmatch(served.name) or not _NAME.fullmatch(served.verifier):
            raise UnusableService(f"{source}: {served.name!r} is no name; use letters, digits and _ . : -")
        if served.name in seen:
            raise UnusableService(f"{source}: {served.name} is named twice; give one of them a name of its own")
        seen.add(served.name)
    return list(found)


def merged(*groups: Sequence[Served]) -> list[Served]:
    """Joins what the command line and a file name. Raises UnusableService when a name comes twice, or none."""
    return _unique([served for group in groups for served in group], "--verifiers and --verifiers-file")
