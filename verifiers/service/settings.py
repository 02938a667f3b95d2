"""The settings of the reward service: its limits, and which verifiers it serves under which names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from verifiers.patterns import linear
from verifiers.service.models import ScoreItem, first_fault

_NAME = linear.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")


class UnusableService(ValueError):
    """The service can't start like this; the message names what is wrong and the remedy."""


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """Bounds of one service. What is beyond them is refused with words, never queued."""

    max_items: int = 16_384
    """Items in one request."""
    max_body_bytes: int = 32 << 20
    """Bytes of one request's body."""
    max_completion_chars: int = 1_000_000
    """Characters of one completion."""
    max_tests: int = 1_000
    """Tests of one item."""
    max_time_limit_s: float = 60.0
    """The longest `time_limit_s` that an item may ask for."""
    max_item_s: float = 3_600.0
    """The most CPU seconds that an item's tests may take together: their number times `time_limit_s`."""
    max_memory_mb: int = 4_096
    """The largest `memory_mb` that an item may ask for."""
    queue_items: int = 65_536
    """Items waiting or being judged, over all requests; beyond it requests get 503."""
    queue_bytes: int = 256 << 20
    """Bytes of bodies being read, waiting or being judged, over all requests; beyond it requests get 503."""
    body_s: float = 60.0
    """Seconds that a body may take to arrive."""
    request_s: float = 600.0
    """Seconds after which what a request still waits for is answered as not checked."""
    batch_items: int = 32
    """The most items handed to a verifier in one call."""
    threads: int = 4
    """Calls of one verifier at a time."""

    def __post_init__(self) -> None:
        for bound in fields(self):
            if getattr(self, bound.name) <= 0:
                raise UnusableService(f"{bound.name}: must be more than 0, not {getattr(self, bound.name)}")
        for part, whole in (("max_items", "queue_items"), ("max_body_bytes", "queue_bytes")):
            if getattr(self, part) > getattr(self, whole):
                raise UnusableService(
                    f"{part} ({getattr(self, part)}) is more than {whole} ({getattr(self, whole)}), so that the "
                    f"largest request would never find room; raise {whole} or lower {part}"
                )


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
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UnusableService(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    try:
        read = _File.model_validate(content)
    except ValidationError as error:
        place, words = first_fault(error.errors())
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
