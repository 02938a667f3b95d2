"""One seed in the recipe; every stage, shard and problem derives its own from it by name."""

from __future__ import annotations

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """A seed in [0, 2**31) for whatever the names say, so that order and parallelism don't matter."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def content_id(*parts: object) -> str:
    """A stable identifier of some content: 16 hexadecimal digits of its SHA-256."""
    text = "\x1f".join(map(str, parts))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
