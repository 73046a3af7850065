"""Put the parts together and run them: the composition root.

Talks to: signals, sockets, standard output; everything else through the parts. Mutable state in the whole program: the
current snapshot (`Watch`), the rendering (`Exposition`), each refresher's last state and heartbeat, each client's
API variant, clock skew and pool, the requests sent to each host (`RateLimit`), the process's counters, the web config
as last read, the open connections.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace

import structlog

from exporter import __version__
from exporter.credentials import LiteralToken, Secret
from exporter.demo.server import demo_gateway
from exporter.errors import StartError
from exporter.metrics import countdown, families
from exporter.refresher import Outcome
from exporter.rendering import Form
from exporter.server.listen import ListenAddress, ListenError, bind, urls
from exporter.server.serve import serve
from exporter.server.tls import WebConfigFile
from exporter.settings import Settings
from exporter.site.routes import Site
from exporter.watch import WORLD, watching

LAST_RESORT_SECONDS = 4.9

log = structlog.get_logger()


async def run(settings: Settings, *, demo: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; raises StartError where the sockets cannot be opened."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _end_in_time, stop)
    sockets = open_sockets(settings.listen)
    web_config = None if settings.web_config_file is None else WebConfigFile(settings.web_config_file)
    addresses = urls(sockets, tls=web_config is not None and web_config.has_tls)
    async with contextlib.AsyncExitStack() as stack:
        if demo:
            settings = await stack.enter_async_context(simulated(settings))
            _greet(addresses, settings)
        watch = await stack.enter_async_context(watching(settings))
        log.info("listening", addresses=" ".join(addresses), accounts=len(settings.accounts), version=__version__)
        site = Site(
            exposition=watch.exposition,
            telemetry_path=settings.telemetry_path,
            read_snapshot=lambda: watch.snapshot,
            clock=WORLD.clock,
            is_alive=lambda: watch.is_alive,
            has_status_page=settings.has_status_page,
        )
        refreshes = asyncio.create_task(watch.run_refreshes())
        refreshes.add_done_callback(lambda _: stop.set())
        await serve(site.application(), sockets, stop=stop, web_config=web_config)
        log.info("stopping")
        await _end(refreshes)


def _end_in_time(stop: asyncio.Event) -> None:
    """Set *stop*, and end the process before 5 s are over in any case: a thread may hang in the resolver."""
    stop.set()
    last_resort = threading.Timer(LAST_RESORT_SECONDS, os._exit, (0,))
    last_resort.daemon = True
    last_resort.start()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def open_sockets(addresses: Iterable[ListenAddress]) -> list[socket.socket]:
    """Open the listening sockets; raises StartError."""
    try:
        return bind(addresses)
    except ListenError as error:
        raise StartError(str(error)) from error


@contextlib.asynccontextmanager
async def simulated(settings: Settings) -> AsyncIterator[Settings]:
    """Serve the demo's gateway on a loopback port, and point the settings at it."""
    token = secrets.token_urlsafe(32)
    sockets = bind([ListenAddress(host="127.0.0.1", port=0)])
    stop = asyncio.Event()
    gateway = demo_gateway(token=token, started_at=WORLD.clock(), clock=WORLD.clock)
    serving = asyncio.create_task(serve(gateway, sockets, stop=stop))
    source = LiteralToken(Secret(token), "the demo")
    try:
        yield replace(
            settings,
            accounts=tuple(replace(a, base_url=urls(sockets)[0], token=source) for a in settings.accounts),
        )
    finally:
        stop.set()
        await serving


def _greet(addresses: Sequence[str], settings: Settings) -> None:
    lines = ["A simulated account is being watched. Open:"]
    for address in addresses:
        lines += [f"  {address}/"] if settings.has_status_page else []
        lines += [f"  {address}{settings.telemetry_path}"]
    print("\n".join([*lines, "Ctrl-C ends it."]), flush=True)  # noqa: T201 - the demo speaks to a person


async def read_once(settings: Settings, *, demo: bool = False) -> str | None:
    """Do one refresh of every account; return the exposition, or None where no account could be read.

    The process's own metrics are left out: a textfile collector has its own of the same names.
    """
    async with contextlib.AsyncExitStack() as stack:
        if demo:
            settings = await stack.enter_async_context(simulated(settings))
        watch = await stack.enter_async_context(watching(settings))
        await asyncio.gather(*(refresher.refresh(is_last=True) for refresher in watch.refreshers))
        snapshot, now = watch.snapshot, WORLD.clock()
        if all(state.failing is not None for state in snapshot.accounts.values()):
            return None
        own = [metric for collector in watch.telemetry.collectors for metric in collector.collect()]
        return Form.TEXT.encode([*families(snapshot, now), countdown(snapshot, now), *own]).decode()


async def try_accounts(
    settings: Settings, *, demo: bool = False, on_page: Callable[[], None] = lambda: None
) -> tuple[list[Outcome], dict[str, float]]:
    """Read every account once; return how each went, in the order of the settings, and the known clock skews by name.

    *on_page* is called for every page read.
    """
    async with contextlib.AsyncExitStack() as stack:
        if demo:
            settings = await stack.enter_async_context(simulated(settings))
        watch = await stack.enter_async_context(watching(settings))
        for refresher in watch.refreshers:
            refresher.on_page = on_page
        outcomes = await asyncio.gather(*(refresher.read() for refresher in watch.refreshers))
        skews = {name: client.clock_skew for name, client in watch.clients.items()}
        return outcomes, {name: skew for name, skew in skews.items() if skew is not None}
