"""Send GETs to one gateway, and bring back the whole answer of each, or say why there is none.

Talks to: the network, by httpx, which no other file knows. Knows no keys, no pages, no retries. An
answer is bounded in time (one deadline for all of it) and in size (decoded, so that a small body
cannot unpack into a large one). No error quotes a header, a URL or the text of a library's error,
since those may hold the access token.

A request that is cancelled or broken off at a bad moment can leave its connection in the library's
pool for ever, neither idle nor closed; a few of them, and every further request waits in vain. So
after a request without a whole response the next ones go through a new pool, and the old one is
closed when its last request has ended.
"""

import asyncio
import os
import ssl
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Protocol, TypeVar

import httpx

from exporter import __version__
from exporter.cometapi.answer import Answer
from exporter.cometapi.faults import Route, causes_of, describe, describe_refusal, describe_shortage
from exporter.cometapi.proxies import Proxy
from exporter.cometapi.trust import GivenFile, system_store, trust_in
from exporter.credentials import HeadersFile, Secret
from exporter.errors import ApiError, InvalidResponse, TimedOut, Unreachable
from exporter.workers import ACCOUNT_FILES, NoThread, SingleFlight

HEADERS = {
    "User-Agent": f"cometapi-exporter/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    # Caches on the way keep JSON as well; an old balance is worse than a slow one.
    "Cache-Control": "no-cache",
}
USER_HEADERS = (
    "New-Api-User",
    "Veloera-User",
    "Rix-Api-User",
    "voapi-user",
    "X-Api-User",
    "User-id",
    "neo-api-user",
)
"""The names under which gateways of the family ask for the user ID; each ignores the others."""
RAW = "raw"
BEARER = "bearer"
KEEP_CONNECTIONS_SECONDS = 120.0
LARGEST_BODY = 8 * 1024 * 1024
# What follows a member is copied to read the next one: a hundred copies of 8 MiB take 0.1 s.
MOST_MEMBERS = 100
_GZIP = 16 + zlib.MAX_WBITS
# Source: the registry of HTTP content codings, and formats that servers are known to send.
_COMPRESSIONS = frozenset(
    [
        "gzip",
        "x-gzip",
        "br",
        "zstd",
        "deflate",
        "compress",
        "x-compress",
        "dcb",
        "dcz",
        "exi",
        "pack200-gzip",
        "bzip2",
        "xz",
        "lzma",
    ]
)
Content = TypeVar("Content")
_UNREADABLE_ADDRESS = (httpx.InvalidURL, UnicodeError)


@dataclass(slots=True)
class _Pool:
    """The library's pool, the certificates that it trusts, and how many requests use it."""

    http: httpx.AsyncClient
    context: ssl.SSLContext
    users: int = 0


class _Socket(Protocol):
    async def aclose(self) -> None: ...


class _Trace:
    """How far one request has come on its *route*, and its socket until the library knows it.

    The library forgets the socket of a TLS handshake that is given up, and Python would close it
    only when it is collected.
    """

    def __init__(self, route: Route) -> None:
        self.route = route
        self._new_socket: _Socket | None = None

    async def record(self, event: str, info: Mapping[str, Any]) -> None:
        """Note *event*, named as in https://www.encode.io/httpcore/extensions/#trace."""
        self.route.record(event)
        if event == "connection.connect_tcp.complete":
            self._new_socket = info["return_value"]
        elif event == "connection.start_tls.complete":
            self._new_socket = None

    async def close_socket(self) -> None:
        """Close the socket that the library may have forgotten."""
        if self._new_socket is not None:
            await self._new_socket.aclose()


class Connections:
    """Up to *at_once* connections of one account, none of them open yet.

    They go through *proxy*, None for the direct way; the library reads no variables itself. Each
    whole exchange has *timeout* seconds, from the moment a connection is free: *free* limits those
    of all accounts, `share` how many of them are this account's. With the *auth_scheme* `bearer`
    the word Bearer is sent before the token; what *headers_file* holds is sent with every request,
    and read each time. Requests fail while *ca_file* could not be read yet. Mutable are the share,
    the pool in use, and the old ones that are being closed.
    """

    def __init__(
        self,
        base_url: str,
        *,
        user_id: int | None,
        ca_file: GivenFile | None,
        proxy: Proxy | None = None,
        timeout: float,
        at_once: int,
        auth_scheme: str = RAW,
        headers_file: HeadersFile | None = None,
        free: asyncio.Semaphore | None = None,
    ) -> None:
        self._base_url = base_url
        self._user_id = user_id
        self._auth_scheme = auth_scheme
        self._headers = headers_file
        self._files = SingleFlight(f"files of {base_url}", ACCOUNT_FILES)
        self._proxy = proxy
        self._trust = trust_in(ca_file or system_store(os.environ))
        self._timeout = timeout
        self._free = free or asyncio.Semaphore(at_once)
        self._at_once = at_once
        self._share = at_once
        self._own_free = asyncio.Semaphore(at_once)
        self._closing: set[asyncio.Task[None]] = set()
        self._pool = self._open_pool()

    async def fetch(self, path: str, params: Mapping[str, str], token: Secret) -> Answer:
        """GET *path*; raises TimedOut, Unreachable or InvalidResponse (too large).

        Raises ApiError itself where this machine lacks something.
        """
        headers = await self._request_headers(token)
        await self._await_trust()
        async with self._own_free, self._free:
            return await self._fetch(path, params, headers)

    def share(self, most: int) -> None:
        """Open at most *most* connections; where that is 0, one at a time, and keep none open."""
        most = min(self._at_once, most)
        if most != self._share:
            self._share = most
            self._own_free = asyncio.Semaphore(max(1, most))
            self._replace_pool()

    async def _fetch(
        self, path: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> Answer:
        self._follow_trust()
        pool = self._pool
        trace = _Trace(Route(self._base_url, self._proxy))
        pool.users += 1
        try:
            return await self._exchange(pool.http, path, params, headers, trace)
        except BaseException:
            if pool is self._pool:
                self._pool = self._open_pool()
            await trace.close_socket()
            raise
        finally:
            pool.users -= 1
            if pool is not self._pool and pool.users == 0:
                await asyncio.shield(self._start_closing(pool))

    def _follow_trust(self) -> None:
        """Let the next requests go through a new pool where other certificates are trusted now."""
        self._trust.follow()
        if self._pool.context is not self._trust.context:
            self._replace_pool()

    def _replace_pool(self) -> None:
        """Let the next requests go through a new pool.

        The old one is closed when its last request has ended.
        """
        old = self._pool
        self._pool = self._open_pool()
        if old.users == 0:
            self._start_closing(old)

    def _start_closing(self, pool: _Pool) -> asyncio.Task[None]:
        closing = asyncio.create_task(pool.http.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        return closing

    async def _exchange(
        self,
        http: httpx.AsyncClient,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        trace: _Trace,
    ) -> Answer:
        route = trace.route
        try:
            async with (
                asyncio.timeout(self._timeout),
                http.stream(
                    "GET",
                    path,
                    params=params,
                    headers=headers,
                    extensions={"trace": trace.record},
                ) as response,
            ):
                if (
                    route.is_forwarded
                    and response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
                ):
                    raise Unreachable(describe_refusal(response.status_code, route))
                return Answer(
                    status=response.status_code,
                    headers=dict(response.headers),
                    body=await _read_body(response),
                    received_at=time.time(),
                    user_id=self._user_id,
                )
        except (TimeoutError, httpx.TimeoutException):
            raise TimedOut(
                f"no complete response from {route.place} within {self._timeout:g} s"
            ) from None
        except (httpx.HTTPError, *_UNREADABLE_ADDRESS) as error:
            raise _no_answer(error, route) from None

    async def _request_headers(self, token: Secret) -> dict[str, str]:
        """Return the headers of one request; the user's own replace those of the same name.

        Raises Blocked where they cannot be read, TimedOut where not in time.
        """
        authorization = token.reveal()
        if self._auth_scheme == BEARER:
            authorization = f"Bearer {authorization}"
        headers = {"Authorization": authorization}
        if self._headers is None:
            return headers
        own = await self._read_file(self._headers.read, self._headers.origin)
        return headers | {name: value.reveal() for name, value in own.items()}

    async def _await_trust(self) -> None:
        """Read the trusted certificates if they could not be read yet.

        Raises Unreachable while they still cannot, TimedOut where not in time.
        """
        if not self._trust.unread:
            return
        place = f"the file of trusted certificates {self._trust}"
        await self._read_file(self._trust.look, place)
        if self._trust.unread:
            raise Unreachable(f"cannot read {place}: {self._trust.unread}")

    async def _read_file(self, read: Callable[[], Content], place: str) -> Content:
        """Return what *read* returns; raises ApiError without a thread, TimedOut where it hangs."""
        try:
            return await self._files.run(read)
        except NoThread as shortage:
            raise ApiError(str(shortage.strerror)) from None
        except TimeoutError:
            raise TimedOut(f"{place} could not be read in time") from None

    def _open_pool(self) -> _Pool:
        """Make a pool that follows no redirects, keeps no cookies and reads no variables."""
        context = self._trust.context
        user_headers = {}
        if self._user_id is not None:
            user_headers = dict.fromkeys(USER_HEADERS, str(self._user_id))
        http = httpx.AsyncClient(
            base_url=self._base_url,
            verify=context,
            proxy=None if self._proxy is None else _proxy_of(self._proxy, context),
            follow_redirects=False,
            trust_env=False,
            timeout=None,  # noqa: S113 - each whole exchange has a deadline of its own
            limits=httpx.Limits(
                max_connections=max(1, self._share),
                max_keepalive_connections=self._share,
                keepalive_expiry=KEEP_CONNECTIONS_SECONDS,
            ),
            headers=HEADERS | user_headers,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        return _Pool(http, context)

    async def aclose(self) -> None:
        """Close all."""
        await asyncio.gather(self._pool.http.aclose(), *self._closing)


def _proxy_of(proxy: Proxy, context: ssl.SSLContext) -> httpx.Proxy:
    """Return the proxy as the library wants it: no context where the way to it is plain."""
    auth = None
    if proxy.login is not None:
        user, _, password = proxy.login.reveal().partition(":")
        auth = (user, password)
    is_tls = proxy.scheme == "https"
    return httpx.Proxy(proxy.url, ssl_context=context if is_tls else None, auth=auth)


async def _read_body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > LARGEST_BODY:
            raise _too_large()
    codings = response.headers.get("content-encoding", "").lower().split(",")
    compressions = [coding.strip() for coding in codings if coding.strip() in _COMPRESSIONS]
    # A label that is no compression (a charset, none) stands on plain bodies.
    if not body or not compressions:
        return bytes(body)
    if compressions not in (["gzip"], ["x-gzip"]):
        raise InvalidResponse("the response has an unexpected Content-Encoding")
    return _unpacked(bytes(body))


def _unpacked(body: bytes) -> bytes:
    """Return the content of a gzip stream, of all its members."""
    unpacked = bytearray()
    members = 0
    while body:
        members += 1
        if members > MOST_MEMBERS:
            raise InvalidResponse(f"the response's gzip has more than {MOST_MEMBERS} members")
        inflate = zlib.decompressobj(wbits=_GZIP)
        try:
            unpacked += inflate.decompress(body, LARGEST_BODY + 1 - len(unpacked))
        except zlib.error:
            raise InvalidResponse("the gzip response is corrupt") from None
        if len(unpacked) > LARGEST_BODY:
            raise _too_large()
        if not inflate.eof:
            raise Unreachable("the gzip response is truncated")
        # Zeros after a member are padding.
        body = inflate.unused_data.lstrip(b"\0")
    return bytes(unpacked)


def _too_large() -> InvalidResponse:
    return InvalidResponse(f"the response is larger than {LARGEST_BODY >> 20} MiB")


def _no_answer(error: Exception, route: Route) -> ApiError:
    """Say why there is no answer, from the causes that the library kept.

    The library reads the target of a redirect even where it does not follow it, and may stumble
    over it.
    """
    if any(isinstance(cause, _UNREADABLE_ADDRESS) for cause in causes_of(error)):
        return InvalidResponse("invalid base URL or redirect target")
    shortage = describe_shortage(error)
    if shortage is not None:
        return ApiError(shortage)
    if isinstance(error, httpx.ProxyError) and route.proxy is not None:
        # The library's text begins with the status of the proxy's response to CONNECT.
        status = str(error)[:3]
        if status.isdigit():
            return Unreachable(describe_refusal(int(status), route))
    is_connected = not isinstance(error, httpx.ConnectError)
    return Unreachable(describe(error, route, is_connected=is_connected))
