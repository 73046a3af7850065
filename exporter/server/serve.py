"""Serve an ASGI application on listening sockets until it is time to stop; no client keeps another one out.

Talks to: the event loop and the listening sockets. May not know: what is served, signals, settings.
"""

import asyncio
import contextlib
import socket
import traceback
from collections.abc import Sequence
from operator import attrgetter
from typing import cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from exporter.server.connection import Connection, Limits
from exporter.server.guard import Guard
from exporter.server.tls import WebConfigFile

ACCEPT_PAUSE_SECONDS = 0.1
TLS_SHUTDOWN_SECONDS = 2.0
CUT_SECONDS = 0.4

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

    What still runs after `limits.grace_seconds` is cut. *web_config* adds TLS, passwords and headers, and is re-read
    while the server runs.
    """
    limits = limits or Limits()
    with contextlib.ExitStack() as stack:
        for sock in sockets:
            stack.enter_context(sock)
        if web_config is not None:
            stack.enter_context(web_config.followed())
            app = Guard(app, lambda: web_config.current.config)
        await _Server(_uvicorn_config(app, limits), limits, web_config, stop).serve(list(sockets))


def _uvicorn_config(app: ASGIApp, limits: Limits) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=limits.head_bytes,
    )


class _Server(uvicorn.Server):
    """uvicorn's server with an accept that knows limits, and deadlines checked on its tick."""

    def __init__(
        self, config: uvicorn.Config, limits: Limits, web_config: WebConfigFile | None, stop: asyncio.Event
    ) -> None:
        super().__init__(config)
        self.connections = cast("set[Connection]", self.server_state.connections)
        self.handshakes: dict[Connection, asyncio.Task[None]] = {}
        self._limits, self._web_config, self._stop = limits, web_config, stop
        self._listeners: list[socket.socket] = []

    # What uvicorn calls

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        """Leave signals to the program."""
        return contextlib.nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take *sockets* over."""
        self._listeners = sockets or []
        self.started = True

    async def main_loop(self) -> None:
        """Accept, and tick until it is time to stop."""
        async with asyncio.TaskGroup() as group:
            accepting = [group.create_task(self._accept(listener)) for listener in self._listeners]
            await super().main_loop()
            for task in accepting:
                task.cancel()

    async def on_tick(self, counter: int) -> bool:
        """Look after every connection, ten times a second."""
        for connection in list(self.connections):
            connection.check()
        return await super().on_tick(counter) or self._stop.is_set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests under way finish within the grace, cut what is left, and wait until it is gone."""
        for sock in sockets or []:
            sock.close()
        for connection in list(self.handshakes):
            self._cut(connection)
        for connection in list(self.connections):
            connection.shutdown()
        await self._ended_within(self._limits.grace_seconds)
        for task in list(self.server_state.tasks):
            task.cancel()
        for connection in list(self.connections):
            connection.cut()
        await self._ended_within(CUT_SECONDS)

    async def _ended_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.connections or self.server_state.tasks:  # noqa: ASYNC110 - uvicorn's sets have no event
                    await asyncio.sleep(0.02)

    # Connections, from accept to cut

    async def _accept(self, listener: socket.socket) -> None:
        """Accept forever. asyncio's own way knows no limit on connections and hides those in a handshake."""
        loop = asyncio.get_running_loop()
        is_short = False
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except ConnectionError:
                continue
            except OSError as exc:  # no descriptors or no memory: connections that end free some soon
                if not is_short:
                    log.warning("accept failed", error=str(exc))
                is_short = True
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            is_short = False
            if self._make_room():
                self._begin(sock)
            else:
                sock.close()
            await asyncio.sleep(0)  # sock_accept returns without a pause while more are waiting

    def _make_room(self) -> bool:
        """Cut the connection that has been longest without a running request; False if each has one."""
        if len(self.handshakes) >= self._limits.handshakes:
            self._cut(next(iter(self.handshakes)))
        everyone = self.connections | self.handshakes.keys()
        if len(everyone) < self._limits.connections:
            return True
        quiet = [connection for connection in everyone if not connection.is_working]
        if quiet:
            self._cut(min(quiet, key=attrgetter("since")))
        return bool(quiet)

    def _begin(self, sock: socket.socket) -> None:
        connection = Connection(self.config, self.server_state, self._limits, self._bound_unread)
        task = asyncio.get_running_loop().create_task(self._connect(sock, connection))
        self.handshakes[connection] = task
        self.server_state.tasks.add(task)  # so that a stopping server waits for it

        def end(_: asyncio.Task[None]) -> None:
            self.server_state.tasks.discard(task)
            if task.cancelled():  # before its first step
                sock.close()

        task.add_done_callback(end)

    async def _connect(self, sock: socket.socket, connection: Connection) -> None:
        context = self._web_config.current.context if self._web_config else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=context,
                ssl_handshake_timeout=self._limits.handshake_seconds if context else None,
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS if context else None,
            )
        except (OSError, asyncio.CancelledError) as exc:  # the client's affair, or cut
            traceback.clear_frames(exc.__traceback__)  # else the TLS buffers wait for the garbage collector
        finally:
            self.handshakes.pop(connection, None)

    def _cut(self, connection: Connection) -> None:
        handshake = self.handshakes.pop(connection, None)
        if handshake is not None:
            handshake.cancel()
        else:
            connection.cut()

    def _bound_unread(self) -> None:
        """Cut the oldest readers while all together have more to read than allowed, but never the newest."""
        *older, newest = sorted((c for c in self.connections if c.sending_since), key=attrgetter("sending_since"))
        sizes = [connection.unread_bytes for connection in (*older, newest)]
        # Four of the largest response always fit, so that big accounts keep several scrapers.
        excess = sum(sizes) - max(self._limits.unread_bytes, 4 * max(sizes))
        for connection, size in zip(older, sizes, strict=False):
            if excess > 0:
                excess -= size
                connection.cut()
