"""Compute the pauses between refreshes, and define the clocks that tests replace.

Pure: numbers in, seconds out. `Runtime` holds functions for others; nothing here sleeps.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from exporter.endpoint import Moment

# A gateway that recovers is noticed within ten minutes, even if the interval is long.
LONGEST_BACKOFF_INTERVALS = 10
LONGEST_BACKOFF_SECONDS = 600.0
LONGEST_RETRY_AFTER_SECONDS = 3600.0
# Exporters that start together drift apart within minutes, and no interval is noticeably longer.
JITTER = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Clock functions, sleep and random source, injected for tests.

    *clock* returns unix seconds, *monotonic* monotonic ones, *random* a number between 0 and 1.
    """

    clock: Callable[[], float]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]

    def moment(self) -> Moment:
        """Return the present moment by both clocks."""
        return Moment(self.clock(), self.monotonic())


def next_delay(
    interval: float, *, took: float, failures: int, retry_after: float | None, random: float
) -> float:
    """Choose the pause between the end of a refresh and the next, in seconds.

    Refreshes begin an *interval* apart, less what the last one *took*, but a tenth of the interval
    is always left for others. *failures* running double the interval up to ten times it, but to ten
    minutes at most where the interval is not longer itself. A longer *retry_after* of the server
    wins, an absurd one is capped at an hour. *random*, between 0 and 1, spreads exporters by five
    per cent either way.
    """
    factor = min(2.0 ** max(0, min(failures, 10) - 1), LONGEST_BACKOFF_INTERVALS)
    spread = 1 + JITTER * (2 * random - 1)
    backoff = min(interval * factor, max(interval, LONGEST_BACKOFF_SECONDS))
    delay = max(backoff * spread - took, interval / 10)
    if retry_after is not None:
        delay = max(delay, min(retry_after, LONGEST_RETRY_AFTER_SECONDS))
    return delay


def first_delay(position: int, accounts: int, interval: float) -> float:
    """Stagger the first refreshes.

    Account *position* (from 0) of *accounts* waits this many seconds.

    All start within a tenth of the interval, and two seconds at most, so that readiness does not
    wait.
    """
    return position * min(interval / 10, 2.0) / accounts
