"""One piece of work of a stage, as a plan sees it: whose, what it takes of each device, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selfplay.planning.architecture import ATTENTION, MLP, ROUTER, Architecture
from selfplay.planning.memory import Terms
from selfplay.planning.speed import Speed


@dataclass(frozen=True, slots=True)
class Named:
    """A model with its name in the recipe, and what of it is trained."""

    field: str
    """Where the recipe names it."""
    name: str
    sizes: Architecture
    dtype: str
    lora: Mapping[str, Any] | None = None
    lora_field: str = "training.lora"

    @property
    def trained(self) -> int:
        """Parameters with gradients."""
        if self.lora is None:
            return self.sizes.parameters
        rank = self.lora.get("r", 8)
        modules = self.lora.get("target_modules") or ("q_proj", "v_proj")
        everywhere = (*ATTENTION, *MLP, ROUTER)
        return self.sizes.adapter(int(rank), everywhere if modules == "all-linear" else tuple(modules))


@dataclass(frozen=True, slots=True)
class Need:
    """One piece of work, and all that it takes."""

    stage: str
    what: str
    terms: Terms
    """Bytes of one device at the fullest moment."""
    limit: int
    """Bytes that one device has for it."""
    tokens: int
    """Written, read or trained on, by all devices."""
    speed: Speed
    """Of one device."""
    devices: int
    host: int = 0
    """Bytes of host memory, of all workers together."""
    stays: int = 0
    """Bytes on disk that stay."""
    passing: int = 0
    """Bytes on disk meanwhile: checkpoints."""
    fields: tuple[str, ...] = ()
    """Settings whose change takes memory away, the least change first."""
    notes: tuple[str, ...] = ()
    """Why an engine would cut or refuse it."""

    @property
    def total(self) -> int:
        """Bytes of one device."""
        return sum(self.terms.values())

    @property
    def hours(self) -> float:
        """Time that it takes."""
        return self.tokens / (self.speed.tokens_per_s * self.devices) / 3600

    @property
    def fits(self) -> bool:
        """Whether a device holds it."""
        return self.total <= self.limit
