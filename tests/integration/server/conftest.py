"""A real server on a loopback port, in a thread of its own, and plain sockets to trouble it with."""

import asyncio
import contextlib
import logging
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from exporter.server.limits import DEADLINES, Limits
from exporter.server.listen import ListenAddress, bind
from exporter.server.phase import Phase
from exporter.server.serve import serve
from exporter.server.tls import WebConfigFile

PATIENCE_SECONDS = 10


@dataclass
class RunningServer:
    """A server under test; *complaints* is whatever the event loop had to report."""

    app: Any
    limits: Limits
    web_config: WebConfigFile | None
    complaints: list[str] = field(default_factory=list)
    clients: list[socket.socket] = field(default_factory=list)
    port: int = 0
    stopped_after: float = 0.0

    def connect(self, send: bytes = b"", *, receive_buffer: int | None = None) -> socket.socket:
        """Open a plain connection and send something; a small *receive_buffer* makes a reader that is soon full."""
        sock = socket.socket()
        self.clients.append(sock)
        sock.settimeout(PATIENCE_SECONDS)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            sock.connect(("127.0.0.1", self.port))
        except OSError:
            sock.close()
            raise
        with contextlib.suppress(OSError):
            sock.sendall(send)
        return sock

    def exchange(self, request: bytes) -> bytes:
        """Send *request* and read until the server closes or falls silent."""
        with self.connect(request) as sock:
            return self.read_all(sock)

    @staticmethod
    def read_all(sock: socket.socket) -> bytes:
        """Read until the peer closes, resets, or says nothing for the socket's timeout."""
        parts = []
        with contextlib.suppress(OSError):
            while part := sock.recv(65536):
                parts.append(part)
        return b"".join(parts)

    @staticmethod
    def take(sock: socket.socket, end: bytes) -> bytes:
        """Read until *end* has come."""
        taken = b""
        while not taken.endswith(end):
            part = sock.recv(65536)
            assert part, taken
            taken += part
        return taken

    @staticmethod
    def is_open(sock: socket.socket) -> bool:
        """Whether the server still holds the connection; unread data is thrown away."""
        sock.settimeout(0)
        try:
            while sock.recv(65536):
                pass
        except BlockingIOError:
            return True
        except OSError:
            return False
        else:
            return False
        finally:
            sock.settimeout(PATIENCE_SECONDS)

    def start(self) -> None:
        """Bind, and serve in a thread until `stop`."""
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(started)))
        self._thread.start()
        assert started.wait(PATIENCE_SECONDS)

    async def _run(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, context: self.complaints.append(str(context)))
        self._stop = asyncio.Event()
        sockets = bind([ListenAddress(host="127.0.0.1", port=0)])
        self.port = sockets[0].getsockname()[1]
        started.set()
        await serve(
            self.app, sockets, stop=self._stop, web_config=self.web_config, limits=self.limits
        )
        await asyncio.sleep(0)
        self.complaints += [
            f"task left: {task!r}"
            for task in asyncio.all_tasks()
            if task is not asyncio.current_task()
        ]
        self.complaints += [f"socket left: {sock!r}" for sock in sockets if sock.fileno() != -1]

    def stop(self) -> None:
        """Tell the server to stop and wait until it has; once is enough."""
        if self._thread.is_alive():
            begun = time.monotonic()
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(PATIENCE_SECONDS)
            self.stopped_after = time.monotonic() - begun
        assert not self._thread.is_alive()


def page(body: bytes = b"up 1\n") -> Any:
    """Make an ASGI application that answers *body*."""

    async def app(_: Any, __: Any, send: Any) -> None:
        length = str(len(body)).encode()
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
        )
        await send({"type": "http.response.body", "body": body})

    return app


@pytest.fixture(scope="session", autouse=True)
def _many_descriptors() -> None:
    """Crowds of clients live in this process: lift its soft limit as far as they need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Lines(logging.Handler):
    """Whatever is logged, by whatever thread, from warnings upwards."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def limits_with(*, reload_seconds: float = 0.05, **over: Any) -> Limits:
    """Make limits; a deadline is named after its phase, as in *head_seconds*."""
    deadlines = dict(DEADLINES)
    for phase in Phase:
        seconds = over.pop(f"{phase.name.lower()}_seconds", None)
        if seconds is not None:
            deadlines[phase] = seconds
    return Limits(deadlines=deadlines, reload_seconds=reload_seconds, **over)


@pytest.fixture
def start() -> Iterator[Callable[..., RunningServer]]:
    """Start servers; at the end none may have left a task, a socket, or a line in the log."""
    servers: list[RunningServer] = []
    log = Lines()
    logging.getLogger().addHandler(log)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # as the program does

    def begin(
        app: Any = None,
        *,
        body: bytes = b"up 1\n",
        web_config: WebConfigFile | None = None,
        **limits: Any,
    ) -> RunningServer:
        server = RunningServer(app or page(body), limits_with(**limits), web_config)
        server.start()
        servers.append(server)
        return server

    yield begin
    for server in servers:
        for client in server.clients:
            client.close()
        server.stop()
    logging.getLogger().removeHandler(log)
    assert [complaint for server in servers for complaint in server.complaints] == []
    assert log.lines == []
