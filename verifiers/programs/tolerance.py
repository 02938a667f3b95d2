"""How far a number may be off, absolutely or in relation to the expected one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

ToleranceKind = Literal["either", "absolute", "relative"]
TOLERANCE_KINDS: tuple[str, ...] = get_args(ToleranceKind)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """`either` is what most problem statements mean: an absolute or relative error of at most `size`."""

    size: float
    kind: str = "either"

    def allows(self, actual: float, expected: float) -> bool:
        """Tells whether two finite numbers are close. Infinities are close to themselves, NaN to nothing."""
        if math.isnan(actual) or math.isnan(expected):
            return False
        if math.isinf(actual) or math.isinf(expected):
            return actual == expected
        scale = {"absolute": 1.0, "relative": abs(expected)}.get(self.kind, max(1.0, abs(expected)))
        return abs(actual - expected) <= self.size * scale


def tolerance_of(size: Tolerance | float | None) -> Tolerance | None:
    """Returns the tolerance that a plain number stands for."""
    return size if size is None or isinstance(size, Tolerance) else Tolerance(size)
