"""Open the connections to one gateway, keep them from refresh to refresh, and throw away those left in the middle.

Talks to: the network, through `exchange`. Knows no keys and no pages. A request that is cancelled or broken off at a
bad moment can leave its connection in the library's pool for ever, neither idle nor closed; a few of them, and every
further request waits in vain. So after a request without a whole response the next ones go through a new pool, and the
old one is closed when its last request has ended.
"""

import asyncio
import functools
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Self

import httpx

from exporter import __version__
from exporter.cometapi import exchange
from exporter.cometapi.answer import Answer
from exporter.errors import StartError
from exporter.files import read_certificates
from exporter.parsers import is_loopback

KEEP_CONNECTIONS_SECONDS = 120.0


@dataclass(slots=True)
class _Pool:
    http: httpx.AsyncClient
    users: int = 0


class Connections:
    """The connections of one account, closed at the end of the context; *open_pool* makes a new pool of them.

    Mutable are the pool in use, and the old ones that are being closed.
    """

    def __init__(self, open_pool: Callable[[], httpx.AsyncClient]) -> None:
        self._open_pool = open_pool
        self._pool = _Pool(open_pool())
        self._closing: set[asyncio.Task[None]] = set()

    async def fetch(
        self,
        path: str,
        *,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 - passed on
        user_id: int | None = None,
    ) -> Answer:
        """Do what `exchange.fetch` does, with connections that work."""
        pool = self._pool
        pool.users += 1
        try:
            return await exchange.fetch(
                pool.http, path, params=params, headers=headers, timeout=timeout, user_id=user_id
            )
        except BaseException:
            if pool is self._pool:
                self._pool = _Pool(self._open_pool())
            raise
        finally:
            pool.users -= 1
            if pool is not self._pool and pool.users == 0:
                closing = asyncio.create_task(pool.http.aclose())
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
                await asyncio.shield(closing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(self._pool.http.aclose(), *self._closing)


def connect(base_url: str, *, ca_file: Path | None, at_once: int) -> Connections:
    """Prepare up to *at_once* connections to one gateway, none of them open yet; raises StartError."""
    trust = _trust(ca_file)
    try:
        return Connections(functools.partial(_open_pool, base_url, trust, at_once))
    except (ImportError, ValueError):
        raise StartError(
            "the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names cannot be used: expected http:// or https:// "
            "and a host (or set NO_PROXY)"
        ) from None


def _open_pool(base_url: str, trust: ssl.SSLContext, at_once: int) -> httpx.AsyncClient:
    """Make a pool that follows no redirects and keeps no cookies."""
    return httpx.AsyncClient(
        base_url=base_url,
        verify=trust,
        follow_redirects=False,
        trust_env=not is_loopback(base_url),  # a proxy has no business between this machine and itself
        timeout=None,  # noqa: S113 - each whole exchange has a deadline of its own
        limits=httpx.Limits(
            max_connections=at_once, max_keepalive_connections=at_once, keepalive_expiry=KEEP_CONNECTIONS_SECONDS
        ),
        headers={"User-Agent": f"cometapi-exporter/{__version__}", "Accept": "application/json"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


@functools.lru_cache
def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Read the trusted certificates, once for all accounts that share them."""
    if ca_file is not None:
        return ssl.create_default_context(cadata=read_certificates(ca_file))
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise StartError(f"SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error.strerror or error}") from None
