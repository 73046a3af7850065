"""Watch all accounts: one client and one refresher each, one current snapshot, one exposition made from it.

Talks to: the network, by the clients that it opens. Knows no server, no signal, no command line. Here alone are the
clock, the sleep and the chance chosen that the refreshes live by.
"""

import asyncio
import contextlib
import functools
import gc
import math
import random
import ssl
import sys
import time
from collections.abc import AsyncIterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import stamina.instrumentation

from exporter import __version__
from exporter.cometapi.client import CometClient
from exporter.cometapi.connections import Connections
from exporter.cometapi.pace import Pace
from exporter.errors import StartError
from exporter.exposition import Exposition
from exporter.parsers import is_loopback
from exporter.refresher import Refresher, Surroundings
from exporter.schedule import first_delay
from exporter.settings import Account, Settings
from exporter.snapshot import AccountState, Snapshot
from exporter.telemetry import Telemetry, process_collectors

KEEP_CONNECTIONS_SECONDS = 120.0
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

    async def run_refreshes(self) -> None:
        """Run every account's refreshes until cancelled."""
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.freeze()  # what the start has made stays: looking through it again and again would stop all for 15 ms
        async with asyncio.TaskGroup() as group:
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
        quota_units_per_usd=account.quota_per_usd,
    )


@contextlib.asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Watch]:
    """Open the clients of all accounts and give the watch over them; nothing runs yet."""
    stamina.instrumentation.set_on_retry_hooks([])
    telemetry = Telemetry(version=__version__)
    async with contextlib.AsyncExitStack() as stack:
        paces: dict[str, Pace] = {}
        trust: dict[Path | None, ssl.SSLContext] = {}
        clients = {}
        for account in settings.accounts:
            telemetry.prepare(account.name)
            host = urlsplit(account.base_url).netloc.lower()
            if host not in paces:
                paces[host] = Pace(settings.max_requests_per_minute, clock=WORLD.monotonic, sleep=WORLD.sleep)
            if account.ca_file not in trust:
                trust[account.ca_file] = _trust(account.ca_file)
            connections = _connections(account, trust[account.ca_file])
            await stack.enter_async_context(connections)
            clients[account.name] = _comet_client(account, connections, paces[host], telemetry)
        yield Watch(settings, clients, telemetry)


def _connections(account: Account, trust: ssl.SSLContext) -> Connections:
    try:
        return Connections(functools.partial(_http_client, account, trust))
    except (ImportError, ValueError):
        raise StartError(
            "the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names cannot be used: expected http:// or https:// "
            "and a host (or set NO_PROXY)"
        ) from None


def _comet_client(account: Account, connections: Connections, pace: Pace, telemetry: Telemetry) -> CometClient:
    return CometClient(
        connections,
        user_id=account.user_id,
        pace=pace,
        timeout=account.timeout,
        concurrency=account.concurrency,
        on_request=lambda endpoint, code: telemetry.request_sent(account.name, endpoint, code),
    )


def _http_client(account: Account, trust: ssl.SSLContext) -> httpx.AsyncClient:
    """Make the client of one account: no redirects, no cookies, connections kept from refresh to refresh."""
    most = account.concurrency + 1
    return httpx.AsyncClient(
        base_url=account.base_url,
        verify=trust,
        follow_redirects=False,
        trust_env=not is_loopback(account.base_url),  # a proxy has no business between this machine and itself
        timeout=None,  # noqa: S113 - each whole exchange has a deadline of its own
        limits=httpx.Limits(
            max_connections=most, max_keepalive_connections=most, keepalive_expiry=KEEP_CONNECTIONS_SECONDS
        ),
        headers={"User-Agent": f"cometapi-exporter/{__version__}", "Accept": "application/json"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is not None:
        return ssl.create_default_context(cafile=str(ca_file))
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise StartError(f"SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error.strerror or error}") from None
