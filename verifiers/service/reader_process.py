"""The process that reads large bodies for `reader`: JSON in, items out, each packed on a line of its own."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import from_json

from sandbox.process.inside import read_frame, take_channel, write_frame
from verifiers.service.answers import read_rewards, read_score
from verifiers.service.guard import Refused
from verifiers.service.items import ScoredItem, packed
from verifiers.service.requests import RequestTypes, read_body
from verifiers.service.settings import ServiceLimits

_FRAME_ITEMS, _FRAME_BYTES = 64, 1 << 18
"""A frame holds no more, so that it keeps a thread of the service busy for less than a millisecond."""


class Bodies:
    """Bodies as one service reads them."""

    def __init__(self, served: Sequence[str], limits: ServiceLimits) -> None:
        """Takes the names of the verifiers that are served."""
        self._served, self._limits = served, limits
        self._types = RequestTypes(served, limits)

    def answer(self, body: bytes, verifier: str | None) -> Iterator[bytes]:
        """The frames of a body's items, and the last one: a batch, or OpenRLHF's lists for a verifier."""
        end: dict[str, Any] = {"refused": None, "groups": []}
        try:
            if verifier is None:
                items = read_score(read_body(body, self._types.batch), self._served, self._limits)
            else:
                lists = read_body(body, self._types.rewards)
                items, prompts = read_rewards(lists, verifier, self._types.item, self._limits)
                numbers: dict[str, int] = {}
                end["groups"] = [str(numbers.setdefault(prompt, len(numbers))) for prompt in prompts]
            yield from _frames(items)
        except Refused as refused:
            problem = refused.problem
            end["refused"] = [refused.status_code, problem.error, problem.message, problem.field]
        yield json.dumps(end).encode()


def _frames(items: Sequence[ScoredItem]) -> Iterator[bytes]:
    names: list[Any] = []
    lines: list[bytes] = []
    size = 0
    for item in items:
        names.append((item.id, item.name, item.fault and (item.fault.status, item.fault.reason)))
        lines.append(b"" if item.fault else packed(item))
        size += len(lines[-1])
        if len(lines) == _FRAME_ITEMS or size > _FRAME_BYTES:
            yield b"\n".join([json.dumps(names).encode(), *lines])
            names, lines, size = [], [], 0
    if lines:
        yield b"\n".join([json.dumps(names).encode(), *lines])


def main(settings: str) -> None:
    """Reads bodies until the service hangs up."""
    into, out = take_channel()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    served, bounds = from_json(settings)
    bodies = Bodies(served, ServiceLimits(**bounds))
    while (question := read_frame(into)) is not None and (body := read_frame(into)) is not None:
        for frame in bodies.answer(body, from_json(question)):
            write_frame(out, frame)
        del body


if __name__ == "__main__":
    main(sys.argv[1])
    os._exit(0)
