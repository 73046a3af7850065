"""Turn listen addresses into listening sockets, and sockets into the addresses that people open.

Talks to: the resolver and the kernel, at start only. May not know: HTTP, TLS, what will be served.
"""

import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

BACKLOG = 4096
MAX_PORT = 65535
CHOICES = 5
EXPECTED = 'expected ":port", "host:port" or "[IPv6]:port"'


class ListenError(OSError):
    """An address that cannot be listened on; the message names it and says how to mend it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """One address to listen on; *host* "" means every interface, *port* 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen_address(text: str) -> ListenAddress:
    """Read ":10144", "127.0.0.1:10144", "[::1]:10144" or "localhost:10144"; ValueError says what is wrong."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"{EXPECTED}, not {text!r}, which has no port")
    return ListenAddress(host=_host(host, text), port=_port(port, text))


def _host(host: str, text: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        address = host[1:-1]
        if not _is_ipv6(address):
            raise ValueError(f"{EXPECTED}, not {text!r}: {address!r} is no IPv6 address")
        return address
    if ":" in host:
        raise ValueError(f"{EXPECTED}, not {text!r}: an IPv6 address stands in brackets")
    if not all(char.isascii() and (char.isalnum() or char in "-._") for char in host):
        raise ValueError(f"{EXPECTED}, not {text!r}: {host!r} is no host name")
    return host


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _port(port: str, text: str) -> int:
    if not (port.isascii() and port.isdigit() and len(port) <= len(str(MAX_PORT)) and int(port) <= MAX_PORT):
        raise ValueError(f"expected a port from 0 to {MAX_PORT} after the last colon, not {port!r} in {text!r}")
    return int(port)


def bind(addresses: Iterable[ListenAddress]) -> list[socket.socket]:
    """Listen on each of *addresses*; on ListenError everything that was opened is closed again.

    ":port" is one socket for IPv6 and IPv4 where the machine has IPv6. A name is listened on at each of
    its addresses.
    """
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(sock) for address in addresses for sock in _listen(address)]
        opened.pop_all()
        return sockets


def _listen(address: ListenAddress) -> list[socket.socket]:
    """Listen on every address of a name; a port that the kernel chose for one may be taken at another: choose again."""
    for _ in range(CHOICES - 1 if address.port == 0 else 0):
        with contextlib.suppress(ListenError):
            return _listen_once(address)
    return _listen_once(address)


def _listen_once(address: ListenAddress) -> list[socket.socket]:
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        absent: OSError | None = None
        for family, host, *scope in _targets(address):
            if sockets and not address.host:
                break  # the first any-address takes IPv4 too
            port = sockets[0].getsockname()[1] if sockets else address.port
            try:
                sockets.append(opened.enter_context(_open(family, (host, port, *scope))))
            except OSError as exc:
                if exc.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise ListenError(_complaint(address, exc)) from exc
                absent = exc
        if not sockets and absent is not None:
            raise ListenError(_complaint(address, absent)) from absent
        opened.pop_all()
        return sockets


def _targets(address: ListenAddress) -> list[tuple[Any, ...]]:
    """List (family, numeric host, for IPv6 flow and scope) of *address*, each once, as the resolver sorts."""
    if not address.host:
        both = (socket.AF_INET6, "::", 0, 0), (socket.AF_INET, "0.0.0.0")  # noqa: S104 - asked for by leaving it out
        return list(both if socket.has_dualstack_ipv6() else both[1:])
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as exc:
        message = f"cannot listen on {address}: {address.host!r} does not resolve; give an address or mend the name"
        raise ListenError(message) from exc
    return list(dict.fromkeys((family, sockaddr[0], *sockaddr[2:]) for family, _, _, _, sockaddr in found))


def _open(family: int, target: tuple[Any, ...]) -> socket.socket:
    # asyncio turns Nagle's delay off only where the protocol is named: 44 ms less for a small answer.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setblocking(False)  # noqa: FBT003 - the standard library's signature
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if target[0] == "::" else 1)
        sock.bind(target)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _complaint(address: ListenAddress, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            what = "the port is in use; stop the other program or choose another port"
        case errno.EACCES:
            what = f"no permission for port {address.port}; choose a port above 1023"
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            what = "this machine does not have that address; choose one of its own"
        case _:
            what = os.strerror(error.errno) if error.errno else str(error)
    return f"cannot listen on {address}: {what}"


def urls(sockets: Iterable[socket.socket], *, tls: bool = False) -> list[str]:
    """Name what a person on this machine opens in a browser, without a trailing slash, each once."""
    scheme = "https" if tls else "http"
    return list(dict.fromkeys(f"{scheme}://{_authority(sock)}" for sock in sockets))


def _authority(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    if ipaddress.ip_address(host.partition("%")[0]).is_unspecified:
        return f"localhost:{port}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
