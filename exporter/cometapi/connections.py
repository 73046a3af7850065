"""Keep the connections to one gateway from refresh to refresh, and throw away those that were left in the middle.

Talks to: the network, by `exchange`. Knows no keys and no pages. A request that is cancelled or broken off at a bad
moment can leave its connection in the library's pool for ever, neither idle nor closed; a few of them, and every
further request waits in vain. So after a request without a whole answer the next ones go through a new pool, and the
old one is closed as soon as nobody uses it.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import httpx

from exporter.cometapi import exchange
from exporter.cometapi.answer import Answer


@dataclass(slots=True)
class _Pool:
    http: httpx.AsyncClient
    users: int = 0


class Connections:
    """The connections of one account, closed at the end of the context; *open_client* makes a client with its own pool.

    The pool in use is the one mutable attribute.
    """

    def __init__(self, open_client: Callable[[], httpx.AsyncClient]) -> None:
        self._open_client = open_client
        self._pool = _Pool(open_client())

    async def fetch(
        self,
        path: str,
        *,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 - passed on
    ) -> Answer:
        """Do what `exchange.fetch` does, with connections that work."""
        pool = self._pool
        pool.users += 1
        try:
            return await exchange.fetch(pool.http, path, params=params, headers=headers, timeout=timeout)
        except BaseException:
            if pool is self._pool:
                self._pool = _Pool(self._open_client())
            raise
        finally:
            pool.users -= 1
            if pool is not self._pool and pool.users == 0:
                await asyncio.shield(pool.http.aclose())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.http.aclose()
