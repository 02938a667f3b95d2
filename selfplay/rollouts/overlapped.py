"""Verdicts without waiting for one after the other: slow verifiers judge many completions at a time, on threads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from selfplay.rollouts.judge import Item, Judge
from verifiers.model import Verdict, Verifier

logger = logging.getLogger(__name__)


class OverlappedJudge:
    """A judge for event loops: nothing in it blocks the loop, and a verifier that hangs costs its verdicts alone.

    Verifiers that spread a batch over workers of their own (`overlaps`) get all they have to judge in one call; any
    other is called once a completion, on up to `threads` threads at a time.
    """

    def __init__(self, judge: Judge, threads: int, timeout_s: float) -> None:
        """
        Args:
            threads: most completions that are judged at a time.
            timeout_s: longest wait for the verdicts of one batch.
        """
        self._judge = judge
        self._threads = threads
        self._timeout_s = timeout_s
        self._pool = self._new_pool()

    async def judge(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict an item, in order; of those not reached in time, `timed_out`, without a reward."""
        keys, known = await asyncio.to_thread(self._judge.look_up, items)
        missing = {key: item for key, item in zip(keys, items, strict=True) if key not in known}
        found = await self._fresh(missing)
        await asyncio.to_thread(self._judge.keep, found)
        known |= found
        return [known[key] for key in keys]

    async def _fresh(self, missing: dict[str, Item]) -> dict[str, Verdict]:
        calls: dict[Future[list[Verdict]], list[str]] = {}
        for domain, verifier in self._judge.verifiers.items():
            own = [key for key, item in missing.items() if item[0] == domain]
            size = len(own) if getattr(verifier, "overlaps", False) else 1
            # A domain with nothing to judge has size 0, and a range needs a step.
            for start in range(0, len(own), size or 1):
                chunk = own[start : start + size]
                calls[self._pool.submit(_verify, verifier, [missing[key] for key in chunk])] = chunk
        waiting = {asyncio.wrap_future(call): keys for call, keys in calls.items()}
        if not waiting:
            return {}
        done, late = await asyncio.wait(waiting, timeout=self._timeout_s)
        found = {key: verdict for call in done for key, verdict in zip(waiting[call], call.result(), strict=True)}
        if late:
            too_late = Verdict(None, None, "timed_out", f"there was no verdict within {self._timeout_s:g} s")
            found |= {key: too_late for call in late for key in waiting[call]}
            self._leave_behind(late)
        return found

    def _leave_behind(self, late: set[asyncio.Future[list[Verdict]]]) -> None:
        """Threads cannot be killed: those that hang keep the old pool, and a new one goes on."""
        logger.warning("%d calls of a verifier gave no verdict within %g s", len(late), self._timeout_s)
        for call in late:
            call.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._new_pool()

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, thread_name_prefix="verdicts")

    def close(self) -> None:
        """Ends the threads that wait, the verifiers' workers, and the store."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._judge.close()


def _verify(verifier: Verifier, items: Sequence[Item]) -> list[Verdict]:
    return verifier.verify_many([(task, completion) for _, task, completion in items])
