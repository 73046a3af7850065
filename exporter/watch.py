"""Monitor all accounts.

A refresher for each, one current snapshot, one exposition rendered from it.

Talks to: the network, through the clients that it opens, and the configuration file. Knows no
server, no signal, no command line; clocks, sleep and random source are arguments.
"""

import asyncio
import functools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import structlog

from exporter import descriptors
from exporter.cometapi.client import PAGE_SIZE, CometClient
from exporter.cometapi.rate_limit import RateLimit
from exporter.exposition.scrape import Exposition
from exporter.exposition.telemetry import Telemetry, process_collectors
from exporter.model import ListingProgress
from exporter.refresh.refresher import Refresher
from exporter.refresh.schedule import Runtime, first_delay
from exporter.settings.changes import compare
from exporter.settings.load import Account, Settings
from exporter.snapshot import AccountState, Snapshot

CHECK_SECONDS = 1.0
"""How often to look for data that grew too old and for keys that expired."""
REQUESTS_A_REFRESH = 2
"""At the least: one page of keys and the balance."""

log = structlog.get_logger()


class Watch:
    """The monitored accounts, the current snapshot and the exposition rendered from it.

    `Watch.open` makes one. Without *is_scraped* nothing is rendered. Mutable are the settings in
    force, the refreshers by account, the snapshot, and whether the refreshes run.
    """

    def __init__(
        self, settings: Settings, *, runtime: Runtime, telemetry: Telemetry, is_scraped: bool
    ) -> None:
        self.settings = settings
        self.runtime = runtime
        self.telemetry = telemetry
        self._is_scraped = is_scraped
        self.exposition = Exposition(
            telemetry=telemetry,
            process=process_collectors(),
            # A countdown from whole seconds is written in two thirds of the time.
            clock=lambda: math.floor(runtime.clock()),
        )
        self.refreshers: dict[str, Refresher] = {}
        self.snapshot = Snapshot()
        self._hosts = Hosts(runtime)
        self._most_connections = descriptors.for_gateways()
        self._free_connections = asyncio.Semaphore(self._most_connections)
        self._running: asyncio.TaskGroup | None = None

    @classmethod
    async def open(
        cls,
        settings: Settings,
        *,
        runtime: Runtime,
        telemetry: Telemetry,
        is_scraped: bool = True,
    ) -> "Watch":
        """Return the watch of *settings*; nothing runs yet."""
        watch = cls(settings, runtime=runtime, telemetry=telemetry, is_scraped=is_scraped)
        opened = watch._open(settings.accounts, settings)
        await watch._show(opened, settings)
        return watch

    async def apply(self, settings: Settings) -> None:
        """Monitor the accounts of *settings* from now on.

        The caller applies one at a time. Nothing else waits for it: a refresher that is closed
        publishes nothing, so an account that is removed is not shown again.

        What did not change goes on undisturbed. A changed account goes on with what is remembered
        of it, unless its address or its user changed. A removed one vanishes.
        """
        changes = compare(self.settings, settings)
        opened = self._open((*changes.changed, *changes.added), settings)
        for name in changes.removed:
            await self.refreshers[name].close()
        for account in changes.changed:
            before = self.refreshers[account.name]
            await before.close()
            opened[account.name].take_over(before)
        await self._show(opened, settings)
        for name in changes.removed:
            self.telemetry.forget(name)
        self._start(list(opened.values()))

    def _open(self, accounts: Iterable[Account], settings: Settings) -> dict[str, Refresher]:
        return {account.name: self._refresher(account, settings) for account in accounts}

    def _refresher(self, account: Account, settings: Settings) -> Refresher:
        client = CometClient(
            base_url=account.base_url,
            user_id=account.user_id,
            ca_file=account.ca_file,
            proxy=account.proxy,
            auth_scheme=account.auth_scheme,
            headers_file=account.headers_file,
            timeout=account.timeout,
            concurrency=account.concurrency,
            max_keys=account.keys_max,
            rate_limit=self._hosts.limit(account, settings.max_requests_per_minute),
            on_request=functools.partial(self.telemetry.request_sent, account.name),
            free_connections=self._free_connections,
        )
        return Refresher(
            account,
            client,
            publish=self.publish,
            count=self.telemetry.refresh_ended,
            runtime=self.runtime,
            in_file=settings.config_file is not None,
        )

    async def _show(self, opened: dict[str, Refresher], settings: Settings) -> None:
        """Put *settings* in force, with the refreshers *opened* beside those that go on."""
        for name in opened:
            self.telemetry.prepare(name)
        self.settings = settings
        known = {**self.refreshers, **opened}
        self.refreshers = {account.name: known[account.name] for account in settings.accounts}
        self._hosts.allow(
            settings, {name: len(each.state.keys) for name, each in self.refreshers.items()}
        )
        self._share_connections()
        for refresher in opened.values():
            await refresher.access.store.show()
        self.snapshot = Snapshot.of(each.state for each in self.refreshers.values())
        self.exposition.keep(self.refreshers)
        self.telemetry.configured(
            shards=settings.shards_total,
            index=settings.shards_index,
            accounts=len(settings.accounts),
            at=self.runtime.clock(),
        )

    def _share_connections(self) -> None:
        share = self._most_connections // max(1, len(self.refreshers))
        for refresher in self.refreshers.values():
            refresher.client.share_connections(share)

    async def close(self) -> None:
        """End the monitoring of every account."""
        for refresher in self.refreshers.values():
            await refresher.close()

    async def publish(self, state: AccountState) -> None:
        """Render one account's new state, and make it current when that is done.

        Scrapes go on with the old one.

        What cannot be rendered is made current as well, so that the status page says why.
        """
        try:
            if self._is_scraped:
                await self.exposition.renew(state)
        finally:
            self.snapshot = self.snapshot.with_account(state)

    async def refresh_once(self) -> None:
        """Read every account once."""
        await asyncio.gather(*(each.read_once() for each in self.refreshers.values()))

    async def run_refreshes(self) -> None:
        """Run every account's refreshes until cancelled."""
        async with asyncio.TaskGroup() as running:
            self._running = running
            self._start(list(self.refreshers.values()))
            while True:
                await self.runtime.sleep(CHECK_SECONDS)
                await self.age()
                self._log_progress()

    async def age(self) -> None:
        """Stop showing what is too old, and render keys that expired."""
        for refresher in list(self.refreshers.values()):
            await refresher.access.store.age()
        try:
            await self.exposition.catch_up()
        except Exception as bug:  # noqa: BLE001 - a bug in rendering may not end the process
            # Without its text, which may quote what was read.
            log.error("rendering crashed (bug)", error=type(bug).__name__)  # noqa: TRY400

    def _start(self, refreshers: list[Refresher]) -> None:
        if self._running is None:
            return
        for position, refresher in enumerate(refreshers):
            delay = first_delay(position, len(refreshers), refresher.account.interval)
            refresher.start(self._running, delay)

    def _log_progress(self) -> None:
        for refresher in self.refreshers.values():
            is_waiting = self._hosts.is_serving_a_queue(refresher.account)
            refresher.lister.log_progress(is_waiting=is_waiting)

    @property
    def progress(self) -> ListingProgress:
        """How far the listings of all accounts together are."""
        refreshers = self.refreshers.values()
        each = [refresher.lister.progress for refresher in refreshers]
        expected = [progress.expected for progress in each if progress.expected is not None]
        return ListingProgress(
            pages=sum(progress.pages for progress in each),
            expected=sum(expected) if len(expected) == len(each) else None,
            is_waiting=any(self._hosts.is_serving_a_queue(each.account) for each in refreshers),
        )

    @property
    def is_alive(self) -> bool:
        """Whether each account's refreshes showed life in time, or wait for the rate limit."""
        return all(
            refresher.is_alive or self._hosts.is_serving_a_queue(refresher.account)
            for refresher in self.refreshers.values()
        )


class Hosts:
    """The rate limit of each gateway host, shared by its accounts; mutable."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._limits: dict[str, RateLimit] = {}

    def limit(self, account: Account, per_minute: int) -> RateLimit:
        """Return the rate limit of the host of *account*."""
        host = host_of(account)
        if host not in self._limits:
            self._limits[host] = RateLimit(
                per_minute, clock=self._runtime.monotonic, sleep=self._runtime.sleep
            )
        return self._limits[host]

    def allow(self, settings: Settings, keys: Mapping[str, int]) -> None:
        """Limit the requests to each host as *settings* say, and warn where its accounts need more.

        *keys* are the numbers of keys of the accounts that were read already.
        """
        allowed = settings.max_requests_per_minute
        needed: dict[str, float] = defaultdict(float)
        for account in settings.accounts:
            requests = REQUESTS_A_REFRESH + keys.get(account.name, 0) // PAGE_SIZE
            needed[host_of(account)] += requests * 60 / account.interval
        for host, per_minute in needed.items():
            self._limits[host].allow(allowed)
            if per_minute > allowed:
                log.warning(
                    "refreshes will take longer than their interval: "
                    "too many accounts or keys for the rate limit",
                    host=host,
                    requests_per_minute_needed=round(per_minute, 1),
                    requests_per_minute_allowed=allowed,
                )

    def is_serving_a_queue(self, account: Account) -> bool:
        """Whether requests to the host of *account* wait their turn for the rate limit."""
        return self._limits[host_of(account)].is_serving_a_queue


def host_of(account: Account) -> str:
    """Return the host and the port of the gateway of *account*."""
    return urlsplit(account.base_url).netloc.lower()
