"""Turns at something that only one may do at a time: client by client, and for each first come, first served."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator


class Turns:
    """For one event loop."""

    def __init__(self) -> None:
        self._busy = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @contextlib.asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Waits for a turn, and has it until the end of the `with`."""
        while self._busy:
            mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(client, deque()).append(mine)
            await mine
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
            self._call_next()

    def _call_next(self) -> None:
        while self._waiting:
            client = next(iter(self._waiting))
            line = self._waiting.pop(client)
            one = line.popleft()
            if line:
                self._waiting[client] = line
            if not one.done():
                one.set_result(None)
                return
