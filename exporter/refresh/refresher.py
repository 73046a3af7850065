"""The life of one account: read the token, list the keys, publish what came, sleep, again.

Knows no HTTP, no metrics and no settings: it is given what it calls, the clock and the sleep among them. Trouble is
turned into a failed state and a count here and nowhere else, so nothing that a refresh meets ends the refreshes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from exporter.credentials import Secret, TokenSource
from exporter.errors import SUCCESS, ApiError, Reason, TimedOut
from exporter.model import ApiKey, Listing
from exporter.refresh.account_reader import AccountReader, Source
from exporter.refresh.report import Report
from exporter.refresh.schedule import Heartbeat, next_delay
from exporter.refresh.usage import Ledger
from exporter.snapshot import AccountState, Reading
from exporter.workers import Lane, decode

REFRESH_DEADLINE_SECONDS = 3600.0


class Reader(Source, Protocol):
    """What can read an account and its keys; raises ApiError."""

    @property
    def clock_skew(self) -> float | None:
        """How many seconds this machine's clock is ahead; None until an answer named the time."""

    async def list_keys(self, token: Secret, *, progress: Callable[[], None]) -> Listing:
        """Read every key, calling *progress* on the way."""


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


class Refresher:
    """The refreshes of one account.

    *publish* takes over the account's new state; *count* the outcome and the seconds of each refresh; *takes* says
    which keys are wanted; *usage_series* is how many series at most tell what models cost, 0 for none. Mutable are the
    state last published, the last token, and *on_page*, called for every page.
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
        takes: Callable[[ApiKey], bool] | None = None,
        usage_series: int = 0,
        usage_by_key: bool = False,
    ) -> None:
        self.state = state
        self.on_page: Callable[[], None] = lambda: None
        self.heartbeat = Heartbeat(world.monotonic)
        self._source = source
        self._reader = reader
        self._publish = publish
        self._count = count
        self._world = world
        self._takes = takes
        self._failures = 0
        self._last_token: Secret | None = None
        self._lane = Lane(f"token of {state.name}")
        self._report = Report(state.name)
        self._account = AccountReader(
            reader,
            report=self._report,
            clock=world.clock,
            monotonic=world.monotonic,
            keep_seconds=state.stale_after_seconds,
            ledger=Ledger(usage_series, self._key_ids if usage_by_key else None) if usage_series else None,
        )

    async def run(self, first_delay: float) -> None:
        """Begin after *first_delay* seconds and go on until cancelled."""
        self.heartbeat.promise(first_delay)
        await self._world.sleep(first_delay)
        try:
            while True:
                await self._sleep(await self.refresh())
        finally:
            await self._account.close()

    async def refresh(self, *, is_last: bool = False) -> float:
        """Do one refresh and publish its end; return the pause until the next, in seconds. Never raises an error."""
        before, began = self.state, self._world.monotonic()
        self.heartbeat.promise(0)
        outcome = await self._try()
        took = self._world.monotonic() - began
        self._failures = self._failures + 1 if outcome.failure else 0
        delay = next_delay(
            before.interval_seconds,
            took=took,
            failures=self._failures,
            retry_after=None if outcome.failure is None else outcome.failure.retry_after,
            chance=self._world.chance(),
        )
        if outcome.failure is not None:
            self._report.failed(before, outcome.failure, at=began, delay=None if is_last else delay)
        else:
            self._report.succeeded(before, outcome.state, seconds=took, complete=outcome.label == SUCCESS)
        self._count(before.name, outcome.label, took)
        await self._show(replace(outcome.state, next_refresh_at=self._world.clock() + delay))
        return delay

    async def read(self) -> Outcome:
        """Read the account once and say how it went; publishes nothing. Never raises an error."""
        outcome = await self._try()
        if outcome.failure is not None:
            self._report.failed(self.state, outcome.failure, at=self._world.monotonic(), delay=None)
        await self._account.close()
        return outcome

    async def withdraw_if_old(self) -> None:
        """Stop serving what was read longer than stale-after ago."""
        read = self.state.read
        if self.state.serves_data and read is not None:
            age = self._world.monotonic() - read
            if age >= self.state.stale_after_seconds:
                await self._show(self.state.withdrawn())

    async def _show(self, state: AccountState) -> None:
        self.state = state
        await self._publish(state)

    async def _try(self) -> Outcome:
        try:
            async with asyncio.timeout(REFRESH_DEADLINE_SECONDS):
                return await self._read()
        except TimeoutError:
            error: ApiError = TimedOut("the refresh took longer than an hour")
        except ApiError as api_error:
            error = api_error
        except Exception as bug:  # noqa: BLE001 - the one place where any error at all must not end the refreshes
            error = ApiError(f"a bug in the exporter: {type(bug).__name__}")
            self._report.crashed(bug)
        state = replace(self.state.failed(error, self._world.clock()), clock_skew=self._reader.clock_skew)
        return Outcome(state=state, label=error.reason.value, failure=error)

    async def _loses_too_many(self, listing: Listing) -> bool:
        return await decode(lambda: self.state.loses_too_many(listing, self._account.balance))

    async def _read(self) -> Outcome:
        began_at, began = self._world.clock(), self._world.monotonic()
        self._last_token = None
        token = self._last_token = await self._read_token()
        self._account.begin(token)
        listing = await self._list(token)
        await self._account.settle()
        if await self._loses_too_many(listing):
            listing = await self._list(token)
            if await self._loses_too_many(listing):
                listing = msgspec.structs.replace(listing, settled=False)
        self._report.skipped(listing)
        reading = Reading(
            listing=listing,
            began_at=began_at,
            began=began,
            balance=self._account.balance,
            facts=self._account.facts,
            usage=self._account.usage,
            clock_skew=self._reader.clock_skew,
        )
        label = SUCCESS if listing.settled else Reason.INCONSISTENT.value
        return Outcome(state=await decode(lambda: self.state.succeeded(reading)), label=label)

    async def _read_token(self) -> Secret:
        try:
            return await self._lane.run(self._source.read)
        except TimeoutError:
            raise TimedOut(f"the access token in {self._source.origin} could not be read in time") from None

    def _key_ids(self) -> set[int]:
        return {key.id for key in self.state.keys}

    async def _list(self, token: Secret) -> Listing:
        listing = await self._reader.list_keys(token, progress=self._progress)
        takes = self._takes
        if takes is None:
            return listing
        taken = await decode(lambda: tuple(filter(takes, listing.keys)))
        return msgspec.structs.replace(listing, keys=taken, excluded=len(listing.keys) - len(taken))

    def _progress(self) -> None:
        self.heartbeat.promise(0)
        self.on_page()

    async def _sleep(self, delay: float) -> None:
        """Sleep *delay* seconds; after a refused token wake as soon as another one is in its place.

        Older gateways refuse a token by `success: false`.
        """
        left = delay
        while left > 0:
            nap = min(left, self.state.interval_seconds) if self._failures else left
            self.heartbeat.promise(nap)
            await self._world.sleep(nap)
            left -= nap
            if self.state.failing in (Reason.UNAUTHORIZED, Reason.REJECTED) and await self._has_new_token():
                return

    async def _has_new_token(self) -> bool:
        try:
            return await self._read_token() != self._last_token
        except ApiError:
            return False
