"""Be the one client that measures everybody: HTTP/1.1 on a bare socket, so that its own cost is small and the same.

Talks to: servers on loopback. Keeps a connection for as long as the server does.
"""

import gzip
import socket
import time
from dataclasses import dataclass
from typing import Self

from machine import Failed

TEXT = "text/plain;version=0.0.4"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
DEADLINE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for, as a column of the tables calls it."""

    name: str
    accept: str
    is_gzipped: bool


REQUESTS = (
    Request(name="OpenMetrics, gzip", accept=OPENMETRICS, is_gzipped=True),
    Request(name="text, gzip", accept=TEXT, is_gzipped=True),
    Request(name="OpenMetrics, plain", accept=OPENMETRICS, is_gzipped=False),
    Request(name="text, plain", accept=TEXT, is_gzipped=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer: how long it took, how many bytes came over the wire, and the body as it came."""

    seconds: float
    wire_bytes: int
    body: bytes

    def text(self) -> str:
        is_gzipped = self.body.startswith(b"\x1f\x8b")
        return (gzip.decompress(self.body) if is_gzipped else self.body).decode()


class Client:
    """One connection at a time to one server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._buffer = bytearray(1 << 20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def scrape(self, path: str, request: Request) -> Response:
        encoding = "Accept-Encoding: gzip\r\n" if request.is_gzipped else ""
        return self.get(path, f"Accept: {request.accept}\r\n{encoding}")

    def get(self, path: str, headers: str = "") -> Response:
        """GET *path*; the time runs from before the request (and the connection, where one is needed)."""
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n{headers}\r\n".encode()
        began = time.perf_counter()
        if self._socket is None:
            self._socket = socket.create_connection(
                ("127.0.0.1", self._port), timeout=DEADLINE_SECONDS
            )
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        head, pieces, stays = self._receive(self._socket)
        seconds = time.perf_counter() - began
        if not stays:
            self._leave()
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            raise Failed(f"expected 200, got {head[:60]!r}")
        body = _dechunked(pieces) if b"transfer-encoding: chunked" in head.lower() else pieces
        return Response(seconds=seconds, wire_bytes=len(head) + 4 + len(pieces), body=body)

    def _receive(self, connection: socket.socket) -> tuple[bytes, bytes, bool]:
        pieces, received, length, head = [], 0, None, b""
        while True:
            size = connection.recv_into(self._buffer)
            pieces.append(bytes(memoryview(self._buffer)[:size]))
            received += size
            if not head:
                whole = b"".join(pieces)
                head, found, rest = whole.partition(b"\r\n\r\n")
                if not found:
                    head = b""
                    if size == 0:
                        raise Failed("the server closed the connection")
                    continue
                length = _content_length(head)
                pieces, received = [rest], len(rest)
            if size == 0 or received == length:
                break
            if length is None and b"chunked" in head.lower() and pieces[-1].endswith(b"0\r\n\r\n"):
                break
        stays = (
            size > 0 and head.startswith(b"HTTP/1.1") and b"connection: close" not in head.lower()
        )
        return head, b"".join(pieces), stays

    def _leave(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _content_length(head: bytes) -> int | None:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return None


def _dechunked(pieces: bytes) -> bytes:
    body, at = bytearray(), 0
    while True:
        end = pieces.index(b"\r\n", at)
        size = int(pieces[at:end], 16)
        if size == 0:
            return bytes(body)
        body += pieces[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
