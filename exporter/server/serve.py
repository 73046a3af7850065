"""Serve an ASGI application on listening sockets until it is time to stop.

No client can keep another one out: connections have deadlines, and the server cuts the most
dispensable ones when too many are open.

Talks to: the event loop and the listening sockets. Knows no signals, no settings, nothing of what
is served.
"""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Iterable, Sequence
from email.utils import formatdate
from operator import attrgetter

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from exporter.server.connection import Connection
from exporter.server.guard import Guard
from exporter.server.limits import Limits
from exporter.server.phase import Phase
from exporter.server.tls import WebConfigFile
from exporter.workers import NoThread, SingleFlight

# How often deadlines are checked: no client notices half a second.
TICK_SECONDS = 0.5
# While stopping: how often to look whether everything has ended, and how long after cutting.
END_TICK_SECONDS = 0.05
CUT_SECONDS = 0.4
# After accept() failed for lack of file descriptors or memory.
ACCEPT_PAUSE_SECONDS = 1.0
ACCEPT_ADVICE = "raise the limit of open files: LimitNOFILE of the systemd unit, or ulimit -n"

log = structlog.get_logger(__name__)


async def serve(
    app: ASGIApp,
    sockets: Sequence[socket.socket],
    *,
    stop: asyncio.Event,
    web_config: WebConfigFile | None = None,
    limits: Limits | None = None,
) -> None:
    """Serve *app* on *sockets* until *stop* is set, then finish running requests and close all.

    Requests that still run after `limits.grace_seconds` are cut. *web_config* adds TLS, passwords
    and headers; changes of its files take effect while the server runs.
    """
    if web_config is not None:
        app = Guard(app, lambda: web_config.config)
    await _Server(app, limits or Limits(), web_config).run(sockets, stop)


class _Server:
    """All connections of one server, and the limits that they share."""

    def __init__(self, app: ASGIApp, limits: Limits, web_config: WebConfigFile | None) -> None:
        self._config = uvicorn.Config(
            app,
            ws="none",
            log_config=None,
            proxy_headers=False,
            h11_max_incomplete_event_size=limits.head_bytes,
        )
        self._config.load()
        self._state = ServerState()
        self._connections: set[Connection] = self._state.connections  # type: ignore[assignment]
        self._limits = limits
        self._web_config = web_config

    async def run(self, listeners: Sequence[socket.socket], stop: asyncio.Event) -> None:
        """Accept connections, and check their deadlines twice a second, until *stop* is set."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._accept(listener)) for listener in listeners]
            tasks.append(group.create_task(self._follow_web_config()))
            while not stop.is_set():
                self._tick()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_SECONDS):
                        await stop.wait()
            for task in tasks:
                task.cancel()
        for listener in listeners:
            listener.close()
        await self._end()

    def _tick(self) -> None:
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        for connection in list(self._connections):
            connection.check()

    async def _follow_web_config(self) -> None:
        reading = SingleFlight("web config")
        while self._web_config is not None:
            await asyncio.sleep(self._limits.reload_seconds)
            with contextlib.suppress(TimeoutError, NoThread):
                await reading.run(self._web_config.refresh)

    async def _end(self) -> None:
        """Let requests under way finish within the grace period, then cut what is left."""
        for connection in list(self._connections):
            if connection.phase is Phase.HANDSHAKE:
                connection.cut()
            else:
                connection.shutdown()
        await self._ended_within(self._limits.grace_seconds)
        for task in list(self._state.tasks):
            task.cancel()
        for connection in list(self._connections):
            connection.cut()
        await self._ended_within(CUT_SECONDS)

    async def _ended_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._connections or self._state.tasks:
                    self._tick()
                    await asyncio.sleep(END_TICK_SECONDS)

    async def _accept(self, listener: socket.socket) -> None:
        """Accept connections until cancelled.

        asyncio's own server knows no limit on connections, and does not show those whose TLS
        handshake is under way.
        """
        loop = asyncio.get_running_loop()
        # sock_accept returns at once while connections wait, so the ones accepted so far would not
        # be served. They get a turn whenever a sixteenth of all connections is new.
        batch = max(1, self._limits.connections // 16)
        for number in itertools.count():
            if number % batch == 0:
                await asyncio.sleep(0)
            try:
                sock, _ = await loop.sock_accept(listener)
            except ConnectionError:
                continue
            except OSError as exc:
                # No file descriptors or no memory: connections that end free some soon.
                log.warning(
                    "cannot accept a connection: scrapes may fail",
                    error=str(exc),
                    advice=ACCEPT_ADVICE,
                )
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            if self._can_take_another():
                self._begin(sock)
            else:
                sock.close()

    def _begin(self, sock: socket.socket) -> None:
        connection = Connection(self._config, self._state, self._limits, self._bound_unread)
        self._connections.add(connection)
        context = self._web_config.context if self._web_config else None
        handshake = connection.connect(sock, context)
        self._state.tasks.add(handshake)
        handshake.add_done_callback(self._state.tasks.discard)

    def _can_take_another(self) -> bool:
        """Return whether a further connection may be served, after cutting one if necessary."""
        handshakes = [each for each in self._connections if each.phase is Phase.HANDSHAKE]
        if len(handshakes) >= self._limits.handshakes:
            min(handshakes, key=attrgetter("since")).cut()
        if len(self._connections) < self._limits.connections:
            return True
        dispensable = most_dispensable(self._connections)
        if dispensable is None:
            return False
        dispensable.cut()
        return True

    def _bound_unread(self) -> None:
        """Cut the oldest readers while responses hold more memory than allowed."""
        readers = [each for each in self._connections if each.sending_since is not None]
        for reader in readers_beyond(readers, self._limits.unread_bytes):
            reader.cut()


def most_dispensable(connections: Iterable[Connection]) -> Connection | None:
    """Choose the connection that makes way for a new one; None if each runs a request.

    It is the one that has been longest in its phase. Connections that are new themselves come
    last: otherwise a crowd of new ones would keep cutting each other before any is served.
    """
    quiet = [each for each in connections if not each.is_working]
    return min(quiet, key=attrgetter("is_new", "since"), default=None)


def readers_beyond(readers: Iterable[Connection], most_bytes: int) -> list[Connection]:
    """Choose the readers to cut, oldest first, so that the others have *most_bytes* unread.

    The newest is never among them. Four of the largest response are always allowed, so that large
    accounts can have several scrapers. There may be none: a client that has just gone is no longer
    counted, while its response is still being made.
    """
    by_age = sorted(readers, key=attrgetter("sending_since"))
    if not by_age:
        return []
    sizes = [reader.unread_bytes for reader in by_age]
    excess = sum(sizes) - max(most_bytes, 4 * max(sizes))
    chosen = []
    for reader, size in zip(by_age[:-1], sizes[:-1], strict=True):
        if excess <= 0:
            break
        excess -= size
        chosen.append(reader)
    return chosen
