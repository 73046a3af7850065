"""Put the parts together and run them: the composition root.

Talks to: signals, sockets, standard output; everything else through the parts. The only module that
picks real clocks, sleep and randomness and tunes the interpreter. docs/architecture.md lists the
mutable state of the whole program.
"""

import asyncio
import contextlib
import gc
import os
import random
import secrets
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace

import structlog

from exporter import __version__, allocator, descriptors
from exporter.backfill.history import Period
from exporter.backfill.run import write_history
from exporter.credentials import LiteralToken, Secret
from exporter.demo.scenario import ACCOUNTS, DEMO, DemoAccount
from exporter.demo.server import demo_gateways
from exporter.errors import SettingsError
from exporter.exposition.rendering import Format
from exporter.exposition.scrape import Exposition
from exporter.exposition.telemetry import Telemetry
from exporter.logs import dropped_lines
from exporter.model import ListingProgress
from exporter.refresh.schedule import Runtime
from exporter.reloading import Reloads
from exporter.server.limits import Limits
from exporter.server.listen import ListenAddress, bind, urls
from exporter.server.serve import serve
from exporter.settings import options
from exporter.settings.load import Settings
from exporter.site.routes import Site
from exporter.snapshot import AccountState
from exporter.supervisor import READY, STOPPING, Supervisor, find_supervisor
from exporter.watch import Watch
from exporter.workers import ResolverExecutor

LAST_RESORT_SECONDS = 4.9
# How long the thread that renders may keep the interpreter while a request waits for it, several
# times over; Python's usual 5 ms let requests wait 50 ms and more at 100,000 keys, this about 20
# ms, at no cost that could be measured.
SWITCH_SECONDS = 0.0002

# Prometheus holds the samples of its last two to three hours in memory and accepts no older ones
# there: a block that overlaps them would be compacted together with them.
BEFORE_THE_HEAD_SECONDS = 3 * 3_600

RUNTIME = Runtime(
    clock=time.time, monotonic=time.monotonic, sleep=asyncio.sleep, random=random.random
)

# As often as a person sees a number change.
PROGRESS_SECONDS = 0.2

log = structlog.get_logger()


async def run(settings: Settings, *, load: Callable[[], Settings]) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises ListenError where the sockets cannot be opened.

    *load* reads the settings again for a reload; it raises SettingsError.
    """
    stop, reload = asyncio.Event(), asyncio.Event()
    supervisor = find_supervisor(os.environ)
    _end_in_time_on_signals(stop, supervisor)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.set)
    tune_the_interpreter()
    sockets = bind(settings.listen_address)
    probe_sockets = bind([settings.probe_listen_address] if settings.probe_listen_address else [])
    web_config = settings.web_config
    addresses = urls(sockets, tls=web_config is not None and web_config.context is not None)
    if settings.demo:
        _greet(addresses, settings)
    async with monitoring(settings) as watch:
        reloads = Reloads(watch, load)
        log.info(
            "listening",
            addresses=" ".join(addresses),
            accounts=len(watch.refreshers),
            version=__version__,
        )
        site = Site(
            exposition=watch.exposition,
            telemetry_path=settings.telemetry_path,
            read_snapshot=lambda: watch.snapshot,
            clock=RUNTIME.clock,
            is_alive=lambda: watch.is_alive,
            has_status_page=not settings.no_status_page,
            in_file=settings.config_file is not None,
            reload=reloads.reload if settings.enable_lifecycle else None,
        )
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(supervisor.show_life(lambda: watch.is_alive)),
                tasks.create_task(watch.run_refreshes()),
                tasks.create_task(reloads.run(reload, settings.auto_reload_interval)),
            ]
            if probe_sockets:
                tasks.create_task(
                    serve(site.probes(), probe_sockets, stop=stop, limits=Limits(connections=16))
                )
            supervisor.tell(READY)
            await serve(site.application(), sockets, stop=stop, web_config=web_config)
            log.info("stopping")
            for task in running:
                task.cancel()
            await reloads.close()


def _end_in_time_on_signals(stop: asyncio.Event, supervisor: Supervisor) -> None:
    """On SIGTERM and SIGINT set *stop*, and end the process before 5 s are over in any case.

    A plain handler runs also while the event loop is stuck; threads may hang in a resolver or on a
    dead mount.
    """
    loop = asyncio.get_running_loop()

    def end(*_: object) -> None:
        supervisor.tell(STOPPING)
        last_resort = threading.Timer(LAST_RESORT_SECONDS, os._exit, (0,))
        last_resort.daemon = True
        try:
            last_resort.start()
        except RuntimeError:
            # No thread starts any more. The kernel's timer needs none; its signal ends the process.
            signal.setitimer(signal.ITIMER_REAL, LAST_RESORT_SECONDS)
        loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def tune_the_interpreter() -> None:
    """Let requests wait less for threads that render, and for the garbage collector."""
    sys.setswitchinterval(SWITCH_SECONDS)
    # What the start has created stays: each look of the collector through it would take 15 ms.
    gc.freeze()


@contextlib.asynccontextmanager
async def monitoring(settings: Settings, *, is_scraped: bool = True) -> AsyncIterator[Watch]:
    """Monitor the accounts of *settings*, or all of the demo, by the real clocks.

    Nothing runs yet. Without *is_scraped* nothing is rendered.
    """
    descriptors.raise_limit()
    allocator.return_early()
    asyncio.get_running_loop().set_default_executor(ResolverExecutor())
    telemetry = Telemetry(version=__version__, dropped_lines=dropped_lines)
    async with _real_or_simulated(settings, ACCOUNTS) as real:
        watch = await Watch.open(real, runtime=RUNTIME, telemetry=telemetry, is_scraped=is_scraped)
        try:
            yield watch
        finally:
            await watch.close()


def _real_or_simulated(
    settings: Settings, accounts: Sequence[DemoAccount]
) -> contextlib.AbstractAsyncContextManager[Settings]:
    """Return *settings*, or with --demo those of the demo's *accounts*."""
    if settings.demo:
        return simulated(settings, accounts)
    return contextlib.nullcontext(settings)


@contextlib.asynccontextmanager
async def simulated(settings: Settings, accounts: Sequence[DemoAccount]) -> AsyncIterator[Settings]:
    """Serve the demo's gateways on a loopback port, and point *accounts* at them."""
    token = secrets.token_urlsafe(32)
    sockets = bind([ListenAddress(host="127.0.0.1", port=0)])
    stop = asyncio.Event()
    gateways = demo_gateways(token=token, started_at=RUNTIME.clock(), clock=RUNTIME.clock)
    serving = asyncio.create_task(serve(gateways, sockets, stop=stop))
    source = LiteralToken(Secret(token), "the demo")
    (only,) = settings.accounts
    (url,) = urls(sockets)
    read = [
        replace(only, name=account.name, base_url=f"{url}/{account.name}", token=source)
        for account in accounts
    ]
    try:
        yield replace(settings, accounts=tuple(read))
    finally:
        stop.set()
        await serving


def _greet(addresses: Sequence[str], settings: Settings) -> None:
    lines = [f"Serving {len(ACCOUNTS)} simulated accounts at:"]
    for address in addresses:
        lines += [] if settings.no_status_page else [f"  {address}/"]
        lines += [f"  {address}{settings.telemetry_path}"]
    print("\n".join([*lines, "Press Ctrl-C to stop."]), flush=True)  # noqa: T201 - the demo speaks to a person


async def read_once(
    settings: Settings, *, show: Callable[[ListingProgress], None]
) -> Iterator[bytes] | None:
    """Do one refresh of every account.

    Return the exposition in parts, or None where there are accounts and none could be read. *show*
    gets the progress, several times a second.

    The process's own metrics are left out: a textfile collector has its own of the same names.
    """
    async with refreshed_once(settings, show) as watch:
        states = watch.snapshot.accounts.values()
        if states and all(state.failing is not None for state in states):
            return None
        once = Exposition(telemetry=watch.telemetry, process=(), clock=RUNTIME.clock)
        await once.renew(*states)
        return once.parts(Format.TEXT)


async def backfill(
    settings: Settings, *, write: Callable[[bytes], object], say: Callable[[str], None]
) -> None:
    """Write what every account used in the past; *say* gets lines for people.

    Raises BackfillError, and SettingsError for an end in the future.
    """
    asyncio.get_running_loop().set_default_executor(ResolverExecutor())
    now = RUNTIME.clock()
    end = settings.backfill_end
    if end is None:
        end = now - BEFORE_THE_HEAD_SECONDS
    if end > now:
        source = options.BACKFILL_END.source
        raise SettingsError([f"{source}: expected a time in the past, got one in the future"])
    period = Period.until(end, settings.backfill_days, now)
    # The other accounts of the demo have no history that can be read.
    async with _real_or_simulated(settings, (DEMO,)) as real:
        await write_history(real, period=period, runtime=RUNTIME, write=write, say=say)


async def try_accounts(
    settings: Settings, *, show: Callable[[ListingProgress], None]
) -> list[AccountState]:
    """Do one refresh of every account and return the states.

    *show* gets the progress, several times a second.

    What models cost is left out: it would take several turns of the rate limit for each account.
    """
    without_usage = tuple(replace(account, usage="off") for account in settings.accounts)
    async with refreshed_once(replace(settings, accounts=without_usage), show) as watch:
        return list(watch.snapshot.accounts.values())


@contextlib.asynccontextmanager
async def refreshed_once(
    settings: Settings, show: Callable[[ListingProgress], None]
) -> AsyncIterator[Watch]:
    """Do one refresh of every account, and show its progress."""
    async with monitoring(settings, is_scraped=False) as watch:
        showing = asyncio.create_task(_show_progress(watch, show))
        try:
            await watch.refresh_once()
        finally:
            showing.cancel()
        show(watch.progress)
        yield watch


async def _show_progress(watch: Watch, show: Callable[[ListingProgress], None]) -> None:
    """Show the progress until cancelled."""
    while True:
        show(watch.progress)
        await RUNTIME.sleep(PROGRESS_SECONDS)
