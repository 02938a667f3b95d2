"""Words of a problem, as deduplication and decontamination count them."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+|[^\w\s]")


def words(text: str) -> list[str]:
    """Lower-case words and single marks, in order; numbers are words."""
    return _WORD.findall(text.casefold())
