"""A sandbox for each thread that asks, so that verifiers running in several threads share nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from queue import LifoQueue

from sandbox.model import RemoteServer
from sandbox.open import open_sandbox
from sandbox.warm.sandbox import WarmSandbox


class SandboxPool:
    """At most `workers` sandboxes, opened when first needed and lent to one thread at a time."""

    def __init__(
        self,
        workers: int,
        backend: str = "auto",
        waive: Collection[str] = (),
        *,
        server: RemoteServer | None = None,
        packages: Collection[str] = (),
    ) -> None:
        """The arguments behind `workers` are those of open_sandbox. Raises ValueError without a worker."""
        if workers < 1:
            raise ValueError(f"a pool needs at least one worker, not {workers}")
        self._open: Callable[[], WarmSandbox] = lambda: open_sandbox(backend, waive, server=server, packages=packages)
        self._idle: LifoQueue[WarmSandbox | None] = LifoQueue()
        for _ in range(workers):
            self._idle.put(None)
        self._workers = workers
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def borrow(self) -> Iterator[WarmSandbox]:
        """A sandbox for the duration of a `with`; waits while all are lent.

        Raises SandboxUnavailable if one cannot be opened and RuntimeError after close().
        """
        sandbox = self._idle.get()
        try:
            with self._lock:
                if self._closed:
                    raise RuntimeError("this pool of sandboxes is closed")
                # Under the lock, so that the live test runs once and not in every thread.
                sandbox = sandbox or self._open()
            yield sandbox
        finally:
            self._idle.put(sandbox)

    def close(self) -> None:
        """Closes every sandbox, waiting for those that are lent. May be called twice."""
        with self._lock:
            self._closed = True
        for _ in range(self._workers):
            sandbox = self._idle.get()
            if sandbox is not None:
                sandbox.close()
        for _ in range(self._workers):
            self._idle.put(None)

    def __enter__(self) -> SandboxPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
