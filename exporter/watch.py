"""Monitor all accounts: one client and one refresher each, one current snapshot, one exposition rendered from it.

Talks to: the network, through the clients that it opens. Knows no server, no signal, no command line; clock, sleep and
chance are arguments. Start and reload are the same step: the accounts become those of the settings.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import structlog

from exporter.cometapi.client import CometClient, open_client
from exporter.cometapi.rate_limit import RateLimit
from exporter.exposition.scrape import Exposition
from exporter.exposition.telemetry import Telemetry, process_collectors
from exporter.filters import key_filter
from exporter.refresh.refresher import Refresher, Surroundings
from exporter.refresh.schedule import first_delay
from exporter.settings.load import Account, Settings
from exporter.snapshot import AccountState, Snapshot

CHECK_SECONDS = 1.0
"""How often to look for data that grew too old and for keys that expired."""
CONFIGURED = ("interval_seconds", "stale_after_seconds", "configured_units_per_usd", "thresholds", "counts_only")
"""What of an account's state the settings decide."""
REQUESTS_A_REFRESH = 2
"""At the least: one page of keys and the balance."""

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Watched:
    """One account that is monitored, and what has to be closed when it no longer is."""

    account: Account
    client: CometClient
    refresher: Refresher
    resources: contextlib.AsyncExitStack
    task: asyncio.Task[None] | None = None

    def take_over(self, before: "Watched") -> None:
        """Show what *before* knew until the first refresh ends, if it is the same account by address and user."""
        old, new = before.account, self.account
        if (old.base_url, old.user_id) == (new.base_url, new.user_id):
            configured = {name: getattr(self.refresher.state, name) for name in CONFIGURED}
            self.refresher.state = replace(before.refresher.state, **configured)

    async def close(self) -> None:
        """End its refreshes and close its connections."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.resources.aclose()


class Watch:
    """The monitored accounts, the current snapshot and the exposition rendered from it."""

    def __init__(self, *, world: Surroundings, telemetry: Telemetry, clock: Callable[[], float]) -> None:
        self.snapshot = Snapshot()
        self.accounts: dict[str, Watched] = {}
        self.telemetry = telemetry
        self.exposition = Exposition(telemetry=telemetry, process=process_collectors(), clock=clock)
        self._world = world
        self._rate_limits: dict[str, RateLimit] = {}
        self._running: asyncio.TaskGroup | None = None

    async def apply(self, settings: Settings) -> None:
        """Monitor the accounts of *settings* from now on.

        What did not change goes on undisturbed. A changed account begins again, and shows its last keys until its first
        refresh ends, unless its address or its user changed. A removed one vanishes.
        """
        before = self.accounts
        for rate_limit in self._rate_limits.values():
            rate_limit.allow(settings.max_requests_per_minute)
        kept = {a.name for a in settings.accounts if a.name in before and before[a.name].account == a}
        opened = await self._open_all([a for a in settings.accounts if a.name not in kept], settings)
        for name in before.keys() - kept:
            await before[name].close()
            if name in opened:
                opened[name].take_over(before[name])
        self.accounts = {a.name: opened.get(a.name) or before[a.name] for a in settings.accounts}
        await self.exposition.renew(*(watched.refresher.state for watched in opened.values()))
        self.snapshot = Snapshot.of(
            opened[name].refresher.state if name in opened else self.snapshot.accounts[name] for name in self.accounts
        )
        self.exposition.keep(self.accounts)
        for name in before.keys() - self.accounts.keys():
            self.telemetry.forget(name)
        self._start(list(opened.values()))
        self.telemetry.configured(
            shards=settings.shards_total,
            index=settings.shards_index,
            accounts=len(settings.accounts),
            at=self._world.clock(),
        )
        self._warn_of_overload(settings)

    async def close(self) -> None:
        """End the monitoring of every account."""
        for watched in self.accounts.values():
            await watched.close()

    async def publish(self, state: AccountState) -> None:
        """Render one account's new state, and make it current when that is done; scrapes go on with the old one."""
        await self.exposition.renew(state)
        self.snapshot = self.snapshot.with_account(state)

    async def run_refreshes(self) -> None:
        """Run every account's refreshes until cancelled."""
        async with asyncio.TaskGroup() as self._running:
            self._start(list(self.accounts.values()))
            while True:
                await self._world.sleep(CHECK_SECONDS)
                for watched in list(self.accounts.values()):
                    await watched.refresher.withdraw_if_old()
                await self.exposition.catch_up()

    def _start(self, accounts: list[Watched]) -> None:
        if self._running is None:
            return
        for position, watched in enumerate(accounts):
            delay = first_delay(position, len(accounts), watched.account.interval)
            run = watched.refresher.run(delay)
            watched.task = self._running.create_task(run, name=f"refreshes of {watched.account.name}")

    @property
    def refreshers(self) -> list[Refresher]:
        """The refreshers of all accounts, in the order of the settings."""
        return [watched.refresher for watched in self.accounts.values()]

    @property
    def is_alive(self) -> bool:
        """Whether every account's refreshes have shown a sign of life in time, or wait for turns that are given."""
        return all(
            watched.refresher.heartbeat.is_alive or self._rate_limit_of(watched.account).is_serving_a_queue
            for watched in self.accounts.values()
        )

    async def _open_all(self, accounts: Iterable[Account], settings: Settings) -> dict[str, Watched]:
        opened: dict[str, Watched] = {}
        try:
            for account in accounts:
                opened[account.name] = await self._open(account, settings.max_requests_per_minute)
        except BaseException:
            for watched in opened.values():
                await watched.close()
            raise
        return opened

    async def _open(self, account: Account, per_minute: int) -> Watched:
        self.telemetry.prepare(account.name)
        resources = contextlib.AsyncExitStack()
        client = await resources.enter_async_context(
            open_client(
                base_url=account.base_url,
                user_id=account.user_id,
                ca_file=account.ca_file,
                timeout=account.timeout,
                concurrency=account.concurrency,
                max_keys=account.keys_max,
                rate_limit=self._rate_limit_of(account, per_minute),
                on_request=functools.partial(self.telemetry.request_sent, account.name),
            )
        )
        refresher = Refresher(
            initial_state(account),
            source=account.token,
            reader=client,
            publish=self.publish,
            count=self.telemetry.refresh_ended,
            world=self._world,
            takes=key_filter(account.keys_include, account.keys_exclude),
            usage_series=0 if account.usage == "off" else account.usage_max_series,
            usage_by_key=account.usage == "key-model" and not account.keys_counts_only,
        )
        return Watched(account=account, client=client, refresher=refresher, resources=resources)

    def _rate_limit_of(self, account: Account, per_minute: int = 1) -> RateLimit:
        host = urlsplit(account.base_url).netloc.lower()
        if host not in self._rate_limits:
            self._rate_limits[host] = RateLimit(per_minute, clock=self._world.monotonic, sleep=self._world.sleep)
        return self._rate_limits[host]

    def _warn_of_overload(self, settings: Settings) -> None:
        for host, needed in requests_a_minute(settings.accounts).items():
            if needed > settings.max_requests_per_minute:
                log.warning(
                    "refreshes will take longer than their interval: too many accounts for the rate limit",
                    host=host,
                    requests_per_minute_needed=round(needed, 1),
                    requests_per_minute_allowed=settings.max_requests_per_minute,
                )


def requests_a_minute(accounts: Iterable[Account]) -> dict[str, float]:
    """Return by host how many requests a minute the refreshes of *accounts* need at the least."""
    needed: dict[str, float] = {}
    for account in accounts:
        host = urlsplit(account.base_url).netloc.lower()
        needed[host] = needed.get(host, 0.0) + REQUESTS_A_REFRESH * 60 / account.interval
    return needed


def initial_state(account: Account) -> AccountState:
    """Return what is known of *account* before its first refresh."""
    return AccountState(
        name=account.name,
        interval_seconds=account.interval,
        stale_after_seconds=account.stale_after,
        configured_units_per_usd=account.quota_per_usd,
        gateway=account.base_url,
        thresholds=account.thresholds,
        counts_only=account.keys_counts_only,
    )
