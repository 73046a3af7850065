"""Serve an ASGI application on listening sockets until it is time to stop; no client keeps another one out.

Talks to: the event loop and the listening sockets. Knows no signals, no settings, nothing of what
is served.
"""

import asyncio
import contextlib
import itertools
import socket
import traceback
from collections.abc import Sequence
from email.utils import formatdate
from operator import attrgetter

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from exporter.server.connection import Connection, Limits
from exporter.server.guard import Guard
from exporter.server.tls import WebConfigFile
from exporter.workers import SingleFlight

TICK_SECONDS, END_TICK_SECONDS, CUT_SECONDS = 0.5, 0.05, 0.4
ACCEPT_PAUSE_SECONDS, TLS_SHUTDOWN_SECONDS = 1.0, 2.0

log = structlog.get_logger(__name__)


async def serve(
    app: ASGIApp,
    sockets: Sequence[socket.socket],
    *,
    stop: asyncio.Event,
    web_config: WebConfigFile | None = None,
    limits: Limits | None = None,
) -> None:
    """Answer on *sockets* until *stop* is set, finish what is running, close every socket, return.

    What still runs after `limits.grace_seconds` is cut. *web_config* adds TLS, passwords and
    headers, and is followed.
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
        self._limits, self._web_config = limits, web_config

    async def run(self, listeners: Sequence[socket.socket], stop: asyncio.Event) -> None:
        """Accept, and look after every connection twice a second, until it is time to stop."""
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
        lane = SingleFlight("web config")
        while self._web_config is not None:
            await asyncio.sleep(self._limits.reload_seconds)
            with contextlib.suppress(TimeoutError):
                await lane.run(self._web_config.refresh)

    async def _end(self) -> None:
        """Let requests under way finish within the grace, cut what is left, and wait until it is gone."""
        for connection in list(self._connections):
            connection.cut() if connection.phase == "handshake" else connection.shutdown()
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
        """Accept forever. asyncio's own way knows no limit on connections and hides those in a handshake."""
        loop = asyncio.get_running_loop()
        for number in itertools.count():
            if number % max(1, self._limits.connections // 16) == 0:
                await asyncio.sleep(
                    0
                )  # for those accepted so far: sock_accept returns at once while more are waiting
            try:
                sock, _ = await loop.sock_accept(listener)
            except ConnectionError:
                continue
            except (
                OSError
            ) as exc:  # no descriptors or no memory: connections that end free some soon
                log.warning("accept failed", error=str(exc))
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            if self._make_room():
                self._begin(sock)
            else:
                sock.close()

    def _begin(self, sock: socket.socket) -> None:
        connection = Connection(self._config, self._state, self._limits, self._bound_unread)
        self._connections.add(connection)
        connection.handshake = task = asyncio.create_task(self._connect(sock, connection))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)
        task.add_done_callback(
            lambda task: sock.close() if task.cancelled() else None
        )  # before it began

    def _make_room(self) -> bool:
        """Cut the connection that has been longest without a request, one that is new last; False if each has one."""
        handshakes = [each for each in self._connections if each.phase == "handshake"]
        if len(handshakes) >= self._limits.handshakes:
            min(handshakes, key=attrgetter("since")).cut()
        if len(self._connections) < self._limits.connections:
            return True
        quiet = [each for each in self._connections if not each.is_working]
        if quiet:
            min(quiet, key=attrgetter("is_new", "since")).cut()
        return bool(quiet)

    async def _connect(self, sock: socket.socket, connection: Connection) -> None:
        context = self._web_config.context if self._web_config else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=context,
                ssl_handshake_timeout=self._limits.handshake_seconds if context else None,
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS if context else None,
            )
        except (OSError, asyncio.CancelledError) as exc:  # the client's affair, or cut
            traceback.clear_frames(
                exc.__traceback__
            )  # else the TLS buffers wait for the garbage collector
            self._connections.discard(connection)

    def _bound_unread(self) -> None:
        """Cut the oldest readers while all together have more to read than allowed, but never the newest."""
        *older, newest = sorted(
            (c for c in self._connections if c.sending_since), key=attrgetter("sending_since")
        )
        sizes = [connection.unread_bytes for connection in (*older, newest)]
        # Four of the largest response always fit, so that big accounts keep several scrapers.
        excess = sum(sizes) - max(self._limits.unread_bytes, 4 * max(sizes))
        for connection, size in zip(older, sizes, strict=False):
            if excess > 0:
                excess -= size
                connection.cut()
