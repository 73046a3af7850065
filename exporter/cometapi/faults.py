"""Say in words why a request got no response, and whose fault that is.

The gateway's or the proxy's.

Talks to: the kernel, to see whether descriptors are left. It knows the errors of sockets, of TLS
and of HTTP/1.1, but not the HTTP client. No text of an error is quoted, since it may hold a secret:
the words come from its type, or from OpenSSL's closed sets.
"""

import errno
import itertools
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import h11

from exporter import descriptors
from exporter.cometapi.proxies import Proxy
from exporter.workers import NoThread

# Causes may form a circle.
MOST_CAUSES = 20
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
_SHORTAGES = {
    errno.EMFILE: "no file descriptor is left: raise the limit (LimitNOFILE, ulimit -n)",
    errno.ENFILE: "this machine has no file descriptor left",
}
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(slots=True)
class Route:
    """The way of one request to *base_url*, through *proxy* unless it is None.

    *is_at_proxy* is true from the attempt to connect to the proxy until the proxy has opened the
    tunnel to the gateway.
    """

    base_url: str
    proxy: Proxy | None = None
    is_at_proxy: bool = False

    @property
    def host(self) -> str:
        """The gateway's host, an IPv6 address without brackets."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def address(self) -> str:
        """The gateway's host and port."""
        parts = urlsplit(self.base_url)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"

    @property
    def place(self) -> str:
        """Where the request is: what a fault is blamed on."""
        if self.proxy is None:
            return self.address
        if self.is_at_proxy:
            return str(self.proxy)
        return f"{self.address} through {self.proxy}"

    @property
    def is_forwarded(self) -> bool:
        """Whether the proxy reads the request itself, as it does for a gateway without TLS."""
        return self.proxy is not None and self.base_url.startswith("http:")

    def record(self, event: str) -> None:
        """Note how far the request has come, by the names of httpcore's trace events.

        Source: https://www.encode.io/httpcore/extensions/#trace
        """
        if event == "connection.connect_tcp.started":
            self.is_at_proxy = self.proxy is not None
        elif event == "proxy.start_tls.started":
            self.is_at_proxy = False


def describe(error: BaseException, route: Route, *, is_connected: bool) -> str:
    """Return why there is no response, from the first cause of *error* that says something.

    *is_connected* is false where no connection could be made.
    """
    for cause in causes_of(error):
        fault = _fault_of(cause, route)
        if fault is not None:
            return fault
    if is_connected:
        return f"the connection to {route.place} broke before the response was complete"
    return f"cannot connect to {route.place}"


def describe_shortage(error: BaseException) -> str | None:
    """Return what this machine lacked, None if the fault is elsewhere."""
    for cause in causes_of(error):
        if isinstance(cause, NoThread):
            return str(cause.strerror)
        if isinstance(cause, OSError) and cause.errno in _SHORTAGES:
            return _SHORTAGES[cause.errno]
        # The resolver's own error looks like a name that does not exist.
        if isinstance(cause, socket.gaierror) and descriptors.are_used_up():
            return _SHORTAGES[errno.EMFILE]
    return None


def describe_refusal(status: int, route: Route) -> str:
    """Return what the proxy says by its HTTP *status*, in place of opening a way to the gateway."""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        if route.proxy is not None and route.proxy.login is not None:
            return f"{route.proxy} rejects the user and password of its URL (HTTP 407)"
        return f"{route.proxy} requires a user and a password in its URL (HTTP 407)"
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    return f"{route.proxy} does not connect to {route.address}: HTTP {status}{phrase}"


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what led to it; of several failed attempts at one host the first."""
    return itertools.islice(_chain(error), MOST_CAUSES)


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        first = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else None
        cause = first or cause.__cause__ or cause.__context__


def _fault_of(cause: BaseException, route: Route) -> str | None:
    match cause:
        case ssl.SSLError():
            return _fault_of_tls(cause, route)
        case socket.gaierror():
            name = f"the name of {route.proxy}" if route.is_at_proxy else route.host
            return f"cannot resolve {name}"
        case ConnectionRefusedError():
            return f"cannot connect to {route.place}: connection refused"
        case ConnectionResetError():
            return f"the connection to {route.place} was reset"
        case h11.RemoteProtocolError() if route.is_at_proxy:
            return f"{route.place} does not speak HTTP"
    return None


def _fault_of_tls(error: ssl.SSLError, route: Route) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate of {route.place} is not trusted: {error.verify_message}"
    if error.reason not in _NO_TLS:
        return f"TLS: no secure connection to {route.place}: {error.reason or 'broken off'}"
    url = "its URL" if route.is_at_proxy else "the base URL"
    return f"{route.place} does not speak TLS: is {url} http:// instead?"
