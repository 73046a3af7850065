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
import functools
import itertools
import socket
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import httpx

from exporter import __version__
from exporter.cometapi.answer import Answer
from exporter.credentials import Secret
from exporter.errors import ApiError, InvalidResponse, StartError, TimedOut, Unreachable
from exporter.files import Identity, identity, read_certificates
from exporter.parsers import is_loopback

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
KEEP_CONNECTIONS_SECONDS = 120.0
LARGEST_BODY = 8 * 1024 * 1024
MOST_CAUSES = 20
_GZIP = 16 + zlib.MAX_WBITS
_UNREADABLE_ADDRESS = (httpx.InvalidURL, UnicodeError)
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")


@dataclass(slots=True)
class _Pool:
    http: httpx.AsyncClient
    users: int = 0


class Connections:
    """Up to *at_once* connections of one account, none of them open yet.

    Each whole exchange has *timeout* seconds. Raises StartError where certificates or proxy cannot
    be used. Mutable are the pool in use, and the old ones that are being closed.
    """

    def __init__(
        self,
        base_url: str,
        *,
        user_id: int | None,
        ca_file: Path | None,
        timeout: float,
        at_once: int,
    ) -> None:
        self._base_url = base_url
        self._user_id = user_id
        self._trust = _trust(ca_file, ca_file and identity(ca_file))
        self._timeout = timeout
        self._limits = httpx.Limits(
            max_connections=at_once,
            max_keepalive_connections=at_once,
            keepalive_expiry=KEEP_CONNECTIONS_SECONDS,
        )
        self._closing: set[asyncio.Task[None]] = set()
        try:
            self._pool = self._open_pool()
        except (ImportError, ValueError):
            raise StartError(
                "the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names cannot be used: expected http:// or "
                "https:// and a host (or set NO_PROXY)"
            ) from None

    async def fetch(self, path: str, params: Mapping[str, str], token: Secret) -> Answer:
        """GET *path*; raises TimedOut, Unreachable or InvalidResponse (too large)."""
        pool = self._pool
        pool.users += 1
        try:
            return await self._exchange(pool.http, path, params, token)
        except BaseException:
            if pool is self._pool:
                self._pool = self._open_pool()
            raise
        finally:
            pool.users -= 1
            if pool is not self._pool and pool.users == 0:
                closing = asyncio.create_task(pool.http.aclose())
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
                await asyncio.shield(closing)

    async def _exchange(
        self, http: httpx.AsyncClient, path: str, params: Mapping[str, str], token: Secret
    ) -> Answer:
        try:
            async with (
                asyncio.timeout(self._timeout),
                http.stream(
                    "GET", path, params=params, headers={"Authorization": token.reveal()}
                ) as response,
            ):
                return Answer(
                    status=response.status_code,
                    headers=dict(response.headers),
                    body=await _read_body(response),
                    received_at=time.time(),
                    user_id=self._user_id,
                )
        except (TimeoutError, httpx.TimeoutException):
            raise TimedOut(
                f"no complete response from {_address(http.base_url)} within {self._timeout:g} s"
            ) from None
        except (httpx.HTTPError, *_UNREADABLE_ADDRESS) as error:
            raise _no_answer(error, http.base_url) from None

    def _open_pool(self) -> _Pool:
        """Make a pool that follows no redirects and keeps no cookies."""
        http = httpx.AsyncClient(
            base_url=self._base_url,
            verify=self._trust,
            follow_redirects=False,
            trust_env=not is_loopback(
                self._base_url
            ),  # a proxy has no business between this machine and itself
            timeout=None,  # noqa: S113 - each whole exchange has a deadline of its own
            limits=self._limits,
            headers=HEADERS
            | ({} if self._user_id is None else dict.fromkeys(USER_HEADERS, str(self._user_id))),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        return _Pool(http)

    async def aclose(self) -> None:
        """Close all."""
        await asyncio.gather(self._pool.http.aclose(), *self._closing)


@functools.lru_cache
def _trust(ca_file: Path | None, _: Identity) -> ssl.SSLContext:
    """Read the trusted certificates, once for all accounts that share them, and again for a file that has changed."""
    try:
        if ca_file is not None:
            return ssl.create_default_context(cadata=read_certificates(ca_file))
        return httpx.create_ssl_context()
    except OSError as error:
        place = ca_file or "SSL_CERT_FILE or SSL_CERT_DIR"
        raise StartError(f"{place} cannot be read: {error.strerror or error}") from None


async def _read_body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > LARGEST_BODY:
            raise _too_large()
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise InvalidResponse("the answer is compressed in a way that was not asked for")
    return _unpacked(body) if body and encoding == "gzip" else bytes(body)


def _unpacked(body: bytearray) -> bytes:
    inflate = zlib.decompressobj(wbits=_GZIP)
    try:
        unpacked = inflate.decompress(body, LARGEST_BODY + 1)
    except zlib.error:
        raise InvalidResponse("the answer's gzip is broken") from None
    if len(unpacked) > LARGEST_BODY:
        raise _too_large()
    if inflate.unused_data:
        raise InvalidResponse("the answer goes on after its gzip")
    if not inflate.eof:
        raise Unreachable("the answer's gzip broke off")
    return unpacked


def _too_large() -> InvalidResponse:
    return InvalidResponse(f"the answer is larger than {LARGEST_BODY >> 20} MiB")


def _address(url: httpx.URL) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port or (443 if url.scheme == 'https' else 80)}"


def _no_answer(error: Exception, url: httpx.URL) -> ApiError:
    """Say why there is no answer, from the causes that the library kept.

    The library reads the target of a redirect even where it does not follow it, and may stumble
    over it.
    """
    causes = tuple(itertools.islice(_causes(error), MOST_CAUSES))
    if any(isinstance(cause, _UNREADABLE_ADDRESS) for cause in causes):
        return InvalidResponse("the base URL, or where it redirects to, is no address")
    address = _address(url)
    known = (
        fault for cause in causes if (fault := _fault_of(cause, url.host, address)) is not None
    )
    broke = f"the connection to {address} broke before the response was complete"
    return Unreachable(
        next(
            known,
            f"cannot connect to {address}" if isinstance(error, httpx.ConnectError) else broke,
        )
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what led to it; of several failed attempts at one host the first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        first = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else None
        cause = first or cause.__cause__ or cause.__context__


def _fault_of(cause: BaseException, host: str, address: str) -> str | None:
    match cause:
        case ssl.SSLCertVerificationError():
            return f"TLS: the certificate of {address} is not trusted: {cause.verify_message}"
        case ssl.SSLError():
            is_plain = cause.reason in _NO_TLS
            broken = f"TLS: no secure connection to {address}: {cause.reason or 'broken off'}"
            return (
                f"{address} does not speak TLS: is the base URL http:// instead?"
                if is_plain
                else broken
            )
        case socket.gaierror():
            return f"cannot resolve {host}"
        case ConnectionRefusedError():
            return f"cannot connect to {address}: connection refused"
        case ConnectionResetError():
            return f"the connection to {address} was reset"
    return None
