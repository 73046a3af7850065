"""Run the refreshes of one account: read the token, list the keys, publish what came, sleep, again.

Knows no HTTP, no metrics and no settings: it is given what it calls, the clock and the sleep among them. Trouble is
turned into a failed state and a count here and nowhere else, so nothing that a refresh meets ends the refreshes.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from exporter.credentials import Secret, TokenSource
from exporter.errors import SUCCESS, ApiError, RateLimited, Reason, TimedOut
from exporter.model import Balance, Listing
from exporter.schedule import Heartbeat, next_delay
from exporter.snapshot import AccountState

REFRESH_DEADLINE_SECONDS = 3600.0

log = structlog.get_logger()


class Reader(Protocol):
    """What can read an account; raises ApiError."""

    async def list_keys(self, token: Secret, *, progress: Callable[[], None]) -> Listing:
        """Read every key, calling *progress* on the way."""

    async def read_balance(self, token: Secret) -> Balance:
        """Read the account's own quota."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The world as the refreshes see it: unix seconds, monotonic seconds, a pause, a number between 0 and 1."""

    clock: Callable[[], float]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a refresh ended: *failure* None for success."""

    state: AccountState
    label: str
    failure: ApiError | None = None
    retry_after: float | None = None


class Refresher:
    """The refreshes of one account.

    *publish* takes over the account's new state; *count* the outcome and the seconds of each refresh. Mutable are the
    state last published and what has been said about trouble, so that it is said once. *on_page* may be set to hear
    of every page that has been read.
    """

    def __init__(
        self,
        state: AccountState,
        *,
        source: TokenSource,
        reader: Reader,
        publish: Callable[[AccountState], Awaitable[None]],
        count: Callable[[str, str, float], None],
        world: Surroundings,
    ) -> None:
        self.state = state
        self.on_page: Callable[[], None] = lambda: None
        self.heartbeat = Heartbeat(world.monotonic)
        self._source = source
        self._reader = reader
        self._publish = publish
        self._count = count
        self._world = world
        self._failures = 0
        self._last_token: Secret | None = None
        self._said_skipped: frozenset[int] = frozenset()
        self._said_balance: Reason | None = None
        self._log = log.bind(account=state.name)

    async def run(self, first_delay: float) -> None:
        """Begin after *first_delay* seconds and go on until cancelled."""
        self.heartbeat.promise(first_delay)
        await self._world.sleep(first_delay)
        while True:
            delay = await self.refresh()
            await self._sleep(delay)

    async def refresh(self) -> float:
        """Do one refresh and publish its end; return the pause until the next, in seconds. Never raises an error."""
        started = self._world.monotonic()
        self.heartbeat.promise(0)
        outcome = await self.read()
        took = self._world.monotonic() - started
        self._failures = self._failures + 1 if outcome.failure else 0
        delay = next_delay(
            self.state.interval_seconds,
            took=took,
            failures=self._failures,
            retry_after=outcome.retry_after,
            chance=self._world.chance(),
        )
        self._say(outcome, took, delay)
        self._count(self.state.name, outcome.label, took)
        self.state = replace(outcome.state, next_refresh_at=self._world.clock() + delay)
        await self._publish(self.state)
        return delay

    async def read(self) -> Outcome:
        """Read the account once, and say how it went; publishes nothing. Never raises an error."""
        try:
            async with asyncio.timeout(REFRESH_DEADLINE_SECONDS):
                return await self._read()
        except TimeoutError:
            error: ApiError = TimedOut("the refresh took longer than an hour")
        except ApiError as api_error:
            error = api_error
        except Exception as bug:  # noqa: BLE001 - the one place where any error at all must not end the refreshes
            error = ApiError(f"a mistake of the exporter's own: {type(bug).__name__}")
            self._log.error("refresh crashed (bug)", error=type(bug).__name__, at=_places(bug))
        retry_after = error.retry_after if isinstance(error, RateLimited) else None
        failed = self.state.failed(error.reason, self._world.clock())
        return Outcome(state=failed, label=error.reason.value, failure=error, retry_after=retry_after)

    async def _read(self) -> Outcome:
        self._last_token = None
        token = self._last_token = await asyncio.to_thread(self._source.read)
        balance_task = asyncio.create_task(self._balance(token))
        try:
            listing = await self._reader.list_keys(token, progress=self._progress)
            balance = await balance_task
        finally:
            balance_task.cancel()
            await asyncio.gather(balance_task, return_exceptions=True)
        self._say_skipped(listing)
        self._say_balance(balance)
        known = balance if isinstance(balance, Balance) else None
        state = await asyncio.to_thread(self.state.succeeded, listing, known, self._world.clock())
        return Outcome(state=state, label=SUCCESS if listing.settled else Reason.INCONSISTENT.value)

    def _progress(self) -> None:
        self.heartbeat.promise(0)
        self.on_page()

    async def _balance(self, token: Secret) -> Balance | ApiError:
        """Read the balance, or return why it cannot be had: that fails no refresh, for the keys matter more."""
        try:
            return await self._reader.read_balance(token)
        except ApiError as error:
            return error

    async def _sleep(self, delay: float) -> None:
        """Sleep *delay* seconds; after a refused token wake as soon as another one lies in its place.

        Older gateways refuse a token by `success: false`.
        """
        left = delay
        while left > 0:
            nap = min(left, self.state.interval_seconds) if self._failures else left
            self.heartbeat.promise(nap)
            await self._world.sleep(nap)
            left -= nap
            if self.state.failing in (Reason.UNAUTHORIZED, Reason.REJECTED) and await asyncio.to_thread(
                self._has_new_token
            ):
                return

    def _has_new_token(self) -> bool:
        try:
            return self._source.read() != self._last_token
        except ApiError:
            return False

    def _say(self, outcome: Outcome, took: float, delay: float) -> None:
        """Log how the refresh ended: loud when trouble starts, changes or ends, else quietly."""
        before, failure = self.state.failing, outcome.failure
        if failure is not None:
            say = self._log.debug if before is failure.reason else self._log.warning
            say("refresh failed", reason=outcome.label, detail=str(failure), retry_in_seconds=round(delay, 1))
            return
        facts = {
            "keys": len(outcome.state.keys),
            "seconds": round(took, 3),
            "complete": outcome.label == SUCCESS,
        }
        if before is not None:
            self._log.info("refresh recovered", **facts, previous_reason=before.value)
        elif not self.state.first_refresh_ended:
            self._log.info("refresh succeeded", **facts)
        else:
            self._log.debug("refresh succeeded", **facts)

    def _say_balance(self, balance: Balance | ApiError) -> None:
        """Log when the balance cannot be had any more, for another reason, or again."""
        reason = balance.reason if isinstance(balance, ApiError) else None
        if reason is not None and reason is not self._said_balance:
            self._log.warning("account balance unavailable", reason=reason.value, detail=str(balance))
        elif reason is None and self._said_balance is not None:
            self._log.info("account balance available again")
        self._said_balance = reason

    def _say_skipped(self, listing: Listing) -> None:
        news = listing.unreadable - self._said_skipped
        if news or (listing.nameless and not self.state.skipped):
            self._log.warning("some keys could not be parsed", key_ids=sorted(news)[:20], count=listing.skipped)
        self._said_skipped = listing.unreadable


def _places(bug: Exception) -> list[str]:
    """Where an error came from, innermost last, without its text, which may quote what was read."""
    return [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(bug.__traceback__)]
