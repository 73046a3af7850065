"""Limit how many expensive responses are written at a time, with a short queue behind them.

Talks to: the event loop alone. Knows neither requests nor responses.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

# One: expensive responses are bound by the processor, so a second one would only slow the first.
AT_ONCE = 1
# More than the browsers and scripts of one team; the last of them waits for a few seconds.
QUEUE = 16

T = TypeVar("T")


class Busy(Exception):
    """The queue is full."""


class ConcurrencyLimiter:
    """At most *at_once* pieces of work at a time, and at most *queue* waiting."""

    def __init__(self, *, at_once: int = AT_ONCE, queue: int = QUEUE) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._queue = queue
        self._waiting = 0

    async def run(self, work: Callable[[], Awaitable[T]], *, patient: bool = False) -> T:
        """Start *work* as soon as it may run, and return its result.

        Raises Busy if the queue is full, unless *patient*. If cancelled while waiting, *work* never
        starts. If cancelled later, *work* continues and counts until it has ended: a thread cannot
        be stopped, and a second one beside it would exceed the limit.
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
        # Retrieve the exception: the client may have left, and asyncio would log it.
        if not task.cancelled():
            task.exception()
