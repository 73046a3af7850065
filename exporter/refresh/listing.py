"""List the keys of one account, again and again, and change its state with each outcome.

Knows no HTTP: it is given the client and the clocks. An error in reading is a failed refresh, and
is counted and logged here and nowhere else.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec

from exporter.cometapi.client import ATTEMPTS, CometClient
from exporter.credentials import Secret
from exporter.endpoint import ApiPath
from exporter.errors import ApiError, Reason, TimedOut
from exporter.key_filter import KeyFilter
from exporter.model import Listing, ListingProgress, sharing_memory
from exporter.refresh.key_changes import with_changes
from exporter.refresh.pollers import Access, of_same_account, pause
from exporter.refresh.schedule import next_delay
from exporter.refresh.store import Change, internal_error
from exporter.settings.load import Account
from exporter.snapshot import AccountState, Reading
from exporter.workers import decode

# A listing at the highest limits takes about this long; one that takes longer never ends.
REFRESH_DEADLINE_SECONDS = 3600.0
# How late a sign of life may come on a busy machine before an orchestrator restarts the process.
GRACE_SECONDS = 300.0


# Who starts an exporter sees that it works; a list at the rate limit's pace takes minutes.
PROGRESS_SECONDS = 30.0


class Liveness:
    """Whether an account's refreshes show signs of life in time.

    Mutable is when the next is due.
    """

    def __init__(self, account: Account, monotonic: Callable[[], float]) -> None:
        self._slack = ATTEMPTS * account.timeout + GRACE_SECONDS
        self._monotonic = monotonic
        self._due = 0.0
        self.extend(0)

    def extend(self, seconds: float) -> None:
        """Expect the next sign of life within *seconds*, one request with retries, and a grace."""
        self._due = self._monotonic() + seconds + self._slack

    @property
    def is_alive(self) -> bool:
        """Whether the next sign of life is not overdue."""
        return self._monotonic() <= self._due


class KeyLister:
    """Reads all keys of one account that the filters let through.

    Mutable are the *progress* of the listing, and when it was last told, in monotonic seconds.
    """

    def __init__(self, account: Account, client: CometClient, access: Access) -> None:
        self.filter = KeyFilter(account.keys_include, account.keys_exclude)
        self.progress = ListingProgress()
        self.liveness = Liveness(account, access.runtime.monotonic)
        self._client = client
        self._access = access
        self._told_at = float("inf")

    async def read(self, token: Secret) -> Reading:
        """Return a listing, read a second time where it lost suspiciously many keys.

        Raises ApiError.
        """
        began = self._access.runtime.moment()
        self._told_at = began.monotonic
        self.progress = ListingProgress()
        listing = await self._list(token)
        is_suspicious = await self._loses_too_many(listing)
        if is_suspicious:
            listing = await self._list(token)
            is_suspicious = await self._loses_too_many(listing)
        self._access.log.unread_of_keys(listing)
        self._access.log.excluded(listing)
        for path, rows in self._client.dialect.unread_rows.items():
            self._access.log.unread_rows(path, rows)
        return Reading(listing=listing, began=began, is_suspicious=is_suspicious)

    @property
    def clock_skew(self) -> float | None:
        """How many seconds this machine's clock is ahead of the gateway's."""
        return self._client.dialect.clock_skew

    @property
    def cached_seconds(self) -> float:
        """How long a cache had kept the last page of keys."""
        return self._client.dialect.cached_seconds

    async def _loses_too_many(self, listing: Listing) -> bool:
        state = self._access.store.state
        return await decode(lambda: state.loses_too_many(listing))

    async def _list(self, token: Secret) -> Listing:
        listing = await self._client.list_keys(token, progress=self._received)
        if not self.filter.is_set:
            return listing
        return await decode(lambda: self._filtered(listing))

    def _filtered(self, listing: Listing) -> Listing:
        taken = tuple(filter(self.filter.takes, listing.keys))
        excluded = {key.id for key in listing.keys}.difference(key.id for key in taken)
        return msgspec.structs.replace(listing, keys=taken, excluded=frozenset(excluded))

    def _received(self, progress: ListingProgress) -> None:
        self.liveness.extend(0)
        self.progress = progress

    def log_progress(self, *, is_waiting: bool) -> None:
        """Log every half minute how far the first listing is; later ones are quiet.

        *is_waiting* tells whether requests wait for the rate limit.
        """
        now = self._access.runtime.monotonic()
        is_due = now - self._told_at >= PROGRESS_SECONDS
        if is_due and not self._access.store.state.first_refresh_ended:
            self._told_at = now
            self._access.log.listing(self.progress, is_waiting=is_waiting)


class ListingLoop:
    """The refreshes of one account's keys.

    *read_balance* is called before a listing with another token: it tells whether there is another
    account behind it. *follow* changes what depends on the keys, together with them. Mutable are
    the failures in a row, the last token, and whether it is woken.
    """

    def __init__(
        self,
        lister: KeyLister,
        access: Access,
        *,
        read_balance: Callable[[], Awaitable[object]],
        follow: Change,
    ) -> None:
        self.failures = 0
        self._lister = lister
        self._access = access
        self._read_balance = read_balance
        self._follow = follow
        self._last_token: Secret | None = None
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """List at once, without waiting for the end of the pause."""
        self._woken.set()

    async def run(self) -> None:
        """Refresh again and again until cancelled."""
        while True:
            self._woken.clear()
            await self._sleep(await self.refresh())

    async def refresh(self, *, is_last: bool = False) -> float:
        """Do one refresh and publish its outcome; return the pause until the next, in seconds.

        With *is_last* the log announces no retry.
        """
        access = self._access
        before, began = access.store.state, access.runtime.moment()
        self._lister.liveness.extend(0)
        change, error = await self._try()
        took = access.runtime.monotonic() - began.monotonic
        delay = self._next_pause(before, took, error)
        crash = await access.store.change(self._with_schedule(change, delay))
        if crash is not None:
            error = crash
            delay = self._next_pause(before, took, error)
        after = access.store.state
        if error is None:
            access.log.succeeded(before, after, at=began.monotonic, seconds=took)
        else:
            announced = None if is_last else delay
            access.log.failed(before, error, at=began.monotonic, delay=announced)
        access.log.endpoints(after)
        access.store.count(after.outcome, took)
        return delay

    def _next_pause(self, state: AccountState, took: float, error: ApiError | None) -> float:
        self.failures = 0 if error is None else self.failures + 1
        return next_delay(
            state.interval_seconds,
            took=took,
            failures=self.failures,
            retry_after=None if error is None else error.retry_after,
            random=self._access.runtime.random(),
        )

    def _with_schedule(self, change: Change, delay: float) -> Change:
        """Return *change* together with what each refresh tells, however it ends."""
        next_refresh_at = self._access.runtime.clock() + delay
        clock_skew = self._lister.clock_skew
        cached_seconds = self._lister.cached_seconds

        def scheduled(state: AccountState) -> AccountState:
            return replace(
                change(state),
                next_refresh_at=next_refresh_at,
                clock_skew=clock_skew,
                cached_seconds=cached_seconds,
            )

        return scheduled

    async def _try(self) -> tuple[Change, ApiError | None]:
        try:
            async with asyncio.timeout(REFRESH_DEADLINE_SECONDS):
                return await self._read(), None
        except TimeoutError:
            error: ApiError = TimedOut("the refresh took longer than an hour")
        except ApiError as api_error:
            error = api_error
        except Exception as bug:  # noqa: BLE001 - no bug in reading may end the refreshes
            error = internal_error(bug)
            self._access.log.crashed(bug)
        return _failure(error.without_traceback(), self._access.runtime.clock()), error

    async def _read(self) -> Change:
        last_token = self._last_token
        self._last_token = None
        token = self._last_token = await self._access.token.read()
        if last_token is not None and token != last_token:
            await self._read_balance()
        before = self._access.store.state
        reading = await self._lister.read(token)
        reading = await decode(lambda: _sharing_memory(reading, before))
        return of_same_account(before, _success(reading, self._follow), ApiPath.KEYS)

    async def _sleep(self, delay: float) -> None:
        """Sleep *delay* seconds.

        After a rejected token wake as soon as another one is in its place.
        """
        interval = self._access.store.state.interval_seconds
        left = delay
        while left > 0 and not self._woken.is_set():
            nap = min(left, interval) if self.failures else left
            self._lister.liveness.extend(nap)
            await pause(nap, self._woken, self._access.runtime)
            left -= nap
            if await self._has_new_token():
                return

    async def _has_new_token(self) -> bool:
        # Older gateways reject a token by `success: false`.
        if self._access.store.state.failing not in {Reason.UNAUTHORIZED, Reason.REJECTED}:
            return False
        try:
            return await self._access.token.read() != self._last_token
        except ApiError:
            return False


def _sharing_memory(reading: Reading, state: AccountState) -> Reading:
    return replace(reading, listing=sharing_memory(reading.listing, state.keys))


def _success(reading: Reading, follow: Change) -> Change:
    def change(state: AccountState) -> AccountState:
        return follow(with_changes(state, state.succeeded(reading), reading))

    return change


def _failure(error: ApiError, at: float) -> Change:
    def change(state: AccountState) -> AccountState:
        return state.failed(error, at)

    return change


def without_excluded(state: AccountState, key_filter: KeyFilter) -> AccountState:
    """Leave out the keys that *key_filter* does not take, and what they used."""
    if not key_filter.is_set:
        return state
    excluded = {key.id for key in state.keys if not key_filter.takes(key)}
    return state.without_keys(excluded)
