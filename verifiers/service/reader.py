"""Reads large bodies in a process of their own, since whoever reads JSON lets no other thread of its process run.

A body is a frame that says what it is, and one that holds it. The answer is a frame for every few items, with the names
of all of them in its first line and each item on a line of its own, and a last one that says how it ended. One process
reads for all clients, one body after the other; it starts with the first large body, and again where it was lost.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence

from pydantic_core import from_json

from sandbox.process.child import Child, ChildGone
from sandbox.process.inside import HEADER
from verifiers.model import Verdict
from verifiers.service.guard import Refused
from verifiers.service.items import Item, PackedItem
from verifiers.service.settings import ServiceLimits

_BODY_S = 60.0
"""The most that one body takes."""
_PROGRAM = "verifiers.service.reader_process"


class Reader:
    """The process that reads. For any thread; they wait for each other."""

    def __init__(self, served: Sequence[str], limits: ServiceLimits) -> None:
        self._settings = json.dumps([list(served), limits.model_dump()])
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._closed = False

    def read(self, parts: Sequence[bytes], verifier: str | None = None) -> tuple[list[Item], list[str]]:
        """Reads a body, given in parts: a batch, or OpenRLHF's lists for `verifier`.

        Returns its items and, of OpenRLHF's, a text for each that those of one prompt share. Raises Refused.
        """
        with self._lock:
            try:
                return self._read(parts, verifier)
            except (ChildGone, TimeoutError, OSError) as error:
                self._drop()
                words = f"the process that reads large bodies gave no answer ({error}); send fewer items at a time"
                raise Refused(503, "overloaded", words, headers={"Retry-After": "1"}) from error

    def close(self) -> None:
        """Ends the process, and so whatever it reads."""
        self._closed = True
        child = self._child
        if child is not None:
            child.kill()
        with self._lock:
            self._drop()

    def _read(self, parts: Sequence[bytes], verifier: str | None) -> tuple[list[Item], list[str]]:
        if self._closed:
            raise ChildGone("the service is ending")
        if self._child is None:
            self._child = Child(_PROGRAM, (self._settings,))
            if self._closed:
                raise ChildGone("the service is ending")
        child, until = self._child, time.monotonic() + _BODY_S
        child.write_frame(json.dumps(verifier).encode(), until)
        child.write(HEADER.pack(sum(map(len, parts))), until)
        for part in parts:
            child.write(part, until)
        items: list[Item] = []
        while (frame := child.frame(until)).startswith(b"["):
            names, *lines = frame.split(b"\n")
            for (number, name, fault), line in zip(from_json(names), lines, strict=True):
                items.append(PackedItem(number, name, line, fault and Verdict(None, None, *fault)))
        end = from_json(frame)
        if refused := end["refused"]:
            status, error, message, field = refused
            raise Refused(status, error, message, field)
        return items, end["groups"]

    def _drop(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None
