"""One visitor's connection: uvicorn's HTTP/1.1 protocol with a deadline for everything that a visitor can delay.

Talks to: one transport and the event loop's timers. May not know: what is served, TLS, who may enter.

uvicorn itself waits for ever for the rest of a request and for a reader that does not read. Here the phase of a
connection is read off h11's two state machines, so there is no second truth to keep in step.
"""

import asyncio
import contextlib
import fcntl
import functools
import logging
import socket
import struct
import sys
import termios
import time
from email.utils import formatdate
from typing import Any

import h11
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from exporter.server.lobby import Arrival, Lobby, Phase

NO_LINGER = struct.pack("ii", 1, 0)  # struct linger: on, for 0 s
NO_PROXY = PlainTextResponse("this is no proxy\n", 405)
# Visitors make uvicorn warn (garbage, upgrades); only our own failures are worth a line.
QUIET = logging.getLogger("uvicorn.error.visit")
QUIET.setLevel(logging.ERROR)


class Visit(H11Protocol):
    """One connection, from its first byte to its last."""

    def __init__(self, config: uvicorn.Config, lobby: Lobby, arrival: Arrival) -> None:
        super().__init__(config, lobby, {})
        self.app = self._answer
        self.logger = QUIET
        self.lobby = lobby
        self.limits = lobby.limits
        self.phase = self.rank = Phase.CLOSING
        self.since = arrival.since
        self._arrival = arrival
        self._has_answered = False
        self._is_half_closed = False
        self._waiting: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None

    def dismiss(self) -> None:
        """Cut the connection now, and what the kernel still holds for it: without a linger it would go on sending."""
        self.connections.discard(self)
        self.lobby.unread.pop(self, None)
        with contextlib.suppress(OSError):
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    # What the transport reports

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        self._arrival.become_visit()
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Hand *data* on by pieces: h11 measures a head only while it is incomplete."""
        self.settle()
        self.server_state.default_headers = _date_header(int(time.time()))
        size = self.limits.head_bytes
        for start in range(0, len(data), size):
            if self.transport.is_closing() or self.conn.their_state in (h11.MUST_CLOSE, h11.CLOSED, h11.ERROR):
                return
            super().data_received(data[start : start + size])
        self._watch()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer those who half-closed behind their request (`nc -N`); under TLS asyncio cannot."""
        self._is_half_closed = True
        return self.phase is Phase.ANSWERING and self.scheme == "http"

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        for timer in (self._waiting, self._taking):
            if timer is not None:
                timer.cancel()
        self._waiting = self._taking = None
        self.lobby.unread.pop(self, None)
        super().connection_lost(exc)
        self.lobby.note_departure()

    # What uvicorn reports

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, or take one that waits already."""
        self._has_answered = True
        super().on_response_complete()
        self._unset_keepalive_if_required()  # ours counts from here too, and covers more
        if self._is_half_closed and self._phase_now() is not Phase.ANSWERING:
            self.transport.close()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Say what is wrong where that is still possible; a second answer inside the first is not."""
        if self.conn.our_state is not h11.IDLE:
            self.transport.abort()
            return
        self._owe(len(msg))
        super().send_400_response(msg)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            self._owe(len(message.get("body", b"")))
            await send(message)

        # h11 would make a tunnel of the connection if the application answered CONNECT with 200.
        app = NO_PROXY if scope["method"] == "CONNECT" else self.config.loaded_app
        try:
            await app(scope, receive, counted)
        except asyncio.CancelledError:  # the grace of a stopping server is over; uvicorn would log it as our fault
            self.cycle.disconnected = True
            self.transport.abort()

    # Deadlines

    def _phase_now(self) -> Phase:
        ours, theirs = self.conn.our_state, self.conn.their_state
        if self.transport.is_closing():
            return Phase.CLOSING
        if ours is h11.IDLE:
            return Phase.IDLE if self._has_answered and not self.conn.trailing_data[0] else Phase.HEAD
        if ours is h11.DONE and theirs is h11.SEND_BODY:
            return Phase.LINGERING
        return Phase.ANSWERING if ours in (h11.SEND_RESPONSE, h11.SEND_BODY) else Phase.CLOSING

    def _watch(self) -> None:
        """Start the deadline of a phase when the phase begins; further bytes do not prolong it."""
        phase = self._phase_now()
        if phase is self.phase:
            return
        self.phase, self.since = phase, self.loop.time()
        self._take_rank()
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        seconds = {
            Phase.HEAD: self.limits.head_seconds,
            Phase.IDLE: self.limits.idle_seconds,
            Phase.LINGERING: self.limits.linger_seconds,
        }.get(phase)
        if seconds is not None:
            self._waiting = self.loop.call_later(seconds, self.transport.close)

    def _owe(self, size: int) -> None:
        if self.transport.is_closing():
            return
        if self._taking is None:
            self._taking = self.loop.call_later(self.limits.answer_seconds, self._collect)
        self.lobby.owe(self, size)
        self._take_rank()

    def _take_rank(self) -> None:
        """Find the place in the order of being sent away: an answer that is merely unread counts as idle."""
        self.rank = min(self.phase, Phase.IDLE) if self in self.lobby.unread else self.phase

    def settle(self) -> None:
        """Forget the deadline of the last answer if all of it has arrived."""
        if self._taking is not None and not self._is_unread():
            self._taking.cancel()
            self._taking = None
            self.lobby.unread.pop(self, None)
            self._take_rank()

    def _collect(self) -> None:
        self.settle()
        if self._taking is not None:
            self.dismiss()

    def _is_unread(self) -> bool:
        sock = self.transport.get_extra_info("socket")
        return self.transport.get_write_buffer_size() > 0 or _unacknowledged_bytes(sock) > 0


@functools.lru_cache(maxsize=1)
def _date_header(unix_seconds: int) -> list[tuple[bytes, bytes]]:
    return [(b"date", formatdate(unix_seconds, usegmt=True).encode())]


def _unacknowledged_bytes(sock: Any) -> int:  # noqa: ANN401 - asyncio's wrapper has no public name
    """Ask the kernel what the peer has not acknowledged. Source: tcp(7), SIOCOUTQ."""
    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    return int.from_bytes(answer, sys.byteorder)
