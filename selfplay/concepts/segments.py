"""Arrays of lists of different lengths, laid end to end."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def ranges(starts: NDArray[Any], lengths: NDArray[Any]) -> NDArray[np.int64]:
    """start, start + 1, ..., start + length - 1 for each pair, one after the other."""
    ends = np.cumsum(lengths, dtype=np.int64)
    joined: NDArray[np.int64] = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths - starts, lengths)
    return joined
