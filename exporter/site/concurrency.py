"""ConcurrencyLimiter what expensive responses cost together: N at a time, a short queue behind them, and nothing beyond it.

Talks to: the event loop alone. Knows neither requests nor what is answered.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

AT_ONCE, QUEUE = 1, 16

T = TypeVar("T")


class Busy(Exception):
    """The queue is full."""


class ConcurrencyLimiter:
    """A limit on work that is under way; mutable are the free places and the length of the queue."""

    def __init__(self, *, at_once: int = AT_ONCE, queue: int = QUEUE) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._queue = queue
        self._waiting = 0

    async def run(self, work: Callable[[], Awaitable[T]], *, patient: bool = False) -> T:
        """Do *work* when its turn comes; raises Busy where the queue is full, unless *patient*.

        Cancelled while it waits, it never begins. Cancelled later, it keeps its place until it has
        ended: a thread cannot be stopped, and a second one beside it would break the bound.
        """
        if self._free.locked() and self._waiting >= self._queue and not patient:
            raise Busy
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        task = asyncio.ensure_future(work())
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: "asyncio.Future[T]") -> None:
        self._free.release()
        if not task.cancelled():
            task.exception()  # retrieved: its client may have left
