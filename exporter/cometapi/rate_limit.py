"""Keep the requests to one host within its rate limit, over all accounts that share it.

Clock and sleep are arguments. Knows nothing of HTTP.

Any window of a minute holds at most the allowed number of requests, and all of them may come at
once, so that an ordinary refresh is not slowed. A leaky bucket cannot promise that: its burst comes
on top of its rate.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from exporter.errors import RateLimited

WINDOW_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 3600.0
LONGEST_WAIT_SECONDS = 5.0


class RateLimit:
    """The turns at one host.

    *clock* gives monotonic seconds. Turns are given in the order of asking, so no account starves
    another.
    """

    def __init__(
        self,
        per_minute: int,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._sent: deque[float] = deque(maxlen=per_minute)
        self._paused_until = float("-inf")
        self.clock = clock
        self._sleep = sleep
        self._queue = asyncio.Lock()

    async def acquire(self) -> None:
        """Wait until the next request may be sent, and count it as sent.

        Raises RateLimited, with what is left, where the host asked for a pause too long to wait
        for.
        """
        async with self._queue:
            while (left := self._seconds_left()) > 0:
                await self._sleep(left)
            self._sent.append(self.clock())

    @property
    def is_serving_a_queue(self) -> bool:
        """Whether requests wait for their turn while turns are given.

        A long wait is not a standstill.
        """
        return (
            self._queue.locked()
            and bool(self._sent)
            and self.clock() - self._sent[-1] <= 2 * WINDOW_SECONDS
        )

    def allow(self, per_minute: int) -> None:
        """Allow *per_minute* requests from now on; those of the last minute count."""
        self._sent = deque(self._sent, maxlen=per_minute)

    def pause(self, seconds: float) -> None:
        """Send nothing for *seconds*, as the host asked; more than an hour counts as an hour."""
        until = self.clock() + min(seconds, LONGEST_PAUSE_SECONDS)
        self._paused_until = max(self._paused_until, until)

    def _seconds_left(self) -> float:
        """How long the next request has to wait, as far as is known.

        A pause may be asked for during any wait.
        """
        now = self.clock()
        pause = self._paused_until - now
        if pause > LONGEST_WAIT_SECONDS:
            raise RateLimited(
                "the pause that the gateway asked for is not over yet", retry_after=pause
            )
        is_full = len(self._sent) == self._sent.maxlen
        return max(pause, self._sent[0] + WINDOW_SECONDS - now if is_full else 0.0)
