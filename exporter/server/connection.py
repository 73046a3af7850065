"""One HTTP/1.1 connection: uvicorn's, with a deadline for everything that its client can delay.

Talks to: one transport, and the kernel about its socket. Knows no TLS, no other connections,
nothing of what is served.

uvicorn waits forever for the rest of a request and for a client that does not read, and goes on
with requests whose client has gone. What a connection is doing is read off h11's two state
machines, so there is no second truth.
"""

import asyncio
import contextlib
import fcntl
import resource
import select
import socket
import struct
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import h11
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from exporter.server.request_checks import in_origin_form, refusal

NEW_SECONDS = 1.0
LARGE_BYTES, PIECE_BYTES = 64 * 1024, 256 * 1024
NO_LINGER = struct.pack("ii", 1, 0)  # struct linger: on, for 0 s


def connection_limit() -> int:
    """Return how many connections leave descriptors for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 256 if soft == resource.RLIM_INFINITY else min(256, soft // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a connection may be in each phase, and how much clients may ask of the server."""

    handshake_seconds: float = 10.0
    head_seconds: float = 10.0
    """From connecting, or from the first byte of a later request, to its last header."""
    request_seconds: float = float("inf")
    response_seconds: float = 25.0
    """From the first byte of a response until the client's machine has acknowledged the last."""
    discard_seconds: float = 2.0
    """For the rest of a request body that was not asked for, after the response."""
    idle_seconds: float = 75.0
    """Between two requests: longer than the usual scrape interval."""
    close_seconds: float = 25.0
    grace_seconds: float = 4.5
    reload_seconds: float = 5.0
    """Between two looks at the web config and its certificates."""
    head_bytes: int = 16 * 1024
    connections: int = field(default_factory=connection_limit)
    handshakes: int = 32
    """TLS handshakes under way: each takes a quarter of a megabyte."""
    unread_bytes: int = 64 * 1024 * 1024
    """What clients have not read yet of all responses together."""


class Connection(H11Protocol):
    """One connection, from the accept to its last byte; *on_body* is called before a large body is sent."""

    handshake: asyncio.Task[None]

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        limits: Limits,
        on_body: Callable[[], None],
    ) -> None:
        super().__init__(config, state, {})
        self.app = self._answer
        self.phase = "handshake"
        self.since = self.loop.time()
        self.sending_since: float | None = None
        self._limits, self._on_body = limits, on_body
        self._rest_bytes = 0
        self._request: asyncio.Task[None] | None = None
        self._has_answered = False

    @property
    def is_working(self) -> bool:
        """Whether a request is running that waits for us, not for its client."""
        return self.phase == "request" and not self.flow.write_paused

    @property
    def is_new(self) -> bool:
        """Whether it came a moment ago: what it asks for may be waiting to be read."""
        return not self._has_answered and self.loop.time() - self.since < NEW_SECONDS

    @property
    def unread_bytes(self) -> int:
        """How much of what it was sent the client's machine has not acknowledged."""
        unsent = self._rest_bytes + self.transport.get_write_buffer_size()
        with contextlib.suppress(
            OSError, ValueError
        ):  # the kernel knows what it has sent. Source: tcp(7), SIOCOUTQ
            answer = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
            return unsent + int.from_bytes(answer, sys.byteorder)
        return unsent

    def cut(self) -> None:
        """Close the connection now, and drop what the kernel still holds for it."""
        self.connections.discard(self)
        if self.phase == "handshake":
            self.handshake.cancel()
            return
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    def check(self) -> None:
        """Close the connection where a deadline has passed; asyncio times a handshake."""
        if self.phase == "handshake":
            return
        self._observe()
        now = self.loop.time()
        is_late = (
            self.sending_since is not None
            and now - self.sending_since >= self._limits.response_seconds
        )
        if is_late or (self.flow.read_paused and self._has_gone()):
            self.cut()
        elif now - self.since >= getattr(self._limits, f"{self.phase}_seconds"):
            self.cut() if self.phase == "close" else self.transport.close()

    def _has_gone(self) -> bool:
        """Whether the client has closed its side, which asyncio does not notice while it does not read."""
        poll = select.poll()
        with contextlib.suppress(ValueError):  # it is closed already
            poll.register(self._socket.fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    # What the transport reports

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._socket: Any = transport.get_extra_info("socket")
        self._observe()

    def data_received(self, data: bytes) -> None:
        """Pass *data* on in pieces: h11 measures a head only while it is incomplete."""
        for start in range(0, len(data), self._limits.head_bytes):
            if self.transport.is_closing() or self.conn.their_state in (
                h11.MUST_CLOSE,
                h11.CLOSED,
                h11.ERROR,
            ):
                return
            super().data_received(data[start : start + self._limits.head_bytes])
        self._observe()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the request that runs: its client has gone, or at least closed its side."""
        super().connection_lost(exc)
        if self._request is not None:
            self._request.cancel()

    # What uvicorn reports

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, or take one that waits already."""
        self._request, self._has_answered = None, True
        super().on_response_complete()
        self._unset_keepalive_if_required()  # the deadlines here cover more
        self.phase, self.since = self._phase_now(), self.loop.time()

    def send_400_response(self, msg: str) -> None:
        """Say what is wrong where that is still possible; a second response inside the first is not."""
        super().send_400_response(
            msg
        ) if self.conn.our_state is h11.IDLE else self.transport.abort()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._request = asyncio.current_task()
        try:
            await (
                self.flow.drain()
            )  # nothing is made for a client that has not read the response before
            if not self.cycle.disconnected:
                app = refusal(scope, self._limits.head_bytes) or self.config.loaded_app
                await app(
                    in_origin_form(scope), receive, lambda message: self._send_pieces(message, send)
                )
        except (
            asyncio.CancelledError
        ):  # the client has gone or the server stops; uvicorn would log a failure
            self.cycle.disconnected = True
            self.transport.abort()

    async def _send_pieces(self, message: Message, send: Send) -> None:
        """Send a body in pieces, as its client reads: none is copied whole."""
        body = memoryview(message.get("body", b""))
        self.sending_since = self.sending_since or self.loop.time()
        if len(body) > LARGE_BYTES:
            self._rest_bytes = len(body)
            self._on_body()
        while len(body) > PIECE_BYTES:
            await send({**message, "body": body[:PIECE_BYTES], "more_body": True})
            body = body[PIECE_BYTES:]
            self._rest_bytes = len(body)
            await asyncio.sleep(0)  # others, and the end of the connection, come in between
        await send({**message, "body": body} if body else message)
        self._rest_bytes = 0

    def _phase_now(self) -> str:
        ours, theirs = self.conn.our_state, self.conn.their_state
        if self.transport.is_closing():
            return "close"
        if ours is h11.IDLE:
            return "idle" if self._has_answered and not self.conn.trailing_data[0] else "head"
        if ours is h11.DONE and theirs is h11.SEND_BODY:
            return "discard"
        return "request" if ours in (h11.SEND_RESPONSE, h11.SEND_BODY) else "close"

    def _observe(self) -> None:
        """Begin a new phase where there is one, which further bytes do not prolong; see what was read."""
        phase = self._phase_now()
        if phase != self.phase:
            self.phase, self.since = phase, self.loop.time()
        if self.sending_since is not None and not self.unread_bytes:
            self.sending_since = None
