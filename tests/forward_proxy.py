"""Simulate the HTTP proxy of a company's network over real sockets.

Talks to: loopback only. Whatever host a client asks for, the proxy connects it to the one gateway on
this machine, so a test can give its gateway any name.

    with Gateway(...) as gateway, ForwardProxy(gateway.port) as proxy:
        ...  # send requests for https://gateway.example through 127.0.0.1:proxy.port
    assert proxy.asked == ["CONNECT gateway.example:443 HTTP/1.1"]
"""

import base64
import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

NEEDS_LOGIN = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"
# No test waits longer than this for a byte.
SOCKET_SECONDS = 10


@dataclass
class ForwardProxy:
    """Serves until it is left.

    *login* is the `USER:PASSWORD` that it wants; None lets all pass. *response* is sent to every
    request, in place of a connection; *breaks* closes the connection after the tunnel is opened.
    With *ssl_context* it speaks TLS itself. *asked* are the first lines of the requests.
    """

    port_of_gateway: int = 0
    login: str | None = None
    response: bytes | None = None
    breaks: bool = False
    ssl_context: ssl.SSLContext | None = None
    asked: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(SOCKET_SECONDS)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.settimeout(SOCKET_SECONDS)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
            opened.callback(client.close)
            if self.ssl_context is not None:
                client = self.ssl_context.wrap_socket(client, server_side=True)
                opened.callback(client.close)
            head = _read_head(client)
            if not head:
                return
            first_line, _, headers = head.partition(b"\r\n")
            self.asked.append(first_line.decode())
            if self.response is not None:
                client.sendall(self.response)
            elif not self._is_allowed(headers):
                client.sendall(NEEDS_LOGIN)
            else:
                self._connect(client, first_line, headers)

    def _is_allowed(self, headers: bytes) -> bool:
        if self.login is None:
            return True
        sent = base64.b64encode(self.login.encode())
        return b"proxy-authorization: basic " + sent.lower() in headers.lower()

    def _connect(self, client: socket.socket, first_line: bytes, headers: bytes) -> None:
        method, target, version = first_line.split(b" ")
        address = ("127.0.0.1", self.port_of_gateway)
        with socket.create_connection(address, SOCKET_SECONDS) as gateway:
            if method == b"CONNECT":
                client.sendall(OPENED)
                if self.breaks:
                    return
            else:
                path = urlsplit(target.decode())._replace(scheme="", netloc="").geturl().encode()
                gateway.sendall(b" ".join([method, path, version]) + b"\r\n" + headers)
            back = threading.Thread(target=_pump, args=(gateway, client), daemon=True)
            back.start()
            _pump(client, gateway)
            back.join(SOCKET_SECONDS)


def _read_head(client: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = client.recv(4096)
        if not piece:
            return b""
        head += piece
    return head


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until there are no more."""
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
