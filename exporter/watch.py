"""Watch all accounts: one client and one refresher each, one current snapshot, one exposition made from it.

Talks to: the network, through the clients that it opens. Knows no server, no signal, no command line. Here alone are
the clock, the sleep and the chance chosen that the refreshes live by.
"""

import asyncio
import contextlib
import functools
import gc
import math
import random
import sys
import time
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

from exporter import __version__
from exporter.cometapi.client import CometClient, open_client
from exporter.cometapi.rate_limit import RateLimit
from exporter.exposition import Exposition
from exporter.refresher import Refresher, Surroundings
from exporter.schedule import first_delay
from exporter.settings import Account, Settings
from exporter.snapshot import AccountState, Snapshot
from exporter.telemetry import Telemetry, process_collectors

WITHDRAWAL_CHECK_SECONDS = 1.0
# How long the thread that renders may keep the interpreter while a request waits for it, several times over; Python's
# usual 5 ms let requests wait 50 ms and more at 100,000 keys, this about 20 ms, at no cost that could be measured.
SWITCH_SECONDS = 0.0002

WORLD = Surroundings(clock=time.time, monotonic=time.monotonic, sleep=asyncio.sleep, chance=random.random)


def ticking() -> float:
    """Return unix seconds from a clock that ticks eight times a second.

    Eighths are short in binary and in decimal, so a countdown from them costs a fifth less to write and to deflate.
    """
    return math.floor(WORLD.clock() * 8) / 8


class Watch:
    """The accounts under watch: their refreshers, the current snapshot and the exposition made from it."""

    def __init__(self, settings: Settings, clients: Mapping[str, CometClient], telemetry: Telemetry) -> None:
        states = [initial_state(account) for account in settings.accounts]
        self.snapshot = self._upcoming = Snapshot.of(states)
        self._publishing = asyncio.Lock()
        self.telemetry = telemetry
        self.clients = clients
        self.exposition = Exposition(
            current=lambda: self.snapshot,
            own=(*telemetry.collectors, *process_collectors()),
            clock=ticking,
        )
        self.refreshers = [
            Refresher(
                state,
                source=account.token,
                reader=clients[account.name],
                publish=self.publish,
                count=telemetry.refresh_ended,
                world=WORLD,
                takes=account.key_filter.takes if account.key_filter else None,
            )
            for account, state in zip(settings.accounts, states, strict=True)
        ]

    async def publish(self, state: AccountState) -> None:
        """Render one account's new state, and make it current when that is done.

        Until then scrapes go on with the old one. Accounts that end their refreshes meanwhile are rendered together.
        """
        self._upcoming = self._upcoming.with_account(state)
        async with self._publishing:
            upcoming = self._upcoming
            if upcoming is not self.snapshot:
                await self.exposition.renew(upcoming)
                self.snapshot = upcoming

    async def _withdraw(self) -> None:
        """Look every second for accounts whose data grew too old."""
        while True:
            await WORLD.sleep(WITHDRAWAL_CHECK_SECONDS)
            for refresher in self.refreshers:
                await refresher.withdraw_if_old()

    async def run_refreshes(self) -> None:
        """Run every account's refreshes until cancelled."""
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.freeze()  # what the start has made stays: looking through it again and again would stop all for 15 ms
        async with asyncio.TaskGroup() as group:
            group.create_task(self._withdraw(), name="withdrawal")
            for position, refresher in enumerate(self.refreshers):
                delay = first_delay(position, len(self.refreshers), refresher.state.interval_seconds)
                group.create_task(refresher.run(delay), name=f"refreshes of {refresher.state.name}")

    @property
    def is_alive(self) -> bool:
        """Whether every account's refreshes have shown a sign of life in time."""
        return all(refresher.heartbeat.is_alive for refresher in self.refreshers)


def initial_state(account: Account) -> AccountState:
    """Return what is known of *account* before its first refresh."""
    return AccountState(
        name=account.name,
        interval_seconds=account.interval,
        stale_after_seconds=account.stale_after,
        configured_units_per_usd=account.quota_per_usd,
        gateway=account.base_url,
        thresholds=account.thresholds,
        counts_only=account.counts_only,
    )


@contextlib.asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Watch]:
    """Open the clients of all accounts and give the watch over them; nothing runs yet."""
    telemetry = Telemetry(version=__version__)
    telemetry.configured(
        shards=settings.shards_total,
        index=settings.shard_index,
        accounts=len(settings.accounts),
        at=WORLD.clock(),
    )
    async with contextlib.AsyncExitStack() as stack:
        rate_limits: dict[str, RateLimit] = {}
        clients = {}
        for account in settings.accounts:
            telemetry.prepare(account.name)
            host = urlsplit(account.base_url).netloc.lower()
            if host not in rate_limits:
                rate_limits[host] = RateLimit(
                    settings.max_requests_per_minute, clock=WORLD.monotonic, sleep=WORLD.sleep
                )
            clients[account.name] = await stack.enter_async_context(
                open_client(
                    base_url=account.base_url,
                    user_id=account.user_id,
                    ca_file=account.ca_file,
                    timeout=account.timeout,
                    concurrency=account.concurrency,
                    max_keys=account.max_keys,
                    rate_limit=rate_limits[host],
                    on_request=functools.partial(telemetry.request_sent, account.name),
                )
            )
        yield Watch(settings, clients, telemetry)
