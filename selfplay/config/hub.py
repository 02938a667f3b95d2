"""The hub: which names it can have, and whether it answers at all. Importing it loads no heavy library."""

from __future__ import annotations

import functools
import os
import sys

LONGEST = 96
"""Most characters of a name on the hub."""
PATIENCE_S = 5.0
"""Longest wait for the hub's first answer; its libraries would try six times, for 23 s in all."""


def has_hub_form(name: str) -> bool:
    """Whether a name may be one of the hub's, `owner/name` or a lone old `name`, as `huggingface_hub` checks it."""
    parts = name.split("/")
    return len(parts) <= 2 and len(name) <= LONGEST and all(map(_is_part, parts))


def _is_part(part: str) -> bool:
    plain = part.isascii() and part.replace("-", "").replace("_", "").replace(".", "").isalnum()
    return plain and part[0] not in "-." and part[-1] not in "-." and "--" not in part and ".." not in part


def offline_without_hub() -> bool:
    """Asks the hub once a process whether it is there; where it isn't, its libraries and workers to come don't try.

    Returns:
        Whether the hub is out of reach; what is in its cache on this machine can be used all the same.
    """
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE and not _answers(constants.ENDPOINT):
        os.environ["HF_HUB_OFFLINE"] = "1"
        constants.HF_HUB_OFFLINE = True
        if "datasets" in sys.modules:
            sys.modules["datasets"].config.HF_HUB_OFFLINE = True
    return bool(constants.HF_HUB_OFFLINE)


@functools.cache
def _answers(address: str) -> bool:
    """Whether anything answers, be it with a refusal; proxies of the environment are used, as the libraries do."""
    import httpx

    try:
        httpx.head(address, timeout=PATIENCE_S)
    except (httpx.TransportError, httpx.InvalidURL):
        return False
    return True
