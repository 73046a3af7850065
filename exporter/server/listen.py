"""Turn listen addresses into listening sockets, and sockets into URLs for people.

Talks to: the resolver and the kernel, at start only. Knows no HTTP, no TLS, nothing of what will be
served.
"""

import contextlib
import errno
import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from exporter.parsers import quoted

# Connections that wait to be accepted: the usual upper limit of Linux (net.core.somaxconn).
BACKLOG = 4096
ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
EXPECTED = 'expected ":port", "host:port" or "[IPv6]:port" with a port from 0 to 65535'
ADDRESS = re.compile(
    r"(?:\[(?P<ipv6>[0-9a-fA-F]*:[0-9a-fA-F.]*:[0-9a-fA-F:.]*)\]|(?P<host>[a-zA-Z0-9._-]*))"
    r":(?P<port>[0-9]{1,5})"
)


class ListenError(OSError):
    """An address that cannot be listened on; the message names it and says how to fix it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """An address to listen on; host "" means every interface, port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen_address(text: str) -> ListenAddress:
    """Read ":10144", "127.0.0.1:10144", "[::1]:10144" or "localhost:10144".

    Raises ValueError that says what was expected.
    """
    match = ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:  # noqa: PLR2004 - the largest port
        raise ValueError(f"{EXPECTED}, not {quoted(text)}")
    return ListenAddress(host=match["ipv6"] or match["host"] or "", port=int(match["port"]))


def parse_listen_addresses(text: str) -> tuple[ListenAddress, ...]:
    """Read one address or several, separated by commas."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(parse_listen_address(part) for part in parts or [text])


def bind(addresses: Iterable[ListenAddress]) -> list[socket.socket]:
    """Listen on each of *addresses*; on ListenError everything that was opened is closed again.

    ":port" is one socket for IPv6 and IPv4 where the machine has IPv6. A name is listened on at
    each of its addresses.
    """
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        for address in addresses:
            sockets += _listen(address, opened)
        opened.pop_all()
        return sockets


def _listen(address: ListenAddress, opened: contextlib.ExitStack) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    for family, target in _targets(address):
        port = sockets[0].getsockname()[1] if sockets else address.port
        try:
            sockets.append(opened.enter_context(_open(family, (target[0], port, *target[2:]))))
        except OSError as exc:
            if exc.errno not in ABSENT:
                raise ListenError(_complaint(address, exc)) from exc
            absent = exc
        if sockets and not address.host:
            break  # the first any-address takes IPv4 too
    if not sockets and absent is not None:
        raise ListenError(_complaint(address, absent)) from absent
    return sockets


def _targets(address: ListenAddress) -> list[tuple[int, tuple[Any, ...]]]:
    """List the family and socket address of each address of *address*, in the resolver's order."""
    if not address.host:
        four = (socket.AF_INET, ("0.0.0.0", 0))  # noqa: S104 - asked for by leaving it out
        return [(socket.AF_INET6, ("::", 0)), four] if socket.has_dualstack_ipv6() else [four]
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as exc:
        message = (
            f"cannot listen on {address}: {address.host!r} does not resolve; "
            "give an address or fix the name"
        )
        raise ListenError(message) from exc
    return list(dict.fromkeys((family, target) for family, _, _, _, target in found))


def _open(family: int, target: tuple[Any, ...]) -> socket.socket:
    is_any = family == socket.AF_INET6 and target[0] == "::"
    sock = socket.create_server(target, family=family, backlog=BACKLOG, dualstack_ipv6=is_any)
    sock.setblocking(False)  # noqa: FBT003 - the standard library's signature
    # Accepted sockets inherit it: 44 ms less for a small response.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _complaint(address: ListenAddress, error: OSError) -> str:
    what = {
        errno.EADDRINUSE: "the port is in use; stop the other program, or choose another port with "
        "--web.listen-address",
        errno.EACCES: f"no permission for port {address.port}; choose a port above 1023",
    } | dict.fromkeys(ABSENT, "this machine does not have that address; choose one that it has")
    reason = what.get(error.errno or 0, os.strerror(error.errno or 0))
    return f"cannot listen on {address}: {reason}"


def urls(sockets: Iterable[socket.socket], *, tls: bool = False) -> list[str]:
    """List the URLs to open on this machine, without trailing slash and duplicates."""
    scheme = "https" if tls else "http"
    return list(dict.fromkeys(f"{scheme}://{_authority(sock)}" for sock in sockets))


def _authority(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    if ipaddress.ip_address(host.partition("%")[0]).is_unspecified:
        return f"localhost:{port}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
