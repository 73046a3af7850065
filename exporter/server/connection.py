"""One HTTP/1.1 connection: uvicorn's, with a deadline for everything that its client can delay.

Talks to: one transport, and the kernel about its socket. Knows no other connections, nothing of
what is served.

uvicorn waits forever for the rest of a request and for a client that does not read, and continues
requests whose client has gone. What a connection is doing is derived from h11's two states
(`phase`), so it cannot disagree with them. tests/unit/server/test_uvicorn.py lists the names of
uvicorn that this module relies on.
"""

import asyncio
import contextlib
import fcntl
import select
import socket
import ssl
import struct
import sys
import termios
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from exporter.server.limits import Limits
from exporter.server.phase import Phase, PhaseClock, phase_of
from exporter.server.request_checks import in_origin_form, refusal

# A client sends its first request within moments of connecting, so it may be about to arrive.
NEW_SECONDS = 1.0
# How long a client may take to confirm the end of TLS.
TLS_SHUTDOWN_SECONDS = 2.0
# Smaller bodies fit into the socket's buffers: sending them costs no memory of ours.
LARGE_BYTES = 64 * 1024
# Small enough that a copy is cheap, large enough that a body of 10 MB takes few turns.
PIECE_BYTES = 256 * 1024
# struct linger: on, for 0 s.
NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Sending:
    """What the client has not read yet of responses.

    *since* is when the response deadline started, in seconds of the event loop; None if everything
    is known to be read. *rest_bytes* is the part of the body that was not given to uvicorn yet.
    """

    since: float | None = None
    rest_bytes: int = 0


class Connection(H11Protocol):
    """One connection, from accept to its last byte.

    *on_body* is called before a large body is sent.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        limits: Limits,
        on_body: Callable[[], None],
    ) -> None:
        super().__init__(config, state, {})
        # uvicorn calls this in place of the configured application.
        self.app = self._answer
        self._limits = limits
        self._on_body = on_body
        self._clock = PhaseClock(self.loop.time())
        self._sending = Sending()
        self._has_answered = False
        # None before the handshake has ended. Any: asyncio's TransportSocket has no public type.
        self._socket: Any = None
        self._handshake: asyncio.Task[None] | None = None
        self._request: asyncio.Task[None] | None = None

    def connect(self, sock: socket.socket, context: ssl.SSLContext | None) -> asyncio.Task[None]:
        """Start to serve the accepted *sock*, with TLS if there is a *context*."""
        self._handshake = self.loop.create_task(self._connect(sock, context))

        def close_unless_started(task: asyncio.Task[None]) -> None:
            # A task that is cancelled before its first step never hands the socket to asyncio.
            if task.cancelled():
                sock.close()

        self._handshake.add_done_callback(close_unless_started)
        return self._handshake

    async def _connect(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        handshake_seconds = None
        shutdown_seconds = None
        if context is not None:
            handshake_seconds = self._limits.deadlines[Phase.HANDSHAKE]
            shutdown_seconds = TLS_SHUTDOWN_SECONDS
        try:
            await self.loop.connect_accepted_socket(
                lambda: self,
                sock,
                ssl=context,
                ssl_handshake_timeout=handshake_seconds,
                ssl_shutdown_timeout=shutdown_seconds,
            )
        except (OSError, asyncio.CancelledError) as exc:
            # The client failed, or the connection was cut. Its frames hold the TLS buffers, which
            # would otherwise stay until the garbage collector runs.
            traceback.clear_frames(exc.__traceback__)
            self.connections.discard(self)

    # What the server asks

    @property
    def phase(self) -> Phase:
        """What the connection is doing now."""
        if self._socket is None:
            return Phase.HANDSHAKE
        return phase_of(
            self.conn.our_state,
            self.conn.their_state,
            closing=self.transport.is_closing(),
            answered=self._has_answered,
            waiting=self.conn.trailing_data[0],
        )

    @property
    def since(self) -> float:
        """When the current phase began, in seconds of the event loop."""
        return self._clock.since

    @property
    def sending_since(self) -> float | None:
        """When the oldest response that may be unread was begun, in seconds of the event loop."""
        return self._sending.since

    @property
    def is_working(self) -> bool:
        """Whether a request is running that waits for the exporter, not for its client."""
        return self.phase is Phase.REQUEST and not self.flow.write_paused

    @property
    def is_new(self) -> bool:
        """Whether the client connected a moment ago, so that its request may be about to arrive."""
        return not self._has_answered and self.loop.time() - self.since < NEW_SECONDS

    @property
    def unread_bytes(self) -> int:
        """How many bytes of the responses the client's machine has not acknowledged."""
        unsent = self._sending.rest_bytes + self.transport.get_write_buffer_size()
        # The kernel knows what it has sent. Source: tcp(7), SIOCOUTQ. A closed socket has nothing.
        with contextlib.suppress(OSError, ValueError):
            answer = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
            return unsent + int.from_bytes(answer, sys.byteorder)
        return unsent

    def cut(self) -> None:
        """Close the connection now, and drop what the kernel still holds for it."""
        self.connections.discard(self)
        if self._socket is None:
            if self._handshake is not None:
                self._handshake.cancel()
            return
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    def check(self) -> None:
        """Close the connection if a deadline has passed."""
        phase = self.phase
        # asyncio itself limits the time of a handshake.
        if phase is Phase.HANDSHAKE:
            return
        now = self.loop.time()
        self._clock.observe(phase, now)
        if self._is_read_too_slowly(now) or self._has_client_gone():
            self.cut()
            return
        if now - self._clock.since >= self._limits.deadlines[phase]:
            if phase is Phase.CLOSE:
                self.cut()
            else:
                self.transport.close()

    def _is_read_too_slowly(self, now: float) -> bool:
        """Whether the deadline of a response has passed; forget the deadline if all is read."""
        if self._sending.since is None:
            return False
        if not self.unread_bytes:
            self._sending.since = None
            return False
        return now - self._sending.since >= self._limits.response_seconds

    def _has_client_gone(self) -> bool:
        """Whether the client closed its side; asyncio does not notice while reading is paused."""
        if not self.flow.read_paused:
            return False
        poll = select.poll()
        # A closed socket has no descriptor to register.
        with contextlib.suppress(ValueError):
            poll.register(self._socket.fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    # What the transport reports

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline of the first request head."""
        super().connection_made(transport)
        self._socket = transport.get_extra_info("socket")
        self._clock.observe(self.phase, self.loop.time())

    def data_received(self, data: bytes) -> None:
        """Pass *data* on in pieces, since h11 measures a head only while it is incomplete."""
        for start in range(0, len(data), self._limits.head_bytes):
            if self.transport.is_closing() or self._has_client_finished():
                return
            super().data_received(data[start : start + self._limits.head_bytes])
        self._clock.observe(self.phase, self.loop.time())

    def _has_client_finished(self) -> bool:
        """Whether h11 accepts no further bytes of the client."""
        return self.conn.their_state in (h11.MUST_CLOSE, h11.CLOSED, h11.ERROR)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the running request: its client has gone, or at least closed its side."""
        super().connection_lost(exc)
        if self._request is not None:
            self._request.cancel()

    # What uvicorn reports

    def on_response_complete(self) -> None:
        """Start the idle timer, or process the next pipelined request."""
        self._request = None
        self._has_answered = True
        super().on_response_complete()
        # uvicorn would close an idle connection after 5 s. The deadlines here replace its timer.
        self._unset_keepalive_if_required()
        # A pipelined request is a new one, although the phase is still `REQUEST`.
        self._clock.restart(self.phase, self.loop.time())

    def send_400_response(self, msg: str) -> None:
        """Report a bad request, or close the connection if a response has already begun."""
        if self.conn.our_state is h11.IDLE:
            super().send_400_response(msg)
        else:
            self.transport.abort()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._request = asyncio.current_task()

        async def send_in_pieces(message: Message) -> None:
            await self._send_pieces(message, send)

        try:
            # No response is made for a client that has not read the one before.
            await self.flow.drain()
            if not self.cycle.disconnected:
                app = refusal(scope, self._limits.head_bytes) or self.config.loaded_app
                await app(in_origin_form(scope), receive, send_in_pieces)
        except asyncio.CancelledError:
            # The client has gone, or the server stops. uvicorn would log a failure.
            self.cycle.disconnected = True
            self.transport.abort()

    async def _send_pieces(self, message: Message, send: Send) -> None:
        """Send a body in pieces, as its client reads: none is copied whole."""
        body = memoryview(message.get("body", b""))
        self._start_sending()
        if len(body) > LARGE_BYTES:
            self._sending.rest_bytes = len(body)
            self._on_body()
        while len(body) > PIECE_BYTES:
            await send({**message, "body": body[:PIECE_BYTES], "more_body": True})
            body = body[PIECE_BYTES:]
            self._sending.rest_bytes = len(body)
            # Let other connections, and the loss of this one, be handled in between.
            await asyncio.sleep(0)
        await send({**message, "body": body} if body else message)
        self._sending.rest_bytes = 0

    def _start_sending(self) -> None:
        """Start the response deadline, unless an earlier part of a response is still unread."""
        if self._sending.since is None or not self.unread_bytes:
            self._sending.since = self.loop.time()
