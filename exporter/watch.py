"""Monitor all accounts: a refresher for each, one current snapshot, one exposition rendered from it.

Talks to: the network, through the clients that it opens, and the file of accounts. Knows no server,
no signal, no command line; clock, sleep and chance are arguments. Start and reload are the same
step: the accounts become those of the settings.
"""

import asyncio
import contextlib
import functools
import math
from collections import defaultdict
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog

from exporter.cometapi.client import CometClient
from exporter.cometapi.rate_limit import RateLimit
from exporter.errors import SettingsError, StartError
from exporter.exposition.scrape import Exposition
from exporter.exposition.telemetry import Telemetry, process_collectors
from exporter.files import Identity, identity
from exporter.refresh.refresher import Refresher
from exporter.refresh.schedule import Surroundings, first_delay
from exporter.settings.load import Account, Settings
from exporter.snapshot import AccountState, Snapshot
from exporter.workers import SingleFlight

CHECK_SECONDS = 1.0
"""How often to look for data that grew too old and for keys that expired."""
REQUESTS_A_REFRESH = 2
"""At the least: one page of keys and the balance."""

log = structlog.get_logger()


class Watch:
    """The monitored accounts, the current snapshot and the exposition rendered from it; *load* reads the settings."""

    def __init__(
        self, *, load: Callable[[], Settings], world: Surroundings, telemetry: Telemetry
    ) -> None:
        self.snapshot = Snapshot()
        self.accounts: dict[str, Refresher] = {}
        self.telemetry = telemetry
        self.exposition = Exposition(
            telemetry=telemetry,
            process=process_collectors(),
            clock=lambda: math.floor(
                world.clock()
            ),  # a countdown from whole seconds costs a third less
        )
        self._load = load
        self._world = world
        self._turn = asyncio.Lock()
        self._reloads: set[asyncio.Task[tuple[str, ...]]] = set()
        self._lane = SingleFlight("configuration")
        self._rate_limits: dict[str, RateLimit] = {}
        self._running: asyncio.TaskGroup | None = None

    async def apply(self, settings: Settings) -> None:
        """Monitor the accounts of *settings* from now on.

        What did not change goes on undisturbed. A changed account begins again, and shows its last
        keys until its first refresh ends, unless its address or its user changed. A removed one
        vanishes.
        """
        before, per_minute = self.accounts, settings.max_requests_per_minute
        kept = {
            a.name for a in settings.accounts if a.name in before and before[a.name].account == a
        }
        opened = {
            a.name: self._open(a, per_minute) for a in settings.accounts if a.name not in kept
        }
        self._file = settings.config_file
        self._limit_requests(settings)
        for name in opened:
            self.telemetry.prepare(name)
        for name in before.keys() - kept:
            await before[name].close()
            if name in opened:
                opened[name].take_over(before[name])
        self.accounts = {a.name: opened.get(a.name) or before[a.name] for a in settings.accounts}
        await self.exposition.renew(*(refresher.state for refresher in opened.values()))
        self.snapshot = Snapshot.of(
            opened[name].state if name in opened else self.snapshot.accounts[name]
            for name in self.accounts
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

    async def reload(self) -> tuple[str, ...]:
        """Apply what the file of accounts says now; return every problem, none where that succeeded.

        A broken file changes nothing. A caller that leaves does not stop it half way.
        """
        task = asyncio.create_task(self._reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)
        return await asyncio.shield(task)

    async def _reload(self) -> tuple[str, ...]:
        if self._file is None:
            log.info(
                "nothing to reload: no --config.file is set; tokens and the web config are re-read as they change"
            )
            return ()
        problems: tuple[str, ...] = ()
        try:
            async with self._turn:
                await self.apply(await self._lane.run(self._load))
        except SettingsError as error:
            problems = error.problems
        except StartError as error:
            problems = (str(error),)
        except TimeoutError:
            problems = (f"{self._file}: could not be read in time",)
        if problems:
            self.telemetry.reload_failed()
            log.error(
                "failed to reload configuration; keeping the previous one",
                problems="; ".join(problems),
            )
        else:
            log.info("configuration reloaded", file=str(self._file))
        return problems

    async def run_reloads(self, asked: asyncio.Event, seconds: float) -> None:
        """Reload when *asked*, and when the file has changed, looked at every *seconds* unless 0, until cancelled."""
        seen = await self._signature()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), seconds or None)
            before, seen = seen, await self._signature()
            if asked.is_set() or seen != before:
                asked.clear()
                await self.reload()

    async def _signature(self) -> Identity:
        try:
            return await self._lane.run(lambda: identity(self._file) if self._file else None)
        except TimeoutError:
            return None

    async def close(self) -> None:
        """End the monitoring of every account."""
        for task in self._reloads:
            task.cancel()
        await asyncio.gather(*self._reloads, return_exceptions=True)
        for refresher in self.accounts.values():
            await refresher.close()

    async def publish(self, state: AccountState) -> None:
        """Render one account's new state, and make it current when that is done; scrapes go on with the old one."""
        await self.exposition.renew(state)
        self.snapshot = self.snapshot.with_account(state)

    async def refresh_once(self, on_page: Callable[[], None] = lambda: None) -> None:
        """Do one refresh of every account; *on_page* is called for every page read."""
        for refresher in self.accounts.values():
            refresher.on_page = on_page
        await asyncio.gather(
            *(refresher.refresh(is_last=True) for refresher in self.accounts.values())
        )

    async def run_refreshes(self) -> None:
        """Run every account's refreshes until cancelled."""
        async with asyncio.TaskGroup() as self._running:
            self._start(list(self.accounts.values()))
            while True:
                await self._world.sleep(CHECK_SECONDS)
                await self.withdraw_old()
                await self.exposition.catch_up()

    async def withdraw_old(self) -> None:
        """Stop serving what is too old; no reload meanwhile, or an account that it removes would be shown again."""
        async with self._turn:
            for refresher in self.accounts.values():
                await refresher.withdraw_if_old()

    def _start(self, refreshers: list[Refresher]) -> None:
        if self._running is None:
            return
        for position, refresher in enumerate(refreshers):
            delay = first_delay(position, len(refreshers), refresher.account.interval)
            refresher.start(self._running, delay)

    @property
    def is_alive(self) -> bool:
        """Whether every account's refreshes have shown a sign of life in time, or wait for turns that are given."""
        return all(
            refresher.is_alive or self._rate_limits[_host(refresher.account)].is_serving_a_queue
            for refresher in self.accounts.values()
        )

    def _open(self, account: Account, per_minute: int) -> Refresher:
        host = _host(account)
        if host not in self._rate_limits:
            self._rate_limits[host] = RateLimit(
                per_minute, clock=self._world.monotonic, sleep=self._world.sleep
            )
        client = CometClient(
            base_url=account.base_url,
            user_id=account.user_id,
            ca_file=account.ca_file,
            timeout=account.timeout,
            concurrency=account.concurrency,
            max_keys=account.keys_max,
            rate_limit=self._rate_limits[host],
            on_request=functools.partial(self.telemetry.request_sent, account.name),
        )
        return Refresher(
            account,
            client,
            publish=self.publish,
            count=self.telemetry.refresh_ended,
            world=self._world,
        )

    def _limit_requests(self, settings: Settings) -> None:
        """Limit the requests to each host, and warn where its accounts need more."""
        allowed = settings.max_requests_per_minute
        needed: dict[str, float] = defaultdict(float)
        for account in settings.accounts:
            needed[_host(account)] += REQUESTS_A_REFRESH * 60 / account.interval
        for host, requests in needed.items():
            self._rate_limits[host].allow(allowed)
            if requests > allowed:
                log.warning(
                    "refreshes will take longer than their interval: too many accounts for the rate limit",
                    host=host,
                    requests_per_minute_needed=round(requests, 1),
                    requests_per_minute_allowed=allowed,
                )


def _host(account: Account) -> str:
    return urlsplit(account.base_url).netloc.lower()
