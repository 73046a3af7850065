"""Serve an ASGI application on listening sockets until told to stop.

Talks to: the event loop and the listening sockets. May not know: what is served, signals, settings.
"""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
import uvicorn
from starlette.types import ASGIApp

from exporter.server.guard import Guard
from exporter.server.lobby import Arrival, Limits, Lobby
from exporter.server.protocol import Visit
from exporter.server.tls import WebConfigFile

ACCEPT_PAUSE_SECONDS = 0.1
TLS_GOODBYE_SECONDS = 2.0
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

    What still runs after `limits.grace_seconds` is cut. *web_config* adds TLS, passwords and headers.
    """
    limits = limits or Limits()
    if web_config is not None:
        app = Guard(app, lambda: web_config.current().config)
    house = _House(config=_uvicorn_config(app, limits), lobby=Lobby(limits), web_config=web_config)
    try:
        async with asyncio.TaskGroup() as doors:
            keepers = [doors.create_task(house.keep_door(sock)) for sock in sockets]
            await stop.wait()
            for keeper in keepers:
                keeper.cancel()
    finally:
        for sock in sockets:
            sock.close()
        await _see_out(house.lobby)


def _uvicorn_config(app: ASGIApp, limits: Limits) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=Visit,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=limits.head_bytes,
    )
    config.load()
    return config


@dataclass(frozen=True, slots=True, kw_only=True)
class _House:
    """What every door leads to."""

    config: uvicorn.Config
    lobby: Lobby
    web_config: WebConfigFile | None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    async def keep_door(self, listener: socket.socket) -> None:
        """Accept for ever. asyncio's own accepting knows no bound on connections and hides those in a handshake."""
        is_short = False
        while True:
            try:
                sock, _ = await self.loop.sock_accept(listener)
            except ConnectionError:
                continue
            except OSError as exc:  # no descriptors or no memory: those who are served free some soon
                if not is_short:
                    log.warning("accept failed", error=str(exc))
                is_short = True
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            is_short = False
            if self.lobby.make_room():
                arrival = Arrival(self.lobby)
                arrival.lead_in(self._welcome(sock, arrival))
            else:
                sock.close()
            await asyncio.sleep(0)  # sock_accept returns without a pause while more are waiting

    async def _welcome(self, sock: socket.socket, arrival: Arrival) -> None:
        context = self.web_config.current().context if self.web_config else None
        handshake_seconds = self.lobby.limits.handshake_seconds if context else None
        with contextlib.suppress(OSError):  # a handshake that fails is the visitor's affair
            await self.loop.connect_accepted_socket(
                lambda: Visit(self.config, self.lobby, arrival),
                sock,
                ssl=context,
                ssl_handshake_timeout=handshake_seconds,
                ssl_shutdown_timeout=TLS_GOODBYE_SECONDS if context else None,
            )


async def _see_out(lobby: Lobby) -> None:
    """Let answers under way finish, within the grace; cut what is left, and wait until it is gone."""
    for arrival in list(lobby.arrivals):
        arrival.dismiss()
    for visit in list(lobby.connections):
        visit.shutdown()
    await _emptied_within(lobby.limits.grace_seconds, lobby)
    for task in list(lobby.tasks):
        task.cancel()
    for visit in list(lobby.connections):
        visit.transport.abort()
    await _emptied_within(CUT_SECONDS, lobby)


async def _emptied_within(seconds: float, lobby: Lobby) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await lobby.emptied()
