"""Whether the hub answers at all, asked once a process."""

from __future__ import annotations

import functools
import os
import sys

PATIENCE_S = 5.0
"""Longest wait for the hub's first answer; its libraries would try six times, for 23 s in all."""


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
