"""The life of one account: read the token, list the keys, publish what came, sleep, again.

Knows no HTTP and no metrics: it is given the client, the clock and the sleep. Trouble with reading
is turned into a failed state and a count here and nowhere else, so nothing that is read ends the
refreshes. What *publish* raises does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec

from exporter.cometapi.client import ATTEMPTS, CometClient
from exporter.credentials import Secret
from exporter.errors import ApiError, Reason, TimedOut
from exporter.filters import key_filter
from exporter.model import ApiKey, Listing
from exporter.refresh.account_reader import AccountReader
from exporter.refresh.report import Report
from exporter.refresh.schedule import Surroundings, next_delay
from exporter.refresh.usage import Ledger
from exporter.settings.load import Account
from exporter.snapshot import AccountState, Reading
from exporter.workers import SingleFlight, decode

REFRESH_DEADLINE_SECONDS = 3600.0
GRACE_SECONDS = 300.0


class Refresher:
    """The refreshes of one account.

    *publish* takes over the account's new state; *count* the outcome and the seconds of each
    refresh. Mutable are the state last published, the last token and listing, when the next sign of
    life is due, and *on_page*, called for every page.
    """

    def __init__(
        self,
        account: Account,
        client: CometClient,
        *,
        publish: Callable[[AccountState], Awaitable[None]],
        count: Callable[[str, str, float], None],
        world: Surroundings,
    ) -> None:
        self.account = account
        self.state = AccountState(**_configured(account))
        self.on_page: Callable[[], None] = lambda: None
        self._client = client
        self._publish = publish
        self._count = count
        self._world = world
        self._failures = 0
        self._last_token: Secret | None = None
        self._listed: tuple[ApiKey, ...] = ()
        self._lane = SingleFlight(f"token of {account.name}")
        self._report = Report(account.name)
        by_key = account.usage == "key-model" and not account.keys_counts_only
        ledger = Ledger(account.usage_max_series)
        self._takes = key_filter(account.keys_include, account.keys_exclude)
        self._reader = AccountReader(
            client,
            report=self._report,
            world=world,
            keep_seconds=account.stale_after,
            ledger=None if account.usage == "off" else ledger,
            listed_keys=self._listed_keys if by_key else None,
        )
        self._task: asyncio.Task[None] | None = None
        self._promise(0)

    def take_over(self, before: "Refresher") -> None:
        """Show what *before* knew of wanted keys until the first refresh ends, if it is the same address and user."""
        old, new = before.account, self.account
        if (old.base_url, old.user_id) == (new.base_url, new.user_id):
            self.state = _filtered(replace(before.state, **_configured(new)), self._takes)

    def start(self, tasks: asyncio.TaskGroup, first_delay: float) -> None:
        """Begin to refresh, after *first_delay* seconds, until closed."""
        self._task = tasks.create_task(
            self.run(first_delay), name=f"refreshes of {self.account.name}"
        )

    async def close(self) -> None:
        """End the refreshes, and close the connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._reader.close()
        await self._client.aclose()

    async def run(self, first_delay: float) -> None:
        """Begin after *first_delay* seconds and go on until cancelled."""
        self._promise(first_delay)
        await self._world.sleep(first_delay)
        while True:
            await self._sleep(await self.refresh())

    async def refresh(self, *, is_last: bool = False) -> float:
        """Do one refresh and publish its end; return the pause until the next, in seconds.

        Raises what *publish* raises, and nothing else: trouble with reading is published. With
        *is_last* it waits for a slow balance and for usage by key, too, since no later refresh can
        show them.
        """
        before, began = self.state, self._world.monotonic()
        self._promise(0)
        state, failure = await self._try(is_last=is_last)
        took = self._world.monotonic() - began
        self._failures = self._failures + 1 if failure else 0
        delay = next_delay(
            self.account.interval,
            took=took,
            failures=self._failures,
            retry_after=None if failure is None else failure.retry_after,
            chance=self._world.chance(),
        )
        if failure is not None:
            self._report.failed(before, failure, at=began, delay=None if is_last else delay)
        else:
            self._report.succeeded(before, state, seconds=took)
        self._count(self.account.name, state.outcome, took)
        next_at = self._world.clock() + delay
        await self._show(
            replace(state, next_refresh_at=next_at, clock_skew=self._client.clock_skew)
        )
        return delay

    async def withdraw_if_old(self) -> None:
        """Stop serving what was read longer than stale-after ago."""
        read = self.state.read
        if self.state.serves_data and read is not None:
            age = self._world.monotonic() - read
            if age >= self.account.stale_after:
                await self._show(self.state.withdrawn())

    @property
    def is_alive(self) -> bool:
        """Whether each sign of life came before the moment that the last one promised."""
        return self._world.monotonic() <= self._due

    def _promise(self, seconds: float) -> None:
        """Give a sign of life; the next comes within *seconds*, the attempts of one request, and a grace."""
        self._due = (
            self._world.monotonic() + seconds + ATTEMPTS * self.account.timeout + GRACE_SECONDS
        )

    async def _show(self, state: AccountState) -> None:
        self.state = state
        await self._publish(state)

    async def _try(self, *, is_last: bool) -> tuple[AccountState, ApiError | None]:
        try:
            async with asyncio.timeout(REFRESH_DEADLINE_SECONDS):
                return await self._read(is_last=is_last), None
        except TimeoutError:
            error: ApiError = TimedOut("the refresh took longer than an hour")
        except ApiError as api_error:
            error = api_error
        except Exception as bug:  # noqa: BLE001 - the one place where any error at all must not end the refreshes
            error = ApiError(f"a bug in the exporter: {type(bug).__name__}")
            self._report.crashed(bug)
        return self.state.failed(error, self._world.clock()), error.bare()

    async def _loses_too_many(self, listing: Listing) -> bool:
        return await decode(lambda: self.state.loses_too_many(listing, self._reader.balance))

    async def _read(self, *, is_last: bool) -> AccountState:
        began_at, began = self._world.clock(), self._world.monotonic()
        self._last_token = None
        token = self._last_token = await self._read_token()
        if not is_last:
            self._reader.begin(token)
        listing = await self._list(token)
        if is_last:
            self._reader.begin(token)  # now that the keys are known whose usage is read
        await self._reader.settle(is_last=is_last)
        if await self._loses_too_many(listing):
            listing = await self._list(token)
            if await self._loses_too_many(listing):
                listing = msgspec.structs.replace(listing, is_complete=False)
        self._report.skipped(listing)
        await self._reader.relabel_usage()
        reading = Reading(
            listing=listing,
            began_at=began_at,
            began=began,
            balance=self._reader.balance,
            facts=self._reader.facts,
            usage=self._reader.usage,
        )
        return await decode(lambda: self.state.succeeded(reading))

    async def _read_token(self) -> Secret:
        try:
            return await self._lane.run(self.account.token.read)
        except TimeoutError:
            raise TimedOut(
                f"the access token in {self.account.token.origin} could not be read in time"
            ) from None

    def _listed_keys(self) -> dict[int, ApiKey]:
        """Return the keys as they were listed last, and those that a listing may have missed."""
        return {key.id: key for key in (*self.state.keys, *self._listed)}

    async def _list(self, token: Secret) -> Listing:
        listing = await self._client.list_keys(token, progress=self._progress)
        if self._takes is not None:
            taken = await decode(lambda: tuple(filter(self._takes, listing.keys)))
            listing = msgspec.structs.replace(
                listing, keys=taken, excluded=len(listing.keys) - len(taken)
            )
        self._listed = listing.keys
        return listing

    def _progress(self) -> None:
        self._promise(0)
        self.on_page()

    async def _sleep(self, delay: float) -> None:
        """Sleep *delay* seconds; after a refused token wake as soon as another one is in its place.

        Older gateways refuse a token by `success: false`.
        """
        left = delay
        while left > 0:
            nap = min(left, self.account.interval) if self._failures else left
            self._promise(nap)
            await self._world.sleep(nap)
            left -= nap
            if (
                self.state.failing in (Reason.UNAUTHORIZED, Reason.REJECTED)
                and await self._has_new_token()
            ):
                return

    async def _has_new_token(self) -> bool:
        try:
            return await self._read_token() != self._last_token
        except ApiError:
            return False


def _filtered(state: AccountState, takes: Callable[[ApiKey], bool] | None) -> AccountState:
    """Leave out the keys that *takes* does not take, and what they used."""
    gone = {key.id for key in state.keys if takes and not takes(key)}
    usage = state.usage
    if usage is not None:
        usage = msgspec.structs.replace(
            usage, rows=tuple(row for row in usage.rows if row.key_id not in gone)
        )
    keys = tuple(key for key in state.keys if key.id not in gone)
    return replace(state, keys=keys, usage=usage, excluded=state.excluded + len(gone))


def _configured(account: Account) -> dict[str, Any]:
    """Return what of an account's state the settings decide."""
    return {
        "name": account.name,
        "gateway": account.base_url,
        "interval_seconds": account.interval,
        "stale_after_seconds": account.stale_after,
        "configured_units_per_usd": account.quota_per_usd,
        "thresholds": account.thresholds,
        "counts_only": account.keys_counts_only,
    }
